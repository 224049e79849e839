import { ok, refuse } from '../core/result.ts'
import type { Refusal, Result } from '../core/result.ts'

/** Reads a request's body whole, never holding more than `bytesMax`. The runtime's idle timeout ends a sender that dawdles. */
export async function readBody(request: Request, bytesMax: number): Promise<Result<Uint8Array>> {
  const announced = request.headers.get('content-length')
  if (announced !== null) {
    // The runtime has already refused lengths that are malformed or given twice.
    if (Number(announced) > bytesMax) return tooLarge(bytesMax)
    return ok(new Uint8Array(await request.arrayBuffer()))
  }
  if (request.body === null) return ok(new Uint8Array(0))
  const chunks: Uint8Array[] = []
  let total = 0
  for await (const chunk of request.body) {
    total += chunk.length
    if (total > bytesMax) return tooLarge(bytesMax)
    chunks.push(chunk)
  }
  return ok(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, total))
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
