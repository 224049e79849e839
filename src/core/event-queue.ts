import { UpstreamFailure, type UpstreamBody } from './ports.ts'

const ENCODER = new TextEncoder()
/** Above this much unread, whoever feeds the queue is asked to wait … */
const FULL_BYTES = 1024 * 1024
/** … and this much nobody may leave unread. */
const BYTES_MAX = 8 * 1024 * 1024

/** Messages on their way to one caller, as a body in the form of server-sent events. */
export class EventQueue implements UpstreamBody {
  readonly length = null
  readonly #onCancel: () => void
  #chunks: Uint8Array[] = []
  #held = 0
  #isEnded = false
  #failure: UpstreamFailure | null = null
  #waiter: { resolve: (chunk: Uint8Array | null) => void; reject: (failure: UpstreamFailure) => void } | null = null
  #drained: (() => void)[] = []

  constructor(onCancel: () => void) {
    this.#onCancel = onCancel
  }

  get isOpen(): boolean {
    return !this.#isEnded && this.#failure === null
  }

  get isFull(): boolean {
    return this.isOpen && this.#held > FULL_BYTES
  }

  /** Resolves when what is held was read, or will never be. */
  drained(): Promise<void> {
    return this.isFull ? new Promise((resolve) => this.#drained.push(resolve)) : Promise.resolve()
  }

  /** One message, whose text must be one line. */
  push(text: string): void {
    this.pushRaw(`event: message\ndata: ${text}\n\n`)
  }

  /** One event or several, as they are. */
  pushRaw(events: string | Uint8Array): void {
    if (!this.isOpen) return
    const chunk = typeof events === 'string' ? ENCODER.encode(events) : events
    if (chunk.length === 0) return
    const waiter = this.#waiter
    if (waiter !== null) {
      this.#waiter = null
      waiter.resolve(chunk)
      return
    }
    // One message larger than that may still pass: the line it came in was bounded.
    if (this.#held > BYTES_MAX) return this.fail(new UpstreamFailure('too_large', 'the caller does not read its answer as fast as it is written'))
    this.#chunks.push(chunk)
    this.#held += chunk.length
  }

  end(): void {
    if (!this.isOpen) return
    this.#isEnded = true
    this.#release()
    this.#waiter?.resolve(null)
    this.#waiter = null
  }

  /** What came before the failure can still be read. */
  fail(failure: UpstreamFailure): void {
    if (!this.isOpen) return
    this.#failure = failure
    this.#release()
    this.#waiter?.reject(failure)
    this.#waiter = null
  }

  read(): Promise<Uint8Array | null> {
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) {
      this.#held -= chunk.length
      if (this.#held <= FULL_BYTES) this.#release()
      return Promise.resolve(chunk)
    }
    if (this.#failure !== null) return Promise.reject(this.#failure)
    if (this.#isEnded) return Promise.resolve(null)
    return new Promise((resolve, reject) => (this.#waiter = { resolve, reject }))
  }

  cancel(): void {
    if (!this.isOpen) return
    this.#chunks = []
    this.#held = 0
    this.fail(new UpstreamFailure('aborted', 'the answer was given up'))
    this.#onCancel()
  }

  #release(): void {
    for (const wake of this.#drained.splice(0)) wake()
  }
}

/** One message as one line: line breaks can stand between tokens only, where a space means the same. */
export function oneLine(text: string): string {
  return /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, ' ') : text
}

/** A whole body that is known already. */
export function wholeBody(text: string): UpstreamBody {
  return wholeBytes(ENCODER.encode(text))
}

export function wholeBytes(bytes: Uint8Array): UpstreamBody {
  let chunk: Uint8Array | null = bytes.length === 0 ? null : bytes
  return {
    length: chunk?.length ?? 0,
    async read() {
      const next = chunk
      chunk = null
      return next
    },
    cancel() {
      chunk = null
    },
  }
}
