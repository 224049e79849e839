import { CancelSwitch, type CancelSignal } from '../../../core/cancel-signal.ts'
import { EventQueue } from '../../../core/event-queue.ts'
import { UpstreamFailure, type Log, type UpstreamAnswer } from '../../../core/ports.ts'
import { objectOr, type JsonObject } from '../legacy-over-modern/exact-json.ts'
import { isEventStream } from '../peek.ts'
import { SUBSCRIPTION_ID } from './envelope.ts'
import type { LegacyWire } from './legacy-wire.ts'
import { readMessages, type StreamPosition } from './messages-in.ts'

/** Servers that hold the head of a quiet stream back are taken to have one. */
const HEAD_WAIT_MS = 2000
const FAILURES_MAX = 5
const RETRY_MS = 1000
const RETRY_MS_MAX = 30_000

/** Which notification stands behind each kind that a client may listen to, and what a server must offer for it. */
export const LIST_KINDS: Record<string, { method: string; capability: string }> = {
  toolsListChanged: { method: 'notifications/tools/list_changed', capability: 'tools' },
  promptsListChanged: { method: 'notifications/prompts/list_changed', capability: 'prompts' },
  resourcesListChanged: { method: 'notifications/resources/list_changed', capability: 'resources' },
}
const RESOURCE_UPDATED = 'notifications/resources/updated'

/** What a client is told of, as acknowledged. */
export interface Agreed {
  methods: Set<string>
  uris: Set<string>
}

/** One stream of a modern client that listens. */
export class Listener {
  readonly queue: EventQueue
  readonly #id: unknown
  readonly #agreed: Agreed

  constructor(id: unknown, agreed: Agreed, facts: { acknowledged: JsonObject; signal: CancelSignal; onGone(): void }) {
    this.#id = id
    this.#agreed = agreed
    this.queue = new EventQueue(facts.onGone)
    facts.signal.addEventListener('abort', () => this.queue.cancel())
    this.#push({ method: 'notifications/subscriptions/acknowledged', params: { notifications: facts.acknowledged } })
  }

  get uris(): Set<string> {
    return this.#agreed.uris
  }

  tell(message: JsonObject): void {
    const method = message.method as string
    if (this.#agreed.methods.has(method) || (method === RESOURCE_UPDATED && this.#watches(objectOr(message.params).uri))) this.#push(message)
  }

  /** The server's side of it is over. */
  end(): void {
    this.queue.push(JSON.stringify({ jsonrpc: '2.0', id: this.#id, result: { resultType: 'complete', _meta: { [SUBSCRIPTION_ID]: this.#id } } }))
    this.queue.end()
  }

  /** What changed may lie below what is watched. */
  #watches(uri: unknown): boolean {
    return typeof uri === 'string' && [...this.#agreed.uris].some((watched) => uri === watched || uri.startsWith(watched.endsWith('/') ? watched : `${watched}/`))
  }

  #push(message: JsonObject): void {
    const params = objectOr(message.params)
    this.queue.push(JSON.stringify({ jsonrpc: '2.0', method: message.method, params: { ...params, _meta: { ...objectOr(params._meta), [SUBSCRIPTION_ID]: this.#id } } }))
  }
}

export interface ListenStreamEvents {
  messageBytesMax: number
  log: Log
  onMessage(message: JsonObject): void
  /** The server knows the session no more. */
  onLost(): void
  /** There is no stream any more, though there was one. */
  onEnd(): void
}

/** The stream of a session for what belongs to no request: opened once, and again when it breaks. */
export class ListenStream {
  readonly #wire: LegacyWire
  readonly #events: ListenStreamEvents
  readonly #abort = new CancelSwitch()
  #opened: Promise<boolean> | null = null

  constructor(wire: LegacyWire, events: ListenStreamEvents) {
    this.#wire = wire
    this.#events = events
  }

  /** True when the server has such a stream. */
  open(): Promise<boolean> {
    this.#opened ??= new Promise((resolve) => {
      const timer = setTimeout(() => resolve(true), HEAD_WAIT_MS)
      const onHead = (isThere: boolean) => {
        clearTimeout(timer)
        resolve(isThere)
      }
      this.#run(onHead).catch((error: unknown) => {
        this.#events.log.write('error', 'listening to an older server failed', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
        onHead(false)
        this.#events.onEnd()
      })
    })
    return this.#opened
  }

  close(): void {
    this.#abort.abort()
  }

  async #run(onHead: (isThere: boolean) => void): Promise<void> {
    let lastEventId: string | null = null
    let wasThere = false
    for (let failures = 0; failures < FAILURES_MAX && !this.#abort.aborted;) {
      const heard = { something: false }
      const position = await this.#listenOnce(lastEventId, () => {
        wasThere = true
        onHead(true)
      }, heard)
      if (position === 'refused' || position === 'lost') {
        if (position === 'lost') this.#events.onLost()
        break
      }
      lastEventId = position?.lastEventId ?? lastEventId
      failures = heard.something ? 0 : failures + 1
      await this.#pause(position?.retryMs ?? Math.min(RETRY_MS * 2 ** failures, RETRY_MS_MAX))
    }
    onHead(false)
    if (!this.#abort.aborted && wasThere) this.#events.onEnd()
  }

  async #listenOnce(lastEventId: string | null, onHead: () => void, heard: { something: boolean }): Promise<StreamPosition | null | 'refused' | 'lost'> {
    let answer: UpstreamAnswer
    try {
      const judged = await this.#wire.judge(await this.#wire.listen(lastEventId, this.#abort))
      answer = judged.answer
      if (answer.status !== 200 || !isEventStream(answer)) {
        answer.body.cancel()
        return judged.isLost ? 'lost' : 'refused'
      }
      onHead()
      return await readMessages(answer, {
        messageBytesMax: this.#events.messageBytesMax,
        onMessage: (message) => {
          heard.something = true
          this.#events.onMessage(message)
        },
      })
    } catch (error) {
      if (error instanceof UpstreamFailure) return null
      throw error
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      timer.unref()
      this.#abort.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}
