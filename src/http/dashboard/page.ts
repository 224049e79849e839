import { SHELL_HEADERS } from '../../../views/shell.tsx'
import type { SignInOrigin } from '../../control/sign-in.ts'
import { REFUSALS, type Refusal } from '../../core/result.ts'

/** A request for a page, with what the runtime alone knows about it. */
export interface PageRequest {
  request: Request
  path: string
  origin: SignInOrigin & { requestId: string }
}

/** For forms of a few fields; a page whose form holds more says so in its table. */
export const FORM_BYTES_MAX = 16_384

export function pageResponse(page: PageRequest, status: number, html: string, headers: Record<string, string> = {}): Response {
  return new Response(html, { status, headers: { ...SHELL_HEADERS, 'x-igris-request-id': page.origin.requestId, ...headers } })
}

/** After a form that was carried out: the browser asks for the next page, and reloading it repeats nothing. */
export function seeOther(page: PageRequest, location: string, headers: Record<string, string> = {}): Response {
  return new Response(null, { status: 303, headers: { location, 'cache-control': 'no-store', 'x-igris-request-id': page.origin.requestId, ...headers } })
}

export function statusOf(refusal: Refusal): number {
  return REFUSALS[refusal.code].http
}

export function retryHeader(refusal: Refusal): Record<string, string> {
  return refusal.retryAfterSeconds === undefined ? {} : { 'retry-after': String(refusal.retryAfterSeconds) }
}

/** A form of ours; null for another type, for too much, and where a field comes twice. */
export async function readForm(request: Request, bytesMax = FORM_BYTES_MAX): Promise<Map<string, string> | null> {
  if (!(request.headers.get('content-type') ?? '').toLowerCase().startsWith('application/x-www-form-urlencoded') || request.body === null) return null
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    length += chunk.byteLength
    if (length > bytesMax) return null
    chunks.push(chunk)
  }
  const fields = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(Buffer.concat(chunks).toString('utf8'))) {
    if (fields.has(name)) return null
    fields.set(name, value)
  }
  return fields
}

/** A path on this server and nothing else: what comes from a link must not lead people away. */
export function safeNext(next: string | null | undefined): string {
  return next != null && next.length <= 500 && /^\/(?![/\\])[\x21-\x7e]*$/.test(next) && !next.includes('\\') ? next : '/'
}
