import { CancelSwitch } from '../../../core/cancel-signal.ts'
import { UpstreamFailure, type HeaderList, type Log, type UpstreamAnswer, type UpstreamRequest, type Upstreams } from '../../../core/ports.ts'
import type { Exchange } from '../../link/exchange.ts'
import { modernRequest } from './envelope.ts'
import { idKeyOf, isJsonObject, objectOr, type JsonObject } from './exact-json.ts'
import { HEADER_MISMATCH, legacyError, legacyResult } from './legacy-forms.ts'
import { errorText, INTERNAL_ERROR, INVALID_REQUEST, LEGACY_ERROR, resultText, type RpcError } from './messages.ts'
import { questionText, readInputRequests, whyNotAskable, type InputRequest, type QuestionAnswer } from './questions.ts'
import { exchangeModern, type ModernReply } from './reply.ts'
import type { BridgedSession } from './session.ts'
import { paramHeaders } from './tool-headers.ts'
import type { ToolIndex } from './tool-index.ts'

/** What all requests of the bridge share. */
export interface BridgeParts {
  inner: Upstreams
  tools: ToolIndex
  log: Log
  /** Of one message of the server. */
  messageBytesMax: number
  nextId(): number
  newQuestionId(): string
  /** For the client to answer one round of questions; people are slow. */
  answerWaitMs: number
}

/** Rounds of questions in one call, and questions in one round. */
const ROUNDS_MAX = 16
const QUESTIONS_MAX = 32
const QUESTIONS_PER_SESSION_MAX = 256
/** Before a call is sent again that the server only asked to send again; doubled each time. */
const AGAIN_MS = 250
const AGAIN_MS_MAX = 8000

/** How a call ends: with a result or an error of the server's, or with an answer that is no MCP. */
type Ended = { kind: 'text'; text: string } | { kind: 'foreign'; answer: UpstreamAnswer }

/** One request of a legacy client, carried out by a modern server: with questions to the client in between, for as many rounds as it takes. */
export class BridgedCall {
  readonly #parts: BridgeParts
  readonly #session: BridgedSession
  readonly #request: UpstreamRequest
  readonly #message: JsonObject
  readonly #exchange: Exchange
  readonly #slot: number
  readonly #cut = new CancelSwitch()
  readonly #asked = new Set<string>()
  #reply: ModernReply | null = null
  /** The server waits to be sent the call again: nothing of it is under way there. */
  isBetweenRounds = false

  constructor(parts: BridgeParts, facts: { session: BridgedSession; request: UpstreamRequest; message: JsonObject; exchange: Exchange; slot: number }) {
    this.#parts = parts
    this.#session = facts.session
    this.#request = facts.request
    this.#message = facts.message
    this.#exchange = facts.exchange
    this.#slot = facts.slot
    facts.exchange.awaited.set(facts.slot, { idText: JSON.stringify(facts.message.id), method: String(facts.message.method), progressToken: null })
  }

  /** Resolves when the exchange has the response. Never rejects. */
  async run(): Promise<void> {
    const key = idKeyOf(this.#message.id)
    this.#session.calls.set(key, this)
    try {
      this.#end(await this.#rounds())
    } catch (error) {
      this.#fail(error)
    } finally {
      if (this.#session.calls.get(key) === this) this.#session.calls.delete(key)
    }
  }

  /** Closing the server's answer is what cancels a request of 2026-07-28. */
  cancel(why: string): void {
    if (this.#cut.aborted) return
    this.#cut.abort()
    this.#reply?.cancel()
    this.#session.questions.drop(this.#asked, why)
    this.#exchange.respond(this.#slot, errorText(this.#message.id, { code: LEGACY_ERROR, message: why }))
  }

  get #method(): string {
    return String(this.#message.method)
  }

  async #rounds(): Promise<Ended> {
    // What a legacy client may not say, and what it has no name for.
    const { task: _task, inputResponses: _responses, requestState: _state, ...params } = objectOr(this.#message.params)
    let outgoing: JsonObject = params
    let headers = await this.#paramHeaders(params)
    let isMended = false
    for (let round = 0; round < ROUNDS_MAX; ) {
      const answer = await this.#send(outgoing, headers)
      if (answer.foreign !== undefined) return { kind: 'foreign', answer: answer.foreign }
      const { result, error } = answer.response
      if (objectOr(error).code === HEADER_MISMATCH && this.#method === 'tools/call' && !isMended) {
        // Refused unread: the tool's schema is another one now.
        isMended = true
        this.#parts.tools.forget(ownerOf(this.#session))
        headers = await this.#paramHeaders(params)
        continue
      }
      if (error !== undefined) return this.#errored(legacyError(error))
      if (!isJsonObject(result)) return this.#errored({ code: INTERNAL_ERROR, message: 'The MCP server gave neither a result nor an error.' })
      if (result.resultType === undefined || result.resultType === 'complete') return { kind: 'text', text: resultText(this.#message.id, this.#legacyResult(result)) }
      if (result.resultType !== 'input_required') return this.#errored(notBridged(result.resultType))
      this.isBetweenRounds = true
      const given = await this.#input(result, round)
      this.isBetweenRounds = false
      if (this.#cut.aborted) throw new UpstreamFailure('aborted', 'the call was given up')
      if ('error' in given) return this.#errored(given.error)
      outgoing = { ...params, ...given.input }
      round += 1
    }
    return this.#errored({ code: INTERNAL_ERROR, message: `The MCP server asked for more input ${ROUNDS_MAX} times without coming to an end.` })
  }

  /** Sends it once more or for the first time, relays what comes before the response, and returns that. */
  async #send(params: JsonObject, headers: HeaderList): Promise<{ foreign: UpstreamAnswer } | { foreign?: undefined; response: JsonObject }> {
    const id = this.#parts.nextId()
    const { client, logLevel } = this.#session
    const request = modernRequest(this.#request, { id, method: this.#method, params, client, logLevel, paramHeaders: headers, signal: this.#cut })
    const reply = await exchangeModern(this.#parts.inner, request, this.#parts.messageBytesMax)
    if (this.#cut.aborted) {
      reply.cancel()
      throw new UpstreamFailure('aborted', 'the call was given up')
    }
    if (reply.foreign !== null) return { foreign: reply.foreign }
    this.#reply = reply
    if (reply.isStream && !this.#exchange.isOver) this.#exchange.openStream()
    for (let message = await reply.next(); message !== null; message = await reply.next()) {
      if (message.method === undefined) {
        const isOwn = message.id === id || (message.error !== undefined && (message.id === null || message.id === undefined))
        if (!isOwn) continue
        reply.cancel()
        return { response: message }
      }
      // Servers of this revision ask by their results; a question asked otherwise has no way back.
      if (message.id !== undefined || message.method === 'notifications/cancelled') continue
      this.#exchange.relay({ text: JSON.stringify(message) })
      await this.#exchange.stream?.drained()
    }
    throw new UpstreamFailure('reset', 'the stream ended before the response')
  }

  /** What the server asked for, to be sent along when the call is sent again; an error where it cannot be had. */
  async #input(result: JsonObject, round: number): Promise<{ input: JsonObject } | { error: RpcError }> {
    const requests = readInputRequests(result.inputRequests, QUESTIONS_MAX)
    if (requests === null || (requests.size === 0 && result.requestState === undefined)) return { error: { code: INTERNAL_ERROR, message: 'The MCP server asked for input in a form that cannot be read.' } }
    const state = result.requestState === undefined ? {} : { requestState: result.requestState }
    if (requests.size === 0) {
      await this.#pause(Math.min(AGAIN_MS_MAX, AGAIN_MS * 2 ** round))
      return { input: state }
    }
    for (const request of requests.values()) {
      const why = whyNotAskable(request, this.#session.client.capabilities)
      if (why !== null) return { error: { code: INVALID_REQUEST, message: why } }
    }
    if (this.#session.questions.count + requests.size > QUESTIONS_PER_SESSION_MAX) return { error: { code: LEGACY_ERROR, message: 'Too many questions wait for this client to answer them.' } }
    const inputResponses: JsonObject = {}
    for (const [key, answer] of await this.#ask(requests)) {
      if (!answer.ok) return { error: { code: LEGACY_ERROR, message: `The MCP server asked this client for "${requests.get(key)?.method}" and got no answer: ${answer.message}` } }
      inputResponses[key] = answer.result
    }
    return { input: { ...state, inputResponses } }
  }

  async #ask(requests: Map<string, InputRequest>): Promise<[key: string, answer: QuestionAnswer][]> {
    const { questions } = this.#session
    const waiting = [...requests].map(async ([key, request]): Promise<[string, QuestionAnswer]> => {
      const id = this.#parts.newQuestionId()
      this.#asked.add(id)
      const answer = questions.ask(id)
      this.#exchange.relay({ text: questionText(id, request) })
      return [key, await answer]
    })
    const timer = setTimeout(() => {
      for (const requestId of this.#asked) this.#exchange.relay({ text: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } }) })
      questions.drop(this.#asked, 'It took too long.')
    }, this.#parts.answerWaitMs)
    try {
      return await Promise.all(waiting)
    } finally {
      clearTimeout(timer)
      this.#asked.clear()
    }
  }

  #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ms)
    this.#cut.addEventListener('abort', resolve)
    return promise.finally(() => clearTimeout(timer))
  }

  async #paramHeaders({ name, arguments: args }: JsonObject): Promise<HeaderList> {
    if (this.#method !== 'tools/call' || typeof name !== 'string') return []
    const mirrored = await this.#parts.tools.paramsOf(ownerOf(this.#session), name, (cursor) => this.#listTools(cursor))
    return paramHeaders(mirrored, args)
  }

  async #listTools(cursor: unknown): Promise<JsonObject | null> {
    const id = this.#parts.nextId()
    const request = modernRequest(this.#request, {
      id, method: 'tools/list', params: cursor === undefined ? {} : { cursor }, client: this.#session.client, logLevel: null, signal: this.#cut,
    })
    try {
      const reply = await exchangeModern(this.#parts.inner, request, this.#parts.messageBytesMax)
      for (let message = await reply.next(); message !== null; message = await reply.next()) {
        if (message.id === id && message.method === undefined) return isJsonObject(message.result) ? message.result : null
      }
    } catch (error) {
      // Without the list the call goes without these headers: a server that wants them says so.
      if (!(error instanceof UpstreamFailure)) throw error
    }
    return null
  }

  #legacyResult(result: JsonObject): JsonObject {
    return legacyResult(this.#method, result, {
      hasHeaders: hasHeaders(this.#request),
      onDropped: (tool, why) => this.#parts.log.write('warn', 'left a tool out of a list', { connectionId: this.#session.owner.connectionId, tool, why }),
    })
  }

  #errored(error: RpcError): Ended {
    return { kind: 'text', text: errorText(this.#message.id, error) }
  }

  #end(ended: Ended): void {
    if (ended.kind === 'text') return this.#exchange.respond(this.#slot, ended.text)
    const { status } = ended.answer
    // To a legacy client these two speak of its session, which the server knows nothing of.
    const isToBeSaid = status === 400 || status === 404 || this.#exchange.isBatch || this.#exchange.stream !== null
    if (!isToBeSaid) return this.#exchange.refuse(ended.answer)
    this.#exchange.respond(this.#slot, errorText(this.#message.id, { code: INTERNAL_ERROR, message: `The MCP server answered with HTTP status ${status} and without a message of MCP.` }))
  }

  #fail(error: unknown): void {
    if (!(error instanceof UpstreamFailure)) this.#parts.log.write('error', 'a bridged call failed', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    if (this.#cut.aborted) return
    const failure = error instanceof UpstreamFailure ? error : new UpstreamFailure('invalid', 'a bridged call failed')
    if (!this.#exchange.isBatch) return this.#exchange.fail(failure)
    this.#exchange.respond(this.#slot, errorText(this.#message.id, { code: INTERNAL_ERROR, message: 'The MCP server gave no answer to this request.' }))
  }
}

/** Only over HTTP must tools be left out whose arguments go into headers in a wrong way. */
function hasHeaders({ url }: Pick<UpstreamRequest, 'url'>): boolean {
  return !url.startsWith('stdio:')
}

export function ownerOf({ owner }: BridgedSession): string {
  return `${owner.connectionId} ${owner.principalId}`
}

function notBridged(resultType: unknown): RpcError {
  return { code: INTERNAL_ERROR, message: `The MCP server answered with a result of the type "${String(resultType).slice(0, 100)}", which a client of an earlier revision cannot take.` }
}
