import type { Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib'
import { UpstreamFailure, type UpstreamBody } from '../core/ports.ts'

/**
 * The decoded content of a body that the upstream compressed although it was asked not to. Decodes only as fast as it is read, and
 * fails with `too_large` beyond `bytesMax`, so a small answer cannot become a huge one. Throws for an encoding that it does not know.
 */
export function decodeBody(source: UpstreamBody, encoding: string, bytesMax: number): UpstreamBody {
  if (!['gzip', 'x-gzip', 'deflate', 'br'].includes(encoding)) throw new UpstreamFailure('invalid', 'the answer has an encoding that nobody asked for')
  let decoder: Transform | null = null
  let chunks: AsyncIterator<Uint8Array> | null = null
  let bytes = 0
  let failure: UpstreamFailure | null = null
  let isEnded = false

  async function open(): Promise<AsyncIterator<Uint8Array> | null> {
    const first = await source.read()
    if (first === null) return null
    decoder = decoderFor(encoding, first)
    // Failures are read from the iterator; without a listener the stream would raise them a second time.
    decoder.on('error', () => {})
    void pump(source, decoder, first)
    return decoder[Symbol.asyncIterator]()
  }

  function fail(error: unknown): never {
    failure ??= error instanceof UpstreamFailure ? error : new UpstreamFailure('invalid', `the answer does not decode as ${encoding}`)
    source.cancel()
    decoder?.destroy()
    throw failure
  }

  async function read(): Promise<Uint8Array | null> {
    if (failure !== null) throw failure
    if (isEnded) return null
    try {
      chunks ??= await open()
      const next = chunks === null ? null : await chunks.next()
      // Cancelled while this read was waiting.
      if (failure !== null) throw failure
      if (next === null || next.done === true) {
        isEnded = true
        return null
      }
      bytes += next.value.length
      if (bytes > bytesMax) throw new UpstreamFailure('too_large', `the answer decodes to more than ${bytesMax} bytes`)
      return next.value
    } catch (error) {
      return fail(error)
    }
  }

  function cancel(): void {
    if (failure !== null || isEnded) return
    failure = new UpstreamFailure('aborted', 'the answer was given up')
    source.cancel()
    decoder?.destroy(failure)
  }

  return { length: null, read, cancel }
}

async function pump(source: UpstreamBody, decoder: Transform, first: Uint8Array): Promise<void> {
  try {
    for (let chunk: Uint8Array | null = first; chunk !== null; chunk = await source.read()) {
      if (!decoder.write(chunk)) await roomIn(decoder)
      if (decoder.destroyed) return
    }
    decoder.end()
  } catch (error) {
    decoder.destroy(error instanceof Error ? error : new Error(String(error)))
  }
}

function roomIn(decoder: Transform): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      decoder.off('drain', done).off('close', done)
      resolve()
    }
    decoder.on('drain', done).on('close', done)
    if (decoder.destroyed) done()
  })
}

function decoderFor(encoding: string, first: Uint8Array): Transform {
  if (encoding === 'br') return createBrotliDecompress()
  if (encoding !== 'deflate') return createGunzip()
  // Some servers send raw deflate under this name; the first byte of the zlib format tells which it is.
  return ((first[0] ?? 0) & 0x0f) === 8 ? createInflate() : createInflateRaw()
}
