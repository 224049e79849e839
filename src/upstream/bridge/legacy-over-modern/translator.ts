import { randomBytes } from 'node:crypto'
import { UpstreamFailure, type Log, type UpstreamAnswer, type UpstreamRequest, type Upstreams } from '../../../core/ports.ts'
import { EVENT_STREAM, Exchange } from '../../link/exchange.ts'
import type { Owner, Translator } from '../bridge.ts'
import { BridgedCall, type BridgeParts } from './call.ts'
import { modernRequest, type LegacyClient } from './envelope.ts'
import { idKeyOf, isJsonObject, objectOr, type JsonObject } from './exact-json.ts'
import { initializeResult, LEGACY_VERSIONS, legacyError, negotiatedVersion, readDiscovery, type ModernServer } from './legacy-forms.ts'
import { canListen, Listening, ListenRefused } from './listening.ts'
import { answerHere } from './local-methods.ts'
import {
  emptyAnswer, errorText, headerOf, INVALID_PARAMS, INVALID_REQUEST, INTERNAL_ERROR, isRequest, jsonAnswer, LEGACY_ERROR, readBody, refusedAnswer, resultText, SESSION_NOT_FOUND, type RpcError,
} from './messages.ts'
import { exchangeModern } from './reply.ts'
import { BridgedSession, BridgedSessions } from './session.ts'
import { ToolIndex } from './tool-index.ts'

export interface LegacyOverModernOptions {
  /** In milliseconds, never going back. */
  now(): number
  log: Log
  /** Of one message of a server. */
  messageBytesMax: number
  sessionsMax?: number
  sessionsPerPrincipalMax?: number
  idleMs?: number
  answerWaitMs?: number
}

const SESSIONS_MAX = 10_000
const SESSIONS_PER_PRINCIPAL_MAX = 1000
const IDLE_MS = 60 * 60_000
const ANSWER_WAIT_MS = 10 * 60_000
/** Of what a client says of itself when it initializes; it goes along with each of its requests. */
const CLIENT_CHARS_MAX = 64 * 1024

/** What has a counterpart of the same name in 2026-07-28. */
const CARRIED = new Set(['tools/list', 'tools/call', 'prompts/list', 'prompts/get', 'resources/list', 'resources/templates/list', 'resources/read', 'completion/complete'])

/** Serves clients of the revisions with a handshake from a server of 2026-07-28, which keeps no sessions, asks by its results and has no GET stream. */
export function createLegacyOverModern(inner: Upstreams, options: LegacyOverModernOptions): Required<Translator> {
  return new LegacyOverModern(inner, options)
}

class LegacyOverModern implements Translator {
  readonly #parts: BridgeParts
  readonly #sessions: BridgedSessions
  readonly #now: () => number
  #isClosed = false

  constructor(inner: Upstreams, options: LegacyOverModernOptions) {
    let lastId = 0
    this.#now = options.now
    this.#parts = {
      inner, log: options.log, messageBytesMax: options.messageBytesMax, tools: new ToolIndex(options.now), answerWaitMs: options.answerWaitMs ?? ANSWER_WAIT_MS,
      nextId: () => ++lastId,
      newQuestionId: () => `igris-${randomBytes(12).toString('hex')}`,
    }
    this.#sessions = new BridgedSessions({
      sessionsMax: options.sessionsMax ?? SESSIONS_MAX, sessionsPerPrincipalMax: options.sessionsPerPrincipalMax ?? SESSIONS_PER_PRINCIPAL_MAX, idleMs: options.idleMs ?? IDLE_MS,
    }, options.now)
  }

  async send(request: UpstreamRequest): Promise<UpstreamAnswer> {
    if (this.#isClosed || request.signal.aborted) throw new UpstreamFailure('aborted', 'the call was given up', false)
    const posted = request.method === 'POST' ? readBody(request.body) : null
    if (request.method === 'POST' && posted === null) return refusedAnswer(400, null, { code: INVALID_REQUEST, message: 'The body is no JSON-RPC message.' })
    const [first] = posted?.messages ?? []
    const id = headerOf(request, 'mcp-session-id')
    const session = id === null ? null : this.#sessions.find(id, request)
    if (id !== null && session === null) return refusedAnswer(404, first?.id, { code: SESSION_NOT_FOUND, message: 'Session not found' })
    const version = headerOf(request, 'mcp-protocol-version')
    if (version !== null && !LEGACY_VERSIONS.some((known) => known === version)) {
      return refusedAnswer(400, first?.id, { code: LEGACY_ERROR, message: `Unsupported protocol version. Supported: ${LEGACY_VERSIONS.join(', ')}.` })
    }
    if (posted?.isBatch === false && first?.method === 'initialize' && first.id !== undefined) return this.#initialize(request, first, session)
    if (session === null) {
      const missing = { code: LEGACY_ERROR, message: 'Initialize a session first, and send its Mcp-Session-Id.' }
      return refusedAnswer(request.method === 'POST' ? 400 : 405, first?.id, missing)
    }
    if (posted !== null) return this.#post(session, request, posted)
    if (request.method === 'GET') return this.#listen(session, request)
    this.#sessions.end(session)
    return emptyAnswer(200)
  }

  end(connectionId: string): void {
    this.endWhere((owner) => owner.connectionId === connectionId)
    this.#parts.tools.clear(`${connectionId} `)
  }

  endWhere(holds: (owner: Owner) => boolean): void {
    this.#sessions.endWhere(holds)
  }

  policiesChanged(holds: (owner: Owner) => boolean): void {
    this.#sessions.dropRoundsWhere(holds, 'The policies of the gateway changed while this call waited for its client. Call again.')
  }

  close(): void {
    this.#isClosed = true
    this.endWhere(() => true)
  }

  async #initialize(request: UpstreamRequest, message: JsonObject, known: BridgedSession | null): Promise<UpstreamAnswer> {
    const client = readClient(objectOr(message.params))
    if (client === null) return jsonAnswer(errorText(message.id, { code: INVALID_PARAMS, message: 'The parameters of initialize cannot be read, or are too long.' }))
    const found = await this.#discover(request, client)
    if ('status' in found) return found
    if ('code' in found) return jsonAnswer(errorText(message.id, found))
    const session = known ?? new BridgedSession({ request, client, server: found, now: this.#now() })
    session.client = client
    session.server = found
    if (known === null && !this.#sessions.add(session)) return refusedAnswer(503, message.id, { code: LEGACY_ERROR, message: 'Too many sessions are open. Try again in a moment.' })
    return jsonAnswer(resultText(message.id, initializeResult(found, client.protocolVersion)), [['mcp-session-id', session.id]])
  }

  async #discover(request: UpstreamRequest, client: LegacyClient): Promise<ModernServer | RpcError | UpstreamAnswer> {
    const id = this.#parts.nextId()
    const outgoing = modernRequest(request, { id, method: 'server/discover', params: {}, client, logLevel: null, signal: request.signal })
    const reply = await exchangeModern(this.#parts.inner, outgoing, this.#parts.messageBytesMax)
    if (reply.foreign !== null) return reply.foreign
    for (let message = await reply.next(); message !== null; message = await reply.next()) {
      if (message.method !== undefined) continue
      reply.cancel()
      if (message.error !== undefined) return legacyError(message.error)
      return isJsonObject(message.result) ? readDiscovery(message.result) : { code: INTERNAL_ERROR, message: 'The MCP server does not say what it is.' }
    }
    throw new UpstreamFailure('reset', 'the stream ended before the response')
  }

  async #post(session: BridgedSession, request: UpstreamRequest, { isBatch, messages }: { isBatch: boolean; messages: JsonObject[] }): Promise<UpstreamAnswer> {
    const requests = messages.filter(isRequest)
    for (const message of messages) if (!isRequest(message)) tell(session, message)
    if (requests.length === 0) return emptyAnswer(202)
    const calls: BridgedCall[] = []
    const exchange = new Exchange({ isBatch, timeoutMs: request.timeoutMs, signal: request.signal }, {
      onGivenUp: (_given, reason) => calls.forEach((call) => call.cancel(reason)),
      onOver: () => {},
    })
    // Awaited whole before the first is answered: else the answer would be thought complete.
    const work = requests.map((message, slot) => this.#begin({ session, request, message, exchange, slot, calls }))
    for (const run of work) void run()
    return exchange.answer
  }

  #begin(facts: { session: BridgedSession; request: UpstreamRequest; message: JsonObject; exchange: Exchange; slot: number; calls: BridgedCall[] }): () => Promise<void> {
    const { session, message, exchange, slot, calls } = facts
    const method = String(message.method)
    if (CARRIED.has(method)) {
      const call = new BridgedCall(this.#parts, facts)
      calls.push(call)
      return () => call.run()
    }
    exchange.awaited.set(slot, { idText: JSON.stringify(message.id), method, progressToken: null })
    return async () => {
      const outcome = await answerHere(session, method, objectOr(message.params)).catch((error: unknown) => failureOf(error))
      exchange.respond(slot, 'error' in outcome ? errorText(message.id, outcome.error) : resultText(message.id, outcome.result))
    }
  }

  async #listen(session: BridgedSession, request: UpstreamRequest): Promise<UpstreamAnswer> {
    if (session.listening !== null) return refusedAnswer(409, null, { code: LEGACY_ERROR, message: 'This session has a stream already.' })
    if (!canListen(session)) return refusedAnswer(405, null, { code: LEGACY_ERROR, message: 'This server has nothing to announce.' })
    const listening = new Listening(this.#parts, session, request)
    session.listening = listening
    try {
      await listening.update()
    } catch (error) {
      listening.close()
      if (!(error instanceof ListenRefused)) throw error
      return refusedAnswer(405, null, { code: LEGACY_ERROR, message: 'This server does not let anybody listen.' })
    }
    return { status: 200, headers: EVENT_STREAM, body: listening.stream }
  }
}

/** A notification, or a response to a question that the session's client was asked. What the server has no use for ends here. */
function tell(session: BridgedSession, message: JsonObject): void {
  if (message.method === undefined) return session.questions.answer(message)
  if (message.method !== 'notifications/cancelled') return
  session.calls.get(idKeyOf(objectOr(message.params).requestId))?.cancel('The client cancelled this request.')
}

function readClient({ protocolVersion, capabilities, clientInfo }: JsonObject): LegacyClient | null {
  const client = { protocolVersion: negotiatedVersion(protocolVersion), capabilities: objectOr(capabilities), clientInfo: objectOr(clientInfo) }
  return typeof protocolVersion === 'string' && JSON.stringify(client).length <= CLIENT_CHARS_MAX ? client : null
}

function failureOf(error: unknown): { error: RpcError } {
  if (error instanceof ListenRefused) return { error: { code: INVALID_PARAMS, message: `The MCP server did not agree to it: ${error.message.slice(0, 500)}` } }
  if (error instanceof UpstreamFailure) return { error: { code: INTERNAL_ERROR, message: 'The MCP server did not answer.' } }
  throw error
}
