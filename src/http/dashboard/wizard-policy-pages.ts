import { PolicyPreview, PolicyStep, stepHref, type PolicyPreviewProps } from '../../../views/pages/setup-steps.tsx'
import { POLICY_TEMPLATES, type PolicyTemplate } from '../../core/policy/templates.ts'
import { NewPolicy } from '../../core/policy/schema.ts'
import type { Refusal } from '../../core/result.ts'
import type { Form } from './page-table.ts'
import { seeOther, statusOf } from './page.ts'
import { refusedPage, shown, type Asked } from './shown.ts'

/** Allows the first call of most tools, and what cannot be undone of none. */
const FIRST_CHOICE = 'no-destruction'
const TOOLS_SHOWN_MAX = 40
const EXAMPLES = ['search_issues', 'get_customer', 'create_issue', 'update_order', 'delete_repository']

export async function showPolicyStep(asked: Asked, told: { chosen?: string; refusal?: Refusal } = {}): Promise<Response> {
  const { me, viewer, query, control } = asked
  const connection = await connectionAsked(asked)
  const policies = await control.policies.heads(me.actor)
  if (!policies.ok) return refusedPage(asked, policies)
  const template = templateOf(told.chosen ?? query.get('template'))
  const html = await PolicyStep({
    viewer, connection, templates: [...POLICY_TEMPLATES], chosen: template.id, preview: await previewOf(asked, template, connection),
    existing: policies.value.filter((policy) => policy.active && (policy.connection === null || policy.connection === connection)).map(({ name }) => name), alert: told.refusal?.message ?? null,
  })
  return shown(asked, html, told.refusal === undefined ? 200 : statusOf(told.refusal))
}

export async function showPreview(asked: Asked): Promise<Response> {
  return shown(asked, await PolicyPreview(await previewOf(asked, templateOf(asked.query.get('template')), await connectionAsked(asked))))
}

export async function submitPolicy(asked: Asked, form: Form): Promise<Response> {
  const { control, me } = asked
  const template = templateOf(form.get('template') ?? null)
  if (form.get('do') === 'preview') return showPolicyStep(asked, { chosen: template.id })
  const connection = await connectionAsked(asked)
  const policy = NewPolicy.parse({ name: connection === null ? template.id : `${connection}-${template.id}`, connection, description: template.description, rules: template.rules })
  const made = await control.policies.create(me.actor, policy)
  return made.ok ? seeOther(asked.page, stepHref('key', connection)) : showPolicyStep(asked, { chosen: template.id, refusal: made })
}

/** The slug that the address of the page names, where there is such a connection. */
export async function connectionAsked({ me, query, control }: Asked): Promise<string | null> {
  const slug = query.get('connection')
  const found = slug === null ? null : await control.connections.get(me.actor, slug)
  return found?.ok === true ? found.value.slug : null
}

function templateOf(id: string | null): PolicyTemplate {
  const found = POLICY_TEMPLATES.find((template) => template.id === id) ?? POLICY_TEMPLATES.find((template) => template.id === FIRST_CHOICE)
  if (found === undefined) throw new Error('there is no policy template to start from')
  return found
}

async function previewOf(asked: Asked, template: PolicyTemplate, connection: string | null): Promise<PolicyPreviewProps> {
  const listed = connection === null ? null : await asked.control.tools.list(asked.me.actor, connection)
  const known = listed?.ok === true ? listed.value.tools.filter(({ removedAt }) => removedAt === null).map(({ name }) => name) : []
  const names = known.length > 0 ? known.slice(0, TOOLS_SHOWN_MAX) : EXAMPLES
  return { name: template.name, rules: template.rules.map(wordsOf), tools: await decided(asked, template, names, connection), areExamples: known.length === 0 }
}

/** Asked of the simulator itself, so that the preview cannot say anything else than calls will meet. */
async function decided({ me, control }: Asked, template: PolicyTemplate, names: string[], connection: string | null): Promise<PolicyPreviewProps['tools']> {
  const draft = NewPolicy.parse({ name: template.id, connection: null, rules: template.rules })
  const somewhere = connection ?? (await anyConnection(control, me.actor))
  if (somewhere === null) return []
  const tools: PolicyPreviewProps['tools'] = []
  for (const name of names) {
    const report = await control.policies.simulate(me.actor, { connection: somewhere, target: { kind: 'tool', name }, policies: [draft] })
    if (report.ok) tools.push({ name, action: report.value.decision.action, reason: report.value.decision.reason })
  }
  return tools
}

async function anyConnection(control: Asked['control'], actor: Asked['me']['actor']): Promise<string | null> {
  const found = await control.connections.list(actor)
  return found.ok ? (found.value[0]?.slug ?? null) : null
}

function wordsOf({ tool, resource, prompt, action, conditions, rateLimit, reason }: PolicyTemplate['rules'][number]): PolicyPreviewProps['rules'][number] {
  const target = tool ?? (resource === undefined ? `prompt ${prompt ?? ''}` : `resource ${resource}`)
  const when = conditions === undefined ? null : Object.entries(conditions).map(([path, value]) => `${path} is ${conditionWords(value)}`).join(' and ')
  const limit = rateLimit === undefined ? null : `at most ${rateLimit.max} in ${rateLimit.windowSeconds === 3600 ? 'an hour' : rateLimit.windowSeconds === 60 ? 'a minute' : `${rateLimit.windowSeconds} s`} for each ${rateLimit.per}`
  return { target, action, when, limit, reason: reason ?? null }
}

const OPERATORS: Record<string, string> = { $gte: 'at least', $lt: 'below', $gt: 'above', $lte: 'at most', $glob: 'like' }

function conditionWords(value: unknown): string {
  if (Array.isArray(value)) return `one of ${value.join(', ')}`
  if (typeof value === 'object' && value !== null) return Object.entries(value).map(([operator, operand]) => `${OPERATORS[operator] ?? operator} ${String(operand)}`).join(' and ')
  return String(value)
}
