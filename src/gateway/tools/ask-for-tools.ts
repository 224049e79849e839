import type { AuditDraft, AuditStatus } from '../../core/audit.ts'
import { CancelSwitch } from '../../core/cancel-signal.ts'
import { AuditUnavailable, UpstreamFailure } from '../../core/ports.ts'
import type { UpstreamAnswer } from '../../core/ports.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'
import { createSseScanner } from '../../core/sse.ts'
import { isEventStream } from '../answer.ts'
import type { CallUnderWay } from '../calls-in-flight.ts'
import { forwardInSession } from '../forward-in-session.ts'
import type { IncomingCall } from '../incoming-call.ts'
import { statusOfRefusal } from '../outcome.ts'
import { draftRows } from '../steps/reserve-record.ts'
import { refusalOfFailure } from '../upstream-refusals.ts'
import { pageOf } from './take-lists.ts'
import type { ListPage } from './take-lists.ts'
import type { ListCall, ListState } from './tool-lists.ts'

const LOOK_MS_MAX = 15_000
const PAGES_MAX = 20
const ANSWER_BYTES_MAX = 4 * 1024 * 1024
const WHY = 'Asked by the gateway itself, to check the tools before the first call of a session.'
const GATEWAY = { type: 'system', id: 'gateway', label: 'Igris' } as const

/**
 * The whole list, asked for by the gateway in the session and the revision of a call, with the connection's credential. Bounded in time, pages and
 * size; on record like a call; a kill switch stops it.
 */
export async function askForTools(state: ListState, call: ListCall): Promise<Result<ListPage[]>> {
  const { trail, connection, caller } = call
  const startedAt = state.clock.elapsed()
  const row: AuditDraft = { ...(draftRows(trail, caller.organizationId, state.limits)[0] as AuditDraft), timestamp: state.clock.now() }
  delete row.arguments
  delete row.details
  const draft: AuditDraft = { ...row, type: 'mcp_message', principal: GATEWAY, method: 'tools/list', toolName: null, action: 'allow', policy: null, rule: null, reason: WHY, requestBytes: 0 }
  try {
    const tickets = await state.auditLog.reserve([draft])
    const asked = await withinTime(state, call)
    const status: AuditStatus = asked.ok ? 'ok' : statusOfRefusal(asked.code)
    const latencyMs = Math.round((state.clock.elapsed() - startedAt) * 1000) / 1000
    await state.auditLog.complete(tickets, { status, httpStatus: null, latencyMs, upstreamMs: latencyMs, responseBytes: null, ...(asked.ok ? {} : { reason: asked.message }) })
    return asked
  } catch (error) {
    if (error instanceof AuditUnavailable) return refuse('audit_unavailable')
    if (error instanceof UpstreamFailure) return refusalOfFailure(error, connection)
    throw error
  }
}

async function withinTime(state: ListState, call: ListCall): Promise<Result<ListPage[]>> {
  const { trail, connection, caller } = call
  const { organizationId, principal } = caller
  const signal = new CancelSwitch()
  const tracked = state.calls.track({ organizationId, connectionId: connection.id, principalId: principal.id })
  if (tracked.signal.aborted) signal.abort()
  else tracked.signal.addEventListener('abort', signal)
  const timer = setTimeout(() => signal.abort(), LOOK_MS_MAX)
  const underWay: CallUnderWay = { organizationId, principalId: principal.id, connectionId: connection.id, sessionId: trail.session?.id ?? null, signal, cutBy: null, isListening: false }
  try {
    return await askForPages(state, call, underWay)
  } catch (error) {
    if (error instanceof UpstreamFailure) return signal.aborted ? tooSlow(call) : refusalOfFailure(error, connection)
    throw error
  } finally {
    clearTimeout(timer)
    tracked.release()
  }
}

async function askForPages(state: ListState, call: ListCall, underWay: CallUnderWay): Promise<Result<ListPage[]>> {
  const { trail, connection, caller } = call
  const pages: ListPage[] = []
  let cursor: string | null = null
  let { mcpSession } = trail
  for (let number = 0; number < PAGES_MAX; number += 1) {
    const request = listRequest(trail.call, { id: `igris-${state.ids.randomHex(8)}`, cursor })
    const forwarded = await forwardInSession(state, { ...trail, call: request.call, underWay, mcpSession }, { caller, connection })
    if (!forwarded.ok) return underWay.signal.aborted ? tooSlow(call) : forwarded
    mcpSession = forwarded.value.mcpSession
    const result = await resultOf(forwarded.value.answer, request.id)
    const page: ListPage | null = result === null ? null : pageOf(result, { cursor, isModern: request.isModern })
    if (page === null) return refuse('upstream_invalid', `The MCP server behind "${connection.slug}" gave no list of its tools.`)
    pages.push(page)
    cursor = page.nextCursor
    if (cursor === null) return ok(pages)
  }
  return refuse('upstream_invalid', `The MCP server behind "${connection.slug}" gave a list of its tools that does not end.`)
}

function tooSlow({ connection }: ListCall) {
  return refuse('upstream_timeout', `The MCP server behind "${connection.slug}" did not list its tools in time.`)
}

/** A request as the caller would have sent it: the same revision, the same session, the same word on who the client is. */
function listRequest(original: IncomingCall, { id, cursor }: { id: string; cursor: string | null }): { call: IncomingCall; id: string; isModern: boolean } {
  const [first] = original.messages
  const isModern = first?.era === 'modern'
  const { progressToken: _progressToken, ...meta } = (first?.params?._meta ?? {}) as Record<string, unknown>
  const params: Record<string, unknown> = { ...(isModern ? { _meta: meta } : {}), ...(cursor === null ? {} : { cursor }) }
  const body = new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list', params }))
  const mirrored: Record<string, string | null> = { 'mcp-method': isModern ? 'tools/list' : null, 'mcp-name': null, 'last-event-id': null }
  const call: IncomingCall = {
    httpMethod: 'POST', slug: original.slug, requestId: original.requestId, credential: null, body, isBatch: false, problem: null, signal: original.signal,
    header: (name) => (Object.hasOwn(mirrored, name) ? (mirrored[name] ?? null) : original.header(name)),
    mirroredParams: () => [],
    messages: [{ kind: 'request', idText: JSON.stringify(id), method: 'tools/list', params, era: isModern ? 'modern' : 'legacy', envelopeVersion: first?.envelopeVersion ?? null, bytes: body.length }],
    holdSocket() {},
    releaseSocket() {},
  }
  return { call, id, isModern }
}

/** The result with this id, of a JSON body or the event that carries it; null where there is none. */
async function resultOf(answer: UpstreamAnswer, id: string): Promise<Record<string, unknown> | null> {
  let found: Record<string, unknown> | null = null
  const take = (text: string | null) => (found ??= text === null ? null : resultIn(text, id))
  const scanner = isEventStream(answer) ? createSseScanner({ eventBytesMax: ANSWER_BYTES_MAX, onEvent: ({ data }) => void take(data) }) : null
  const chunks: Uint8Array[] = []
  try {
    if (answer.status !== 200) return null
    let bytes = 0
    for (let chunk = await answer.body.read(); chunk !== null; chunk = await answer.body.read()) {
      bytes += chunk.length
      if (bytes > ANSWER_BYTES_MAX) return null
      if (scanner === null) chunks.push(chunk)
      else scanner.push(chunk)
      if (found !== null) return found
    }
    return scanner === null ? take(Buffer.concat(chunks).toString()) : found
  } finally {
    answer.body.cancel()
  }
}

function resultIn(text: string, id: string): Record<string, unknown> | null {
  try {
    const { id: own, result } = JSON.parse(text) as { id?: unknown; result?: unknown }
    return own === id && typeof result === 'object' && result !== null ? (result as Record<string, unknown>) : null
  } catch {
    return null // Not JSON is no answer; whoever asked says so.
  }
}
