import { ok, refuse } from '../core/result.ts'
import type { Refusal, Result } from '../core/result.ts'
import { OversizeId } from './oversize-id.ts'

/** Bytes of requests that this process may hold at one time, whoever sent them. */
export class ByteBudget {
  #used = 0
  constructor(private readonly bytesMax: number) {}

  take(bytes: number): boolean {
    if (this.#used + bytes > this.bytesMax) return false
    this.#used += bytes
    return true
  }

  give(bytes: number): void {
    this.#used -= bytes
  }
}

export interface BodyLimits {
  bytesMax: number
  budget: ByteBudget
}

/** How much of a body that is too large is still read, to find its id: beyond that the caller is told at once. */
const DRAINED_BYTES_MAX = 64 * 1024 * 1024

/**
 * Reads a request's body whole, never holding more than `bytesMax`, and counts it in the budget: `held` bytes must be given back.
 * The runtime's idle timeout ends a sender that dawdles.
 */
export async function readBody(request: Request, { bytesMax, budget }: BodyLimits): Promise<{ body: Result<Uint8Array>; held: number; idText: string | null }> {
  const announced = request.headers.get('content-length')
  if (announced !== null && Number(announced) <= bytesMax) {
    // The runtime has already refused lengths that are malformed or given twice.
    const held = Number(announced)
    if (!budget.take(held)) return { body: refuse('overloaded'), held: 0, idText: null }
    try {
      return { body: ok(new Uint8Array(await request.arrayBuffer())), held, idText: null }
    } catch {
      return { body: refuse('invalid_request', 'The request body ended early.'), held, idText: null }
    }
  }
  return readPieces(request, { bytesMax, budget })
}

async function readPieces(request: Request, { bytesMax, budget }: BodyLimits): Promise<{ body: Result<Uint8Array>; held: number; idText: string | null }> {
  if (request.body === null) return { body: ok(new Uint8Array(0)), held: 0, idText: null }
  const ends = new OversizeId()
  const chunks: Uint8Array[] = []
  let total = 0
  let held = 0
  try {
    for await (const chunk of request.body) {
      total += chunk.length
      if (total > DRAINED_BYTES_MAX) break
      ends.push(chunk)
      if (total > bytesMax) {
        chunks.length = 0
        continue
      }
      if (!budget.take(chunk.length)) return { body: refuse('overloaded'), held, idText: null }
      held += chunk.length
      chunks.push(chunk)
    }
  } catch {
    return { body: refuse('invalid_request', 'The request body ended early.'), held, idText: null }
  }
  if (total <= bytesMax) return { body: ok(Buffer.concat(chunks, total)), held, idText: null }
  if (total <= DRAINED_BYTES_MAX) ends.end()
  return { body: tooLarge(bytesMax), held, idText: ends.idText() }
}

function tooLarge(bytesMax: number): Refusal {
  return refuse('payload_too_large', `The request is larger than the ${bytesMax} bytes that this gateway accepts.`)
}

/** JSON in UTF-8, not compressed; anything else could be read in two ways, or not at all. */
export function checkContentType(headers: Headers): Result<void> {
  const encoding = headers.get('content-encoding')
  if (encoding !== null && encoding.trim().toLowerCase() !== 'identity') return refuse('unsupported_media_type', 'Compressed requests are not accepted; send the JSON as it is.')
  const value = headers.get('content-type')
  if (value === null) return refuse('unsupported_media_type', 'The Content-Type must be application/json.')
  if (value === 'application/json') return ok(undefined)
  const [type, ...parameters] = value.split(';')
  if (type?.trim().toLowerCase() !== 'application/json') return refuse('unsupported_media_type', 'The Content-Type must be application/json.')
  for (const parameter of parameters) {
    const [name, charset] = parameter.split('=')
    if (name?.trim().toLowerCase() !== 'charset') continue
    if (charset?.trim().replaceAll('"', '').toLowerCase() !== 'utf-8') return refuse('unsupported_media_type', 'The charset must be utf-8.')
  }
  return ok(undefined)
}

/** As the protocol asks clients to send it; read once, not for every call. */
const USUAL_ACCEPT = 'application/json, text/event-stream'

/** True when the Accept header lets the given type through; a missing header lets everything through. */
export function isAccepted(accept: string | null, type: string): boolean {
  if (accept === USUAL_ACCEPT && (type === 'application/json' || type === 'text/event-stream')) return true
  if (accept === null || accept.trim() === '') return true
  const [main] = type.split('/')
  return accept.split(',').some((range) => {
    const [name, ...parameters] = range.split(';')
    const isRefused = parameters.some((parameter) => /^\s*q=0(\.0*)?\s*$/i.test(parameter))
    const wanted = name?.trim().toLowerCase()
    return !isRefused && (wanted === type || wanted === `${main}/*` || wanted === '*/*')
  })
}
