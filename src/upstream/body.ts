import { UpstreamFailure } from '../core/ports.ts'
import type { Framing } from './head.ts'

/** Finds the end of a body in what the socket delivers. */
export interface BodyFraming {
  isDone: boolean
  /** Takes body bytes off the front of `bytes`. Returns how many bytes it used: fewer than given only when the body is done. */
  push(bytes: Uint8Array, emit: (chunk: Uint8Array) => void): number
  /** Whether a clean close of the connection is how this body ends. */
  endsWithClose: boolean
}

export function framingFor(framing: Framing, trailerBytesMax: number): BodyFraming {
  switch (framing.kind) {
    case 'none':
      return new LengthFraming(0)
    case 'length':
      return new LengthFraming(framing.bytes)
    case 'chunked':
      return new ChunkedFraming(trailerBytesMax)
    case 'close':
      return new CloseFraming()
  }
}

class LengthFraming implements BodyFraming {
  isDone: boolean
  readonly endsWithClose = false
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
    this.isDone = bytes === 0
  }

  push(bytes: Uint8Array, emit: (chunk: Uint8Array) => void): number {
    const used = Math.min(bytes.length, this.#left)
    if (used > 0) emit(used === bytes.length ? bytes : bytes.subarray(0, used))
    this.#left -= used
    this.isDone = this.#left === 0
    return used
  }
}

class CloseFraming implements BodyFraming {
  readonly isDone = false
  readonly endsWithClose = true

  push(bytes: Uint8Array, emit: (chunk: Uint8Array) => void): number {
    if (bytes.length > 0) emit(bytes)
    return bytes.length
  }
}

const SIZE_LINE_BYTES_MAX = 1024
const SIZE_LINE = /^([0-9A-Fa-f]{1,12})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/
const TRAILER_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/

/** Extensions and trailers are read strictly and dropped: nothing behind the gateway may depend on them. */
class ChunkedFraming implements BodyFraming {
  isDone = false
  readonly endsWithClose = false
  #state: 'size' | 'content' | 'content-end' | 'trailer' = 'size'
  #line = ''
  #left = 0
  #trailerBytes = 0
  readonly #trailerBytesMax: number

  constructor(trailerBytesMax: number) {
    this.#trailerBytesMax = trailerBytesMax
  }

  push(bytes: Uint8Array, emit: (chunk: Uint8Array) => void): number {
    const found: Uint8Array[] = []
    let at = 0
    while (at < bytes.length && !this.isDone) {
      if (this.#state === 'content') {
        const used = Math.min(bytes.length - at, this.#left)
        found.push(bytes.subarray(at, at + used))
        this.#left -= used
        at += used
        if (this.#left === 0) this.#state = 'content-end'
      } else {
        at = this.#readLine(bytes, at)
      }
    }
    // Thousands of tiny chunks must not become thousands of tiny objects.
    if (found.length > 0) emit(found.length === 1 ? (found[0] as Uint8Array) : Buffer.concat(found))
    return at
  }

  #readLine(bytes: Uint8Array, from: number): number {
    const lineFeed = bytes.indexOf(10, from)
    const to = lineFeed === -1 ? bytes.length : lineFeed
    const bytesMax = this.#state === 'content-end' ? 1 : this.#state === 'size' ? SIZE_LINE_BYTES_MAX : this.#trailerBytesMax
    if (this.#line.length + to - from > bytesMax) throw new UpstreamFailure('invalid', 'a line of the chunked answer is too long')
    this.#line += Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('latin1')
    if (lineFeed === -1) return to
    if (!this.#line.endsWith('\r')) throw new UpstreamFailure('invalid', 'a line of the chunked answer ends in a bare line feed')
    const line = this.#line.slice(0, -1)
    this.#line = ''
    this.#takeLine(line)
    return lineFeed + 1
  }

  #takeLine(line: string): void {
    if (this.#state === 'content-end') {
      if (line !== '') throw new UpstreamFailure('invalid', 'a chunk of the answer is longer than its size')
      this.#state = 'size'
    } else if (this.#state === 'size') {
      const size = SIZE_LINE.exec(line)
      if (size === null) throw new UpstreamFailure('invalid', 'a chunk size of the answer is malformed')
      this.#left = parseInt(size[1] ?? '', 16)
      this.#state = this.#left === 0 ? 'trailer' : 'content'
    } else if (line === '') {
      this.isDone = true
    } else {
      this.#trailerBytes += line.length + 2
      if (this.#trailerBytes > this.#trailerBytesMax || !TRAILER_LINE.test(line)) throw new UpstreamFailure('invalid', 'a trailer of the answer is malformed or too long')
    }
  }
}
