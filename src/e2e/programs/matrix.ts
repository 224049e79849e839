import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AuditRow, RunningIgris } from '../binary.ts'
import type { Answer, MatrixClientKind } from './clients.ts'
import { MATRIX_CLIENTS } from './clients.ts'
import type { MatrixUpstream } from './upstreams.ts'

/** What one client got from one server through the executable. */
export interface Cell {
  tools: string[]
  answer: Answer
  /** How a denied call looks to the client, and all that it shows of it. */
  denial: { as: 'error' | 'result'; shown: string }
  rows: AuditRow[]
}

export async function fillCell(igris: RunningIgris, facts: { key: string; programs: string }, client: MatrixClientKind, upstream: MatrixUpstream): Promise<Cell> {
  const trace = `${client.name}--${upstream.slug}`
  const scratch = join(igris.folder, trace)
  mkdirSync(scratch)
  const headers = { 'Authorization': `Bearer ${facts.key}`, 'X-Igris-Trace-Id': trace, ...(client.wantsResults === true ? { 'X-Igris-Denials': 'result' } : {}) }
  const connected = await client.connect({ url: igris.mcp(upstream.slug), headers }, { programs: facts.programs, scratch })
  try {
    const tools = await connected.listTools()
    const { call, denied } = upstream.probe
    const answer = await connected.callTool(call.name, call.args)
    const denial = await connected.callTool(denied.name, denied.args).then(
      (result) => ({ as: 'result' as const, shown: JSON.stringify(result) }),
      (error: unknown) => ({ as: 'error' as const, shown: `${String(error)} ${JSON.stringify(error)}` }),
    )
    return { tools, answer, denial, rows: await igris.rows({ traceId: trace }) }
  } finally {
    await connected.close()
  }
}

/** The revision that a client spoke to Igris, as the record tells it. */
export function revisionOf(rows: AuditRow[]): string {
  const methods = rows.map(({ method }) => method)
  if (!methods.includes('initialize')) return '2026-07-28'
  const [first] = methods
  // An old client opens its stream before it says anything, and has none of the later headers on it; mcp-remote looks around first.
  return first === 'GET' && methods.indexOf('initialize') === methods.lastIndexOf('initialize') ? '2024-11-05' : '2025-11-25'
}

/** The table of the documents, out of what was seen. */
export function renderMatrix(upstreams: MatrixUpstream[], cellOf: (client: MatrixClientKind, upstream: MatrixUpstream) => Cell): string[] {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  const rows = MATRIX_CLIENTS.map((client) => {
    const cells = upstreams.map((upstream) => cellOf(client, upstream))
    const [revision, denial] = [cells.map(({ rows }) => revisionOf(rows)), cells.map(({ denial }) => denial.as)].map((each) => [...new Set(each)].join(' or '))
    return line([client.title, revision ?? '', denial ?? '', ...cells.map(({ tools }) => String(tools.length))])
  })
  const head = ['client', 'revision', 'denial', ...upstreams.map(({ title }) => title)]
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows]
}
