import { parseKeepingNumbers } from '../../core/exact-json.ts'
import type { RpcMessage } from '../../core/message.ts'
import type { UpstreamAnswer, UpstreamBody } from '../../core/ports.ts'
import { refuse } from '../../core/result.ts'
import { rpcErrorText } from '../../core/rpc-error.ts'
import { parseSseText } from '../../core/sse.ts'
import { readWhole } from '../answer.ts'
import { applyVerdict } from './list-result.ts'
import { LIST_CHANGED, LOG_MESSAGE, logLine } from './listening-streams.ts'
import { listeningStreamOf } from './listening-stream-of.ts'
import { pageOf, takePage } from './take-lists.ts'
import type { ListCall, ListState } from './tool-lists.ts'
import { watchStream } from './watched-stream.ts'

type Rpc = Record<string, unknown>
/** Makes the message that is passed on out of the one that came, which was read with its numbers as written. */
type Edit = (message: Rpc) => Rpc

const DECODER = new TextDecoder('utf-8', { fatal: true })
const ENCODER = new TextEncoder()
const EVENT_BYTES_MAX = 8 * 1024 * 1024

interface Watching {
  /** A list that cannot be looked into is not passed on. */
  isGuarded: boolean
  /** The answer was kept, so it is not kept again. */
  isRecalled?: boolean
  /** Where log lines for the caller go: onto the stream, where there is one. */
  notices: string[]
}

/** An answer in JSON that holds a list: looked into before it is passed on. */
export function watchBody(state: ListState, call: ListCall, answer: UpstreamAnswer, options: { isGuarded: boolean; isRecalled: boolean }): UpstreamAnswer {
  const { mcpSession } = call.trail
  let isTaken = false
  const body: UpstreamBody = {
    length: null,
    async read() {
      if (isTaken) return null
      isTaken = true
      const bytes = await readWhole(answer.body, state.limits.responseBytesMax)
      if (bytes.length === 0) return null
      const watching: Watching = { ...options, notices: [] }
      const text = await passed(state, call, bytes, watching)
      if (mcpSession !== null) for (const notice of watching.notices) state.listening.say(call.connection.id, mcpSession.id, notice)
      return text === null ? bytes : ENCODER.encode(text)
    },
    cancel: () => answer.body.cancel(),
  }
  return { ...answer, body }
}

/** An event stream on which a list, or the news of one, may come. */
export function watchEvents(
  state: ListState, call: ListCall, answer: UpstreamAnswer, { hasList, isListening, isGuarded }: { hasList: boolean; isListening: boolean; isGuarded: boolean },
): UpstreamAnswer {
  const waiting = new Set(listRequests(call).keys())
  const watched = watchStream(answer.body, {
    eventBytesMax: EVENT_BYTES_MAX,
    async onEvent(bytes) {
      listening?.sawEvent()
      const watching: Watching = { isGuarded, notices: [] }
      const [event] = parseSseText(Buffer.from(bytes).toString())
      if (event?.data == null || event.data === '') return bytes
      const text = await passed(state, call, ENCODER.encode(event.data), watching)
      const logged = watching.notices.filter(() => mayLog(call)).map((notice) => eventOf({ jsonrpc: '2.0', method: LOG_MESSAGE, params: logLine(notice) }))
      if (text === null && logged.length === 0) return bytes
      return Buffer.concat([...logged, text === null ? bytes : withData(bytes, text)])
    },
    onOversize() {
      if (!isGuarded || !(hasList || isListening)) return true
      return Buffer.concat([...waiting].map((id) => eventOf(unreadable(call, id))))
    },
  })
  const listening = isListening ? listeningStreamOf(state, call, (event) => watched.inject(event)) : null
  if (listening === null) return { ...answer, body: watched.body }
  const leave = state.listening.join(listening.stream)
  const body: UpstreamBody = {
    length: null,
    async read() {
      const chunk = await watched.body.read().catch((error: unknown) => {
        leave()
        throw error
      })
      if (chunk === null) leave()
      return chunk
    },
    cancel() {
      leave()
      watched.body.cancel()
    },
  }
  return { ...answer, body }
}

/** The text to pass on in place of the message or messages; null where they stay as they are. */
async function passed(state: ListState, call: ListCall, bytes: Uint8Array, watching: Watching): Promise<string | null> {
  let text: string
  let value: unknown
  try {
    text = DECODER.decode(bytes)
    value = JSON.parse(text)
  } catch {
    // No reader finds a list in what is not JSON.
    return null
  }
  const items = Array.isArray(value) ? value : [value]
  const edits: (Edit | null)[] = []
  for (const item of items) edits.push(isObject(item) ? await takeMessage(state, call, item, { ...watching, notices: watching.notices, text: items.length === 1 ? text : null }) : null)
  if (edits.every((edit) => edit === null)) return null
  try {
    const exact = parseKeepingNumbers(text)
    const changed = (Array.isArray(exact) ? exact : [exact]).map((item: Rpc, index) => edits[index]?.(item) ?? item)
    return JSON.stringify(Array.isArray(value) ? changed : changed[0])
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    // Nested deeper than can be written again: what was to be changed for the caller's protection is not passed on.
    if (!watching.isGuarded) return null
    const refusals = items.map((item) => unreadable(call, isObject(item) ? item.id : null))
    return JSON.stringify(Array.isArray(value) ? refusals : refusals[0])
  }
}

async function takeMessage(state: ListState, call: ListCall, message: Rpc, watching: Watching & { text: string | null }): Promise<Edit | null> {
  const { connection, trail } = call
  if (message.method === LIST_CHANGED) {
    state.cache.drop(connection.id)
    return null
  }
  if (message.method !== undefined || !('id' in message)) return null
  const request = listRequests(call).get(message.id)
  if ('error' in message) {
    if (request !== undefined) await noteError(state, call, message)
    return null
  }
  // A client takes an answer from any stream, so a list is known by what it is; what answers another request of the call is none.
  if (request === undefined && trail.call.messages.some(({ idText }) => idText !== null && JSON.parse(idText) === message.id)) return null
  const { result } = message
  const cursor = request?.params?.cursor
  const page = isObject(result) ? pageOf(result, { cursor: request === undefined ? undefined : typeof cursor === 'string' ? cursor : null, isModern: request?.era === 'modern' }) : null
  if (page === null) return request !== undefined && watching.isGuarded ? () => unreadable(call, message.id) : null
  const verdict = await takePage(state, call, page)
  if (request !== undefined && watching.isRecalled !== true && watching.text !== null) keep(state, call, request, watching.text)
  if (verdict.notice !== null) watching.notices.push(verdict.notice.message)
  if (request === undefined && !connection.hideDeniedTools) return null
  const changed = applyVerdict(result as Rpc, verdict)
  return changed === null ? null : (exact) => ({ ...exact, result: applyVerdict(exact.result as Rpc, verdict) ?? exact.result })
}

function keep(state: ListState, { connection, caller, trail }: ListCall, request: RpcMessage, text: string): void {
  if (request.era !== 'modern' || trail.call.isBatch) return
  try {
    const exact = parseKeepingNumbers(text) as { result: Rpc }
    state.cache.keep(connection, caller.principal.id, request, exact.result, state.clock.now())
  } catch (error) {
    // Nested deeper than can be written again, so it cannot be kept.
    if (!(error instanceof RangeError)) throw error
  }
}

async function noteError(state: ListState, { connection }: ListCall, message: Rpc): Promise<void> {
  const code = isObject(message.error) ? message.error.code : null
  const tools = await state.toolBook.of(connection.id)
  const notice = `The MCP server behind "${connection.slug}" answered the request for its tools with the error code ${typeof code === 'number' ? code : '?'}.`
  tools.lastList = { at: state.clock.now(), outcome: 'failed', tools: 0, hidden: 0, notice }
}

/** The requests for lists of a call, by id as clients match them. */
function listRequests({ trail }: ListCall): Map<unknown, RpcMessage> {
  const requests = new Map<unknown, RpcMessage>()
  for (const message of trail.call.messages) if (message.method === 'tools/list' && message.idText !== null) requests.set(JSON.parse(message.idText), message)
  return requests
}

/** In place of a list that cannot be looked into, where looking is what protects the caller. */
function unreadable({ connection, trail }: ListCall, id: unknown): Rpc {
  const refusal = refuse('upstream_invalid', `The MCP server behind "${connection.slug}" gave a list of tools that this gateway cannot read, so it is not passed on.`)
  // Another kind of id answers nobody, and may be too deep to be written.
  const idText = typeof id === 'string' || typeof id === 'number' ? JSON.stringify(id) : 'null'
  return JSON.parse(rpcErrorText(idText, refusal, trail.call.requestId)) as Rpc
}

const SHOWN_LEVELS = new Set(['debug', 'info', 'notice', 'warning'])

/** Clients of revision 2026-07-28 ask for log lines, request by request. */
function mayLog({ trail }: ListCall): boolean {
  const [first] = trail.call.messages
  if (first?.era !== 'modern') return true
  const meta = first.params?._meta
  return isObject(meta) && SHOWN_LEVELS.has(String(meta['io.modelcontextprotocol/logLevel']))
}

function eventOf(message: Rpc): Uint8Array {
  return ENCODER.encode(`event: message\ndata: ${JSON.stringify(message)}\n\n`)
}

/** The same event with other text: its id, its name and its delay stay. */
function withData(event: Uint8Array, text: string): Uint8Array {
  const lines = Buffer.from(event).toString().split(/\r\n|\r|\n/).filter((line) => line !== '' && !/^data(?::|$)/.test(line))
  return ENCODER.encode(`${[...lines, `data: ${text}`].join('\n')}\n\n`)
}

function isObject(value: unknown): value is Rpc {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
