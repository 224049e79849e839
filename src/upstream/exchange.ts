import { UpstreamFailure, type UpstreamAnswer, type UpstreamFailureKind, type UpstreamRequest } from '../core/ports.ts'
import { AnswerBody, type BodySource } from './answer-body.ts'
import { framingFor, type BodyFraming } from './body.ts'
import { Connecting, type ConnectContext, type ConnectWaiter } from './connect.ts'
import { decodeBody } from './decode.ts'
import type { Timed } from './deadlines.ts'
import { readHead, type ResponseHead } from './head.ts'
import type { OriginPool } from './pool.ts'
import type { PollGate } from './poll-gate.ts'
import type { Wire, WireOwner } from './wire.ts'

export interface ExchangeContext extends ConnectContext {
  gate: PollGate
  responseBytesMax: number
  bodyStallMs: number
  headBytesMax: number
  active: Set<Exchange>
}

export interface ExchangeWaiter {
  resolve(answer: UpstreamAnswer): void
  reject(failure: UpstreamFailure): void
}

/** How often a call may find its socket closed before it has written a byte. Each time is a race lost, so a few are plenty. */
const WIRES_MAX = 4
const INTERIM_ANSWERS_MAX = 8

/** One request and its answer, from finding a socket to giving it back. The request is written to one socket, once. */
export class Exchange implements WireOwner, ConnectWaiter, BodySource, Timed, EventListenerObject {
  slot: Set<Timed> | null = null
  readonly #context: ExchangeContext
  readonly #pool: OriginPool
  readonly #request: UpstreamRequest
  readonly #waiter: ExchangeWaiter
  #unsent: Uint8Array[]
  #unsentOffset = 0
  #mayHaveBeenSent = false
  #connecting: Connecting | null = null
  #wire: Wire | null = null
  #wireIdleMs: number | null = null
  #wiresTried = 0
  #headBytes: Buffer | null = null
  #interimAnswers = 0
  #head: ResponseHead | null = null
  #framing: BodyFraming | null = null
  #body: AnswerBody | null = null
  #bodyBytes = 0
  #lastByteAt = 0
  #isPaused = false
  #isOver = false

  constructor(context: ExchangeContext, pool: OriginPool, request: UpstreamRequest, bytes: Uint8Array[], waiter: ExchangeWaiter) {
    this.#context = context
    this.#pool = pool
    this.#request = request
    this.#unsent = bytes
    this.#waiter = waiter
  }

  start(): void {
    this.#context.active.add(this)
    this.#request.signal.addEventListener('abort', this)
    this.#context.deadlines.after(this.#request.timeoutMs, this)
    this.#findWire()
  }

  /** The call's signal was aborted. */
  handleEvent(): void {
    this.abort('the call was given up')
  }

  abort(message: string): void {
    this.#fail('aborted', message)
  }

  expired(): void {
    if (this.#head === null) return this.#fail('timeout', `no answer within ${this.#request.timeoutMs} ms`)
    const silentMs = this.#isPaused ? 0 : performance.now() - this.#lastByteAt
    if (silentMs >= this.#context.bodyStallMs) return this.#fail('timeout', `the answer stalled for ${this.#context.bodyStallMs} ms`)
    this.#context.deadlines.after(this.#context.bodyStallMs - silentMs, this)
  }

  // Finding a socket and writing

  #findWire(): void {
    if (++this.#wiresTried > WIRES_MAX) return this.#fail('unreachable', 'the upstream closes every connection at once')
    if (this.#pool.idleCount === 0) return this.#connect()
    this.#context.gate.wait((poll) => {
      if (this.#isOver) return
      const wire = this.#pool.take(poll)
      if (wire === null) return this.#connect()
      this.#wireIdleMs = performance.now() - wire.idleSince
      this.#use(wire)
    })
  }

  #connect(): void {
    this.#wireIdleMs = null
    this.#connecting = new Connecting(this.#context, this.#pool, this)
    this.#connecting.start()
  }

  connected(wire: Wire): void {
    this.#connecting = null
    this.#use(wire)
  }

  failed(failure: UpstreamFailure): void {
    this.#connecting = null
    this.#end(failure)
  }

  #use(wire: Wire): void {
    this.#wire = wire
    wire.owner = this
    this.#write()
  }

  drained(): void {
    this.#write()
  }

  #write(): void {
    while (this.#wire !== null) {
      const part = this.#unsent[0]
      if (part === undefined) return
      const written = this.#wire.write(part, this.#unsentOffset)
      if (written < 0) return this.#wireFailed(null)
      // A TLS socket may hold back what it took; from here on only the upstream knows.
      if (written > 0 || this.#wire.isTls) this.#mayHaveBeenSent = true
      this.#unsentOffset += written
      if (this.#unsentOffset < part.byteLength) return
      this.#unsent.shift()
      this.#unsentOffset = 0
    }
  }

  ended(error: Error | null): void {
    if (this.#framing?.endsWithClose === true && error === null) return this.#complete(false)
    this.#wireFailed(error)
  }

  #wireFailed(error: Error | null): void {
    const reason = error?.message ?? 'the upstream closed the connection'
    if (this.#head === null && this.#headBytes === null && this.#wireIdleMs !== null) this.#pool.learn(this.#wireIdleMs)
    if (this.#mayHaveBeenSent) return this.#fail('reset', this.#head === null ? `no answer: ${reason}` : `the answer is cut short: ${reason}`)
    this.#wire?.destroy()
    this.#wire = null
    this.#findWire()
  }

  // Reading the answer

  received(bytes: Buffer): void {
    try {
      if (!this.#mayHaveBeenSent) throw new UpstreamFailure('invalid', 'the upstream spoke before it was asked', false)
      if (this.#head === null) this.#takeHead(bytes)
      else this.#takeBody(bytes)
    } catch (error) {
      this.#end(error instanceof UpstreamFailure ? error : new UpstreamFailure('invalid', `the answer cannot be read: ${String(error)}`))
    }
  }

  #takeHead(bytes: Buffer): void {
    let rest = this.#headBytes === null ? bytes : Buffer.concat([this.#headBytes, bytes])
    for (;;) {
      const found = readHead(rest, { bytesMax: this.#context.headBytesMax })
      if (found === null) {
        this.#headBytes = rest
        return
      }
      rest = rest.subarray(found.bytesRead)
      if (found.head.status >= 200) return this.#begin(found.head, rest)
      if (found.head.status === 101) throw new UpstreamFailure('invalid', 'the upstream switches to a protocol that nobody asked for')
      if (++this.#interimAnswers > INTERIM_ANSWERS_MAX) throw new UpstreamFailure('invalid', 'the upstream sends interim answers without end')
    }
  }

  #begin(head: ResponseHead, rest: Buffer): void {
    const length = head.framing.kind === 'length' ? head.framing.bytes : head.framing.kind === 'none' ? 0 : null
    const bytesMax = head.isEventStream ? Infinity : this.#context.responseBytesMax
    if (length !== null && length > bytesMax) throw new UpstreamFailure('too_large', `the answer is longer than ${bytesMax} bytes`)
    const raw = new AnswerBody(length, this)
    const body = head.contentEncoding === null || length === 0 ? raw : decodeBody(raw, head.contentEncoding, bytesMax)
    this.#head = head
    this.#headBytes = null
    this.#body = raw
    this.#framing = framingFor(head.framing, this.#context.headBytesMax)
    this.#waiter.resolve({ status: head.status, headers: head.headers, body })
    this.#context.deadlines.clear(this)
    this.#takeBody(rest)
    if (!this.#isOver && !head.isEventStream) this.#context.deadlines.after(this.#context.bodyStallMs, this)
  }

  #takeBody(bytes: Buffer): void {
    const body = this.#body
    const framing = this.#framing
    const head = this.#head
    if (body === null || framing === null || head === null) return
    this.#lastByteAt = performance.now()
    const bytesMax = head.isEventStream ? Infinity : this.#context.responseBytesMax
    const used = framing.push(bytes, (chunk) => {
      this.#bodyBytes += chunk.length
      if (this.#bodyBytes > bytesMax) throw new UpstreamFailure('too_large', `the answer is longer than ${bytesMax} bytes`)
      body.push(chunk)
    })
    if (framing.isDone) return this.#complete(used < bytes.length)
    if (body.isFull && !this.#isPaused) {
      this.#isPaused = true
      this.#wire?.socket?.pause()
    }
  }

  #complete(hasMoreBytes: boolean): void {
    const wire = this.#wire
    this.#close()
    this.#body?.end()
    if (wire === null || wire.isClosed) return
    if (this.#isPaused) wire.socket?.resume()
    if (hasMoreBytes) {
      this.#pool.lost(wire, 'spoke')
      return wire.destroy()
    }
    // An answer that came before the whole request was written leaves the socket in the middle of it.
    if (this.#head?.isReusable !== true || this.#unsent.length > 0) return wire.finish()
    this.#pool.release(wire, this.#head.keepAliveMs)
  }

  // The reader's side

  resume(): void {
    if (!this.#isPaused || this.#isOver) return
    this.#isPaused = false
    this.#lastByteAt = performance.now()
    this.#wire?.socket?.resume()
  }

  cancel(): void {
    this.abort('the answer was given up')
  }

  // The end

  #fail(kind: UpstreamFailureKind, message: string): void {
    this.#end(new UpstreamFailure(kind, `${this.#pool.origin.host}: ${message}`, this.#mayHaveBeenSent))
  }

  #end(failure: UpstreamFailure): void {
    if (this.#isOver) return
    const wire = this.#wire
    const connecting = this.#connecting
    this.#close()
    connecting?.abandon()
    wire?.destroy()
    if (this.#body === null) this.#waiter.reject(failure)
    else this.#body.fail(failure)
  }

  #close(): void {
    this.#isOver = true
    this.#wire = null
    this.#connecting = null
    this.#context.deadlines.clear(this)
    this.#context.active.delete(this)
    this.#request.signal.removeEventListener('abort', this)
  }
}
