import type { AnomalyDetector } from '../../core/anomaly/detector.ts'
import type { Caller } from '../../core/caller.ts'
import type { Connection } from '../../core/connection.ts'
import type { OrganizationId } from '../../core/ids.ts'
import type { AuditLog, Clock, ConnectionStore, EventBus, Ids, Log, McpSessionStore, PolicyBook, UpstreamAnswer, Upstreams, Vault } from '../../core/ports.ts'
import { ok } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'
import type { ToolBook } from '../../core/tools/known-tool.ts'
import { contentTypeOf, isEventStream } from '../answer.ts'
import type { CallRegistry } from '../calls-in-flight.ts'
import type { CallMetrics, GatewayLimits } from '../gateway.ts'
import type { SessionRestorer } from '../session-restoring.ts'
import type { AppliedRefusal } from '../steps/apply-action.ts'
import { toolCallsIn } from '../trail.ts'
import type { Trail } from '../trail.ts'
import { askForTools } from './ask-for-tools.ts'
import { createListCache } from './list-cache.ts'
import type { ListCache } from './list-cache.ts'
import { createListProgress } from './list-progress.ts'
import type { ListProgress } from './list-progress.ts'
import { takeLists } from './take-lists.ts'
import { createListeningStreams } from './listening-streams.ts'
import type { ListeningStreams } from './listening-streams.ts'
import { checkPinned } from './pins.ts'
import { watchBody, watchEvents } from './watch-answer.ts'

/** What the lists of tools need of the gateway. */
export interface ToolListPorts {
  clock: Clock
  ids: Ids
  log: Log
  toolBook: ToolBook
  connections: ConnectionStore
  policies: PolicyBook
  vault: Vault
  upstreams: Upstreams
  mcpSessions: McpSessionStore
  restorer: SessionRestorer
  auditLog: AuditLog
  anomalies: AnomalyDetector
  events: EventBus
  calls: CallRegistry
  metrics: Pick<CallMetrics, 'anomaly'>
  limits: Pick<GatewayLimits, 'responseBytesMax' | 'argumentBytesMax'>
  hash(text: string): string
}

/** The ports, and what is remembered between calls. */
export interface ListState extends ToolListPorts {
  cache: ListCache
  progress: ListProgress
  listening: ListeningStreams
  /** Looks under way, by session. */
  looking: Map<string, Promise<Result<void>>>
}

/** A call that was admitted: whose it is and where it goes are known. */
export interface ListCall {
  trail: Trail
  connection: Connection
  caller: Caller
}

export type Checked = Result<void> & Partial<AppliedRefusal>

/** What the gateway does about lists of tools: it compares, filters, keeps and announces them, and refuses calls of tools that changed. */
export interface ToolLists {
  /** Step 6, last part: whether the tools that are called may be, where they are pinned. Answers at once for everything else. */
  check(call: ListCall): Checked | Promise<Checked>
  /** The answer to a list that the upstream said may be kept; null for whatever must be asked for. */
  recall(call: ListCall): UpstreamAnswer | null
  /** The answer as it is to be passed on: looked into where it may hold a list, else the same. */
  watch(call: ListCall, answer: UpstreamAnswer, options?: { isRecalled: boolean }): UpstreamAnswer
  /** A list was asked for and not answered. */
  failed(call: ListCall, message: string): void
  /** Step 5 may come out otherwise from here on. */
  policiesChanged(organizationId: OrganizationId): void
}

export function createToolLists(ports: ToolListPorts): ToolLists {
  const state: ListState = { ...ports, cache: createListCache(), progress: createListProgress(), listening: createListeningStreams(), looking: new Map() }
  return {
    check(call) {
      const { trail, connection } = call
      if (toolCallsIn(trail.entries) === 0) return ok(undefined)
      if (connection.pinTools === 'block') return checkPinned(state, call)
      // Nothing is refused here, so nothing is waited for.
      if (trail.session !== null && state.progress.isFirstCall(trail.session.id)) void lookBehind(state, call)
      return ok(undefined)
    },

    recall({ trail, connection, caller }) {
      const request = listRequestOf(trail)
      const result = request === null ? null : state.cache.find(connection, caller.principal.id, request, state.clock.now())
      if (request === null || result === null) return null
      return wholeAnswer(`{"jsonrpc":"2.0","id":${request.idText ?? 'null'},"result":${JSON.stringify(result)}}`)
    },

    watch(call, answer, { isRecalled } = { isRecalled: false }) {
      const { trail, connection } = call
      const hasList = trail.entries.some(({ method }) => method === 'tools/list')
      const isListening = trail.call.httpMethod === 'GET' || trail.entries.some(({ method }) => method === 'subscriptions/listen')
      const isGuarded = connection.hideDeniedTools || connection.pinTools === 'block'
      if (!hasList && !isListening && !isGuarded) return answer
      if (isEventStream(answer)) return watchEvents(state, call, answer, { hasList, isListening, isGuarded })
      if (!hasList) return answer
      if (answer.status === 200 && contentTypeOf(answer) === 'application/json') return watchBody(state, call, answer, { isGuarded, isRecalled })
      const what = answer.status === 200 ? 'something that is not MCP' : `HTTP status ${answer.status}`
      this.failed(call, `The MCP server behind "${connection.slug}" answered the request for its tools with ${what}.`)
      return answer
    },

    failed(call, message) {
      if (call.trail.entries.some(({ method }) => method === 'tools/list')) void noteFailure(state, call, message)
    },

    policiesChanged: (organizationId) => state.listening.policiesChanged(organizationId),
  }
}

/** The one request of a call that asks for a list and nothing else. */
function listRequestOf({ call }: Trail) {
  const [only] = call.messages
  return !call.isBatch && only?.method === 'tools/list' && only.kind === 'request' ? only : null
}

async function noteFailure(state: ListState, { trail, connection }: ListCall, message: string): Promise<void> {
  const tools = await Promise.resolve(state.toolBook.of(connection.id)).catch(() => null)
  if (tools !== null) tools.lastList = { at: state.clock.now(), outcome: 'failed', tools: 0, hidden: 0, notice: message }
  if (trail.mcpSession !== null) state.listening.say(connection.id, trail.mcpSession.id, message)
}

/**
 * A session that calls without having listed, on a connection whose tools are known: the list is fetched beside the call, so that a change is seen
 * even where no client asks. Where nothing was ever listed there is nothing to compare with, and nothing is sent.
 */
async function lookBehind(state: ListState, call: ListCall): Promise<void> {
  try {
    const tools = await state.toolBook.of(call.connection.id)
    if (tools.size === 0) return
    const fetched = await askForTools(state, call)
    if (fetched.ok) await takeLists(state, call, fetched.value)
  } catch (error) {
    state.log.write('warn', 'the tools of a connection could not be looked at', { connection: call.connection.slug, error: String(error) })
  }
}

function wholeAnswer(text: string): UpstreamAnswer {
  const bytes = new TextEncoder().encode(text)
  let isTaken = false
  return {
    status: 200,
    headers: [['content-type', 'application/json']],
    body: {
      length: bytes.length,
      async read() {
        if (isTaken) return null
        isTaken = true
        return bytes
      },
      cancel() {},
    },
  }
}
