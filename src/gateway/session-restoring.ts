import type { Caller } from '../core/caller.ts'
import type { CancelSignal } from '../core/cancel-signal.ts'
import type { Connection } from '../core/connection.ts'
import { UpstreamFailure } from '../core/ports.ts'
import type { CallsInFlight, Clock, McpSessionStore } from '../core/ports.ts'
import { refuse } from '../core/result.ts'
import type { Refusal } from '../core/result.ts'
import type { SessionId } from '../core/ids.ts'
import type { McpSession } from '../core/session.ts'
import { sortedJson } from '../core/sorted-json.ts'
import { ask, endSession, tell } from './own-requests.ts'
import type { OwnRequestPorts, Speaker } from './own-requests.ts'
import { readSetup } from './session-setup.ts'
import { refusalOfFailure } from './upstream-refusals.ts'

export interface LostSession {
  session: McpSession
  connection: Connection
  caller: Caller
  agentSessionId: SessionId | null
  /** The call itself is the client's `notifications/initialized`, which then need not be sent for it. */
  isInitializing: boolean
}

/**
 * `restored`: the same session of the client, leading to another of the upstream. `over`: it cannot be opened again as it was, so the client
 * must initialize. `failed`: not now; the session is kept.
 */
export type Restored =
  | { kind: 'restored'; session: McpSession; report: RestoreReport }
  | { kind: 'over'; reason: string }
  | { kind: 'failed'; refusal: Refusal }

/** For the record. */
export interface RestoreReport {
  protocolVersion: string
  /** Subscriptions and log level that were set up again, and those that the upstream refused. */
  setUp: number
  refused: number
  /** False for those calls that only waited. */
  isFirst: boolean
}

export interface SessionRestorer {
  /** One at a time for a session: calls that lost it together wait for the first. */
  restore(lost: LostSession, signal: CancelSignal): Promise<Restored>
  /** Whether the upstream still knows the session; true when in doubt. */
  isAlive(lost: LostSession, signal: CancelSignal): Promise<boolean>
}

type Ports = OwnRequestPorts & { mcpSessions: McpSessionStore; calls: CallsInFlight; clock: Clock }

/** An upstream that forgets faster than this is not helped by opening its sessions again. */
const RESTORES_PER_MINUTE_MAX = 240
const MINUTE_MS = 60_000
const COUNTED_MAX = 10_000
const CUT: Restored = { kind: 'failed', refusal: refuse('upstream_unreachable', 'The call was given up while its session was opened again.') }

export function createSessionRestorer(ports: Ports): SessionRestorer {
  const turns = new Map<string, Promise<Restored>>()
  const counts = new Map<string, { since: number; count: number }>()

  function isTooOften(id: string): boolean {
    const now = ports.clock.now()
    let counted = counts.get(id)
    if (counted === undefined || now - counted.since >= MINUTE_MS) counted = { since: now, count: 0 }
    counted.count += 1
    counts.delete(id)
    counts.set(id, counted)
    for (const oldest of counts.keys()) {
      if (counts.size <= COUNTED_MAX) break
      counts.delete(oldest)
    }
    return counted.count > RESTORES_PER_MINUTE_MAX
  }

  async function work(lost: LostSession): Promise<Restored> {
    const current = await ports.mcpSessions.find(lost.session.id)
    if (current === null) return { kind: 'over', reason: 'The session was ended.' }
    const report = { protocolVersion: current.protocolVersion ?? '', setUp: 0, refused: 0, isFirst: false }
    if (current.upstreamId !== lost.session.upstreamId) return { kind: 'restored', session: current, report }
    if (isTooOften(current.id)) return { kind: 'over', reason: 'The MCP server lost this session too often.' }
    const { organizationId } = current
    const own = ports.calls.track({ organizationId, connectionId: lost.connection.id, principalId: lost.caller.principal.id, sessionId: lost.agentSessionId })
    try {
      return await openAgain(ports, { ...lost, session: current }, own.signal)
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error
      return { kind: 'failed', refusal: refusalOfFailure(error, lost.connection) }
    } finally {
      own.release()
    }
  }

  return {
    async restore(lost, signal) {
      for (;;) {
        const running = turns.get(lost.session.id)
        const turn = running ?? work(lost).finally(() => turns.delete(lost.session.id))
        turns.set(lost.session.id, turn)
        const restored = await Promise.race([turn, whenCut(signal)])
        if (running === undefined || restored.kind !== 'restored') return restored
        // Where what it waited for is the session that this call lost, its own turn comes.
        if (restored.session.upstreamId !== lost.session.upstreamId) return { ...restored, report: { ...restored.report, isFirst: false } }
      }
    },
    async isAlive(lost, signal) {
      try {
        const { status } = await ask(ports, speakerOf(lost, lost.session, signal), 'ping', {})
        return status !== 400 && status !== 404
      } catch (error) {
        if (error instanceof UpstreamFailure) return true
        throw error
      }
    },
  }
}

async function openAgain(ports: Ports, lost: LostSession, signal: CancelSignal): Promise<Restored> {
  const { session } = lost
  const { initialize, protocolVersion } = session
  if (initialize === null || protocolVersion === null) return { kind: 'over', reason: 'What the session was opened with is not known.' }
  const hello = await ask(ports, speakerOf(lost, null, signal), 'initialize', JSON.parse(initialize) as object)
  if (hello.result === null || hello.upstreamId === null || !/^[\x21-\x7e]{1,1024}$/.test(hello.upstreamId)) {
    return { kind: 'over', reason: `The MCP server does not open the session again (HTTP ${hello.status}).` }
  }
  const renewed = { ...session, upstreamId: hello.upstreamId }
  const speaker = speakerOf(lost, renewed, signal)
  const difference = differenceOf(session, hello.result)
  if (difference !== null) {
    await endSession(ports, speaker).catch(() => {})
    return { kind: 'over', reason: difference }
  }
  if (!lost.isInitializing) {
    const status = await tell(ports, speaker, 'notifications/initialized')
    if (status < 200 || status > 299) return { kind: 'over', reason: `The MCP server does not open the session again (HTTP ${status}).` }
  }
  const setUp = await setUpAgain(ports, speaker, session)
  const kept = await ports.mcpSessions.change(session.id, ({ upstreamId }) => (upstreamId === session.upstreamId ? { upstreamId: renewed.upstreamId } : null))
  if (kept === null) {
    // Its connection or key went meanwhile, and the session with it.
    await endSession(ports, speaker).catch(() => {})
    return { kind: 'over', reason: 'The session was ended.' }
  }
  return { kind: 'restored', session: kept, report: { protocolVersion, ...setUp, isFirst: true } }
}

/** The client goes by what it was told: another version, or other capabilities, are for it to negotiate. */
function differenceOf(session: McpSession, result: Record<string, unknown>): string | null {
  if (result.protocolVersion !== session.protocolVersion) return 'The MCP server speaks another protocol version than before.'
  if (sortedJson(result.capabilities ?? {}) !== session.serverCapabilities) return 'The MCP server has other capabilities than before.'
  return null
}

async function setUpAgain(ports: Ports, speaker: Speaker, session: McpSession): Promise<{ setUp: number; refused: number }> {
  const { logLevel, subscriptions = [] } = readSetup(session)
  const requests: [method: string, params: object][] = subscriptions.map((uri) => ['resources/subscribe', { uri }])
  if (logLevel !== undefined) requests.unshift(['logging/setLevel', { level: logLevel }])
  let setUp = 0
  for (const [method, params] of requests) if ((await ask(ports, speaker, method, params)).result !== null) setUp += 1
  return { setUp, refused: requests.length - setUp }
}

function speakerOf(lost: LostSession, session: McpSession | null, signal: CancelSignal): Speaker {
  const { initialize, protocolVersion } = lost.session
  return { connection: lost.connection, principalId: lost.caller.principal.id, session, ...(initialize === null ? {} : { client: { initialize, protocolVersion } }), signal }
}

/** A call that is cut does not wait for the others' session. */
function whenCut(signal: CancelSignal): Promise<Restored> {
  if (signal.aborted) return Promise.resolve(CUT)
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(CUT)))
}
