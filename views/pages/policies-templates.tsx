/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import type { Rule } from '../../src/core/policy/schema.ts'
import { ActionBadge } from '../components/policy-rule.tsx'
import { Shell, type Viewer } from '../shell.tsx'
import { shownText } from '../shown-text.ts'
import { RuleList } from './policies-history.tsx'

export interface TemplateFacts {
  id: string
  name: string
  description: string
  rules: Rule[]
  /** What it does to some calls. */
  examples: { call: string; note: string; action: string }[]
}

export interface TemplatesPageProps {
  viewer: Viewer
  templates: TemplateFacts[]
  connections: readonly string[]
  mayBeForAll: boolean
  mayWrite: boolean
  remark: string | null
}

const CHOICES_MAX = 50

export function PolicyTemplatesPage({ viewer, templates, connections, mayBeForAll, mayWrite, remark }: TemplatesPageProps) {
  // The editor asks too; so many choices for each template would be a long page.
  const isChosenHere = connections.length <= CHOICES_MAX
  return (
    <Shell title="Policy templates" section="Policies" viewer={viewer}>
      <p class="crumb"><a href="/policies">Policies</a></p>
      <div class="head"><div><h1>Templates</h1><p class="muted">Policies to start from. Using one opens it in the editor; nothing is stored before you save.</p></div></div>
      {remark === null ? '' : <p class="aside" safe>{remark}</p>}
      <div class="templates">
        {templates.map((template) => (
          <section class="card template" aria-labelledby={`t-${template.id}`}>
            <h2 id={`t-${template.id}`} safe>{template.name}</h2>
            <p safe>{template.description}</p>
            <ul class="examples small">{template.examples.map(({ call, note, action }) => <li><ActionBadge action={action} /> <code safe>{shownText(call, 80)}</code> <span class="muted" safe>{note}</span></li>)}</ul>
            <details><summary safe>{template.rules.length === 1 ? 'Its rule' : `Its ${template.rules.length} rules`}</summary><RuleList rules={template.rules} /></details>
            {mayWrite ? (
              <form class="row" method="get" action="/policies/new">
                <input type="hidden" name="template" value={template.id} />
                {isChosenHere ? <div class="grow"><label for={`c-${template.id}`}>For</label>
                  <select id={`c-${template.id}`} name="connection">{mayBeForAll ? <option value="">every connection</option> : ''}{connections.map((slug) => <option value={slug} safe>{slug}</option>)}</select>
                </div> : ''}
                <button type="submit">Use</button>
              </form>
            ) : ''}
          </section>
        ))}
      </div>
    </Shell>
  )
}
