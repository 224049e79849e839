import { UpstreamFailure, type UpstreamBody } from '../core/ports.ts'

/** Above this much unread content the socket is paused … */
const FULL_BYTES = 256 * 1024
/** … and below this much it reads on. */
const LOW_BYTES = 64 * 1024
/** What holding a chunk costs besides its bytes, so that a stream of single bytes is bounded too. */
const CHUNK_COST_BYTES = 128

export interface BodySource {
  resume(): void
  cancel(): void
}

/** What was received of a body and not read yet. */
export class AnswerBody implements UpstreamBody {
  readonly length: number | null
  readonly #source: BodySource
  #chunks: Uint8Array[] = []
  #first = 0
  #buffered = 0
  #isEnded = false
  #wasRead = false
  #failure: UpstreamFailure | null = null
  #waiter: { resolve: (chunk: Uint8Array | null) => void; reject: (failure: UpstreamFailure) => void } | null = null

  constructor(length: number | null, source: BodySource) {
    this.length = length
    this.#source = source
  }

  get isFull(): boolean {
    return this.#buffered > FULL_BYTES
  }

  push(chunk: Uint8Array): void {
    const waiter = this.#waiter
    if (waiter !== null) {
      this.#waiter = null
      waiter.resolve(chunk)
      return
    }
    this.#chunks.push(chunk)
    this.#buffered += chunk.length + CHUNK_COST_BYTES
  }

  end(): void {
    this.#isEnded = true
    this.#waiter?.resolve(null)
    this.#waiter = null
  }

  /** What arrived before a failure of the upstream can still be read; what was given up cannot. */
  fail(failure: UpstreamFailure): void {
    if (this.#isEnded || this.#failure !== null) return
    this.#failure = failure
    if (failure.kind === 'aborted') this.#discard()
    this.#waiter?.reject(failure)
    this.#waiter = null
  }

  arrived(): Uint8Array | null {
    if (!this.#isEnded || this.#failure !== null || this.#wasRead) return null
    return this.#chunks.length === 1 ? (this.#chunks[0] ?? EMPTY) : Buffer.concat(this.#chunks)
  }

  read(): Promise<Uint8Array | null> {
    this.#wasRead = true
    const chunk = this.#chunks[this.#first]
    if (chunk !== undefined) {
      this.#shift(chunk)
      return Promise.resolve(chunk)
    }
    if (this.#failure !== null) return Promise.reject(this.#failure)
    if (this.#isEnded) return Promise.resolve(null)
    if (this.#waiter !== null) return Promise.reject(new Error('a body is read by one reader at a time'))
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
    })
  }

  cancel(): void {
    if (this.#failure !== null) return
    this.fail(new UpstreamFailure('aborted', 'the answer was given up'))
    this.#discard()
    this.#source.cancel()
  }

  #shift(chunk: Uint8Array): void {
    this.#chunks[this.#first++] = EMPTY
    this.#buffered -= chunk.length + CHUNK_COST_BYTES
    if (this.#first === this.#chunks.length) {
      this.#chunks = []
      this.#first = 0
    }
    if (this.#buffered < LOW_BYTES && !this.#isEnded) this.#source.resume()
  }

  #discard(): void {
    this.#chunks = []
    this.#first = 0
    this.#buffered = 0
  }
}

const EMPTY = new Uint8Array(0)
