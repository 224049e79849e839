/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { shownMs } from '../shown-text.ts'
import { Badge, Foreign } from './facts.tsx'

export interface TestReport {
  ok: boolean
  latencyMs: number
  protocolVersion: string | null
  server: { name: string; version: string } | null
  tools: { name: string; description: string | null }[]
  error?: string
}

const TOOLS_MAX = 200

/** What a test found behind a connection. */
export function Report({ report }: { report: TestReport }) {
  const { tools } = report
  return (
    <section class="card report" role="status">
      <div class="title"><h2>Test</h2><Badge state={report.ok ? 'ok' : 'failed'} /></div>
      {report.ok ? '' : <p><Foreign text={report.error ?? 'The upstream did not answer as an MCP server does.'} lengthMax={500} /></p>}
      <dl class="facts">
        <dt>Took</dt><dd safe>{shownMs(report.latencyMs)}</dd>
        {report.server === null ? '' : <><dt>Server</dt><dd><Foreign text={`${report.server.name} ${report.server.version}`} /></dd></>}
        {report.protocolVersion === null ? '' : <><dt>Protocol</dt><dd><Foreign text={report.protocolVersion} /></dd></>}
        {report.ok ? <><dt>Tools</dt><dd safe>{tools.length === 0 ? 'none' : String(tools.length)}</dd></> : ''}
      </dl>
      {tools.length === 0 ? '' : (
        <details>
          <summary safe>{tools.length === 1 ? '1 tool' : `${tools.length} tools`}</summary>
          <div class="scroll" tabindex="0" role="region" aria-label="Tools">
            <table><tbody>{tools.slice(0, TOOLS_MAX).map(({ name, description }) => <tr><td><Foreign text={name} lengthMax={80} /></td><td class="muted">{description === null ? '' : <Foreign text={description} lengthMax={240} />}</td></tr>)}</tbody></table>
          </div>
          {tools.length > TOOLS_MAX ? <p class="muted small">{`The first ${TOOLS_MAX} are shown.`}</p> : ''}
        </details>
      )}
    </section>
  )
}

/** Instead of a report: why nothing was sent. */
export function NotTested({ sentences }: { sentences: string[] }) {
  return (
    <section class="card report" role="alert">
      <div class="title"><h2>Test</h2><Badge state="failed" /></div>
      <p>Nothing was sent, because the form is not ready:</p>
      <ul>{sentences.map((sentence) => <li><Foreign text={sentence} lengthMax={300} /></li>)}</ul>
    </section>
  )
}
