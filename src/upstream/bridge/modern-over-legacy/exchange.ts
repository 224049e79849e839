import { CancelSwitch } from '../../../core/cancel-signal.ts'
import { UpstreamFailure, type UpstreamAnswer } from '../../../core/ports.ts'
import type { Owner } from '../bridge.ts'
import { objectOr, type JsonObject } from '../legacy-over-modern/exact-json.ts'
import { INTERNAL_ERROR } from '../legacy-over-modern/messages.ts'
import { LOG_LEVELS, MISSING_CAPABILITY, missingCapability, type ModernClient, type ModernRequest } from './envelope.ts'
import { fingerprintOf, type OpenQuestions, type Waiting } from './open-questions.ts'
import type { Reply } from './reply.ts'
import { modernResponse, URL_ELICITATION_REQUIRED } from './results.ts'

/** Questions that a server asks at once reach the client at once. */
const TOGETHER_MS = 15
const QUESTIONS_MAX = 32
/** What comes for a client that is away. */
const BACKLOG_MAX = 256
const STALL_MS = 10_000

interface Question {
  /** The server's id of it. */
  id: unknown
  method: string
  params: JsonObject
}

export interface ExchangeContext {
  owner: Owner
  client: ModernClient
  questions: OpenQuestions
  serverInfo(): unknown
  /** Sees each list of tools. */
  onList(response: JsonObject): void
  /** Takes an answer, or an error, to one of the server's questions. False where the server does not take it. */
  respond(id: unknown, outcome: JsonObject): Promise<boolean>
  /** Tells the server that nobody waits for the rest. */
  cancel(exchange: Exchange, reason: string): void
  onOver(exchange: Exchange): void
}

/** One call on a session of an earlier revision: under way there until its response, though its client may be answered with questions in between. */
export class Exchange {
  readonly wireId: number
  /** Ends the request at the server's side. */
  readonly abort = new CancelSwitch()
  readonly #context: ExchangeContext
  /** As the client last sent it. */
  #request: ModernRequest
  /** Null while the client has its questions and is away. */
  #reply: Reply | null
  #backlog: JsonObject[] = []
  #response: JsonObject | null = null
  readonly #questions = new Map<string, Question>()
  #questionsCount = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  #waiting: Waiting | null = null
  /** A capability that the server asked for and that the client does not offer. */
  #missing: JsonObject | null = null
  #isOver = false

  constructor(wireId: number, request: ModernRequest, reply: Reply, context: ExchangeContext) {
    this.wireId = wireId
    this.#request = request
    this.#reply = reply
    this.#context = context
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get hasResponse(): boolean {
    return this.#isOver || this.#response !== null
  }

  get mayBeAsked(): boolean {
    return !this.hasResponse && this.#request.mayBeAsked
  }

  get wantsLog(): boolean {
    return !this.hasResponse && this.#request.logLevel !== null
  }

  expectStream(): void {
    this.#reply?.expectStream()
  }

  /** Resolves when the client has read enough for more to come. One that does not read loses its call. */
  async hasRoom(): Promise<void> {
    const stream = this.#reply?.stream ?? null
    if (stream?.isFull !== true) return
    const timer = setTimeout(() => stream.cancel(), STALL_MS)
    await stream.drained()
    clearTimeout(timer)
  }

  progress(params: JsonObject): void {
    const { progressToken } = this.#request
    if (progressToken !== undefined) this.#tell({ jsonrpc: '2.0', method: 'notifications/progress', params: { ...params, progressToken } })
  }

  /** A log line, where the client asked for such. */
  log(message: JsonObject): void {
    const wanted = this.#request.logLevel
    const level = LOG_LEVELS.indexOf(objectOr(message.params).level as string)
    if (wanted !== null && level >= LOG_LEVELS.indexOf(wanted)) this.#tell(message)
  }

  /** A question of the server that belongs to this call. */
  ask(question: Question): void {
    const missing = missingCapability(this.#context.client, question.method, question.params)
    if (missing !== null) {
      this.#missing = { ...this.#missing, ...missing }
      return this.#refuse(question, -32601, `The client does not offer ${Object.keys(missing).join(', ')}.`)
    }
    if (!this.mayBeAsked || this.#questions.size >= QUESTIONS_MAX) return this.#refuse(question, INTERNAL_ERROR, 'The client cannot be asked now.')
    this.#questions.set(`q${++this.#questionsCount}`, question)
    this.#askSoon()
  }

  /** The server withdrew a question. */
  withdraw(id: unknown): boolean {
    for (const [key, question] of this.#questions) if (question.id === id) return this.#questions.delete(key)
    return false
  }

  /** The server's response. */
  respond(response: JsonObject): void {
    if (this.hasResponse) return
    this.#dropQuestions('The call is over.')
    if (this.#request.method === 'tools/list') this.#context.onList(response)
    this.#response = response
    if (this.#reply !== null) this.#deliver(this.#reply, response)
  }

  /** An answer that is none of JSON-RPC, or an error of HTTP. */
  refuse(answer: UpstreamAnswer, error: JsonObject | null): void {
    if (this.#isOver) return answer.body.cancel()
    if (error === null) this.#reply?.passOn(answer)
    else this.#reply?.finish({ jsonrpc: '2.0', id: this.#request.id, error }, answer.status)
    this.#over()
  }

  /** There will be no response. */
  fail(failure: UpstreamFailure): void {
    if (this.hasResponse) return
    this.#reply?.fail(failure)
    this.#over()
  }

  /** The client left, or did not come back. */
  leave(reason: string): void {
    if (this.#isOver) return
    const isUnderWay = this.#response === null
    this.#over()
    if (isUnderWay) this.#context.cancel(this, reason)
  }

  /** The client came back: its answers go to the server, and the rest of the call comes as the answer to its retry. */
  resume(responses: JsonObject, request: ModernRequest, reply: Reply): void {
    this.#request = request
    this.#reply = reply
    this.#waiting = null
    for (const message of this.#backlog.splice(0)) reply.tell(message)
    if (this.#response !== null) return this.#deliver(reply, this.#response)
    for (const [key, { id }] of this.#questions) {
      if (!Object.hasOwn(responses, key)) continue
      this.#questions.delete(key)
      void this.#context.respond(id, { result: responses[key] }).then((isTaken) => {
        if (!isTaken) this.#failWith('The MCP server did not take the answer to its question. Its session may be over: call again.')
      })
    }
    // What was left unanswered, or was asked meanwhile.
    if (this.#questions.size > 0) this.#askSoon()
  }

  #tell(message: JsonObject): void {
    if (this.hasResponse) return
    if (this.#reply !== null) return this.#reply.tell(message)
    if (this.#backlog.push(message) > BACKLOG_MAX) this.#backlog.shift()
  }

  /** Questions that nobody will answer any more: a server would wait for them. */
  #dropQuestions(why: string): void {
    for (const question of this.#questions.values()) this.#refuse(question, INTERNAL_ERROR, why)
    this.#questions.clear()
  }

  #refuse(question: Question, code: number, message: string): void {
    void this.#context.respond(question.id, { error: { code, message } })
  }

  #askSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      this.#askClient()
    }, TOGETHER_MS)
  }

  #askClient(): void {
    const reply = this.#reply
    if (reply === null || this.hasResponse || this.#questions.size === 0) return
    const waiting = this.#wait(Object.fromEntries([...this.#questions].map(([key, { method }]) => [key, method])))
    const requestState = this.#context.questions.open(waiting)
    if (requestState === null) {
      return this.#dropQuestions('Too many questions wait for their answers.')
    }
    this.#waiting = waiting
    this.#reply = null
    const inputRequests = Object.fromEntries([...this.#questions].map(([key, { method, params }]) => [key, inputRequest(method, params)]))
    reply.finish({ jsonrpc: '2.0', id: this.#request.id, result: { resultType: 'input_required', inputRequests, requestState } })
  }

  #wait(asked: Record<string, string>): Waiting {
    return {
      owner: this.#context.owner, fingerprint: fingerprintOf(this.#request), asked,
      exchange: this,
      onLapse: () => this.leave('The client did not answer in time.'),
    }
  }

  #deliver(reply: Reply, response: JsonObject): void {
    const { id, method } = this.#request
    const error = objectOr(response.error)
    if (error.code === URL_ELICITATION_REQUIRED && this.#askToVisit(reply, error)) return this.#over()
    const missing = 'error' in response ? this.#missing : null
    if (missing !== null) reply.finish({ jsonrpc: '2.0', id, error: { code: MISSING_CAPABILITY, message: 'The MCP server needs what this client does not offer.', data: { requiredCapabilities: missing } } })
    else reply.finish(modernResponse(response, { id, method, serverInfo: this.#context.serverInfo() }))
    this.#over()
  }

  /** The error that lists pages to visit becomes questions; then the call is made anew. False where it lists none. */
  #askToVisit(reply: Reply, error: JsonObject): boolean {
    const { elicitations } = objectOr(error.data)
    const pages = Array.isArray(elicitations) ? (elicitations as unknown[]).map(objectOr).slice(0, QUESTIONS_MAX) : []
    if (pages.length === 0) return false
    const missing = missingCapability(this.#context.client, 'elicitation/create', { mode: 'url' })
    const { id } = this.#request
    if (missing !== null || !this.#request.mayBeAsked) {
      const data = { requiredCapabilities: missing ?? {} }
      reply.finish({ jsonrpc: '2.0', id, error: { code: MISSING_CAPABILITY, message: String(error.message ?? 'The user must visit a page first.'), data } })
      return true
    }
    const inputRequests = Object.fromEntries(pages.map((params, index) => [`q${index + 1}`, inputRequest('elicitation/create', { ...params, mode: 'url' })]))
    const asked = Object.fromEntries(Object.keys(inputRequests).map((key) => [key, 'elicitation/create']))
    const requestState = this.#context.questions.open({ ...this.#wait(asked), exchange: null, onLapse: () => {} })
    if (requestState === null) return false
    reply.finish({ jsonrpc: '2.0', id, result: { resultType: 'input_required', inputRequests, requestState } })
    return true
  }

  #failWith(message: string): void {
    if (this.hasResponse) return
    this.#reply?.finish({ jsonrpc: '2.0', id: this.#request.id, error: { code: INTERNAL_ERROR, message } })
    this.leave(message)
  }

  #over(): void {
    this.#isOver = true
    this.#dropQuestions('The call is over.')
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#waiting !== null) this.#context.questions.close(this.#waiting)
    this.#waiting = null
    this.#context.onOver(this)
  }
}

/** Ids of what happens outside of the protocol are gone in this revision: the client learns the outcome from its retry. */
function inputRequest(method: string, params: JsonObject): JsonObject {
  const { _meta, elicitationId: _id, task: _task, ...kept } = params
  return method === 'roots/list' ? { method } : { method, params: kept }
}

