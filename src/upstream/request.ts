import { UpstreamFailure, type HeaderList, type UpstreamRequest } from '../core/ports.ts'

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const UNSAFE_VALUE = /[^\t\x20-\x7e\x80-\xff]/
/** These frame the message or the connection; the client writes them itself. */
const RESERVED = new Set(['host', 'content-length', 'transfer-encoding', 'connection', 'keep-alive', 'proxy-connection', 'upgrade', 'te', 'trailer', 'expect', 'http2-settings'])

/** Bodies up to this size travel in one buffer with the head, so that one write carries the whole request. */
const JOINED_BYTES_MAX = 64 * 1024

/** The request as buffers to write in order. Throws `UpstreamFailure` of kind `invalid` for a header that could forge another. */
export function writeRequest(request: Pick<UpstreamRequest, 'method' | 'headers' | 'body'>, target: { host: string; path: string }): Uint8Array[] {
  const body = request.body
  let head = `${request.method} ${target.path} HTTP/1.1\r\nhost: ${target.host}\r\naccept-encoding: identity\r\n${headerLines(request.headers)}`
  if (body !== null || request.method === 'POST') head += `content-length: ${body?.byteLength ?? 0}\r\n`
  head += '\r\n'
  if (body === null || body.byteLength === 0) return [Buffer.from(head, 'latin1')]
  if (body.byteLength > JOINED_BYTES_MAX) return [Buffer.from(head, 'latin1'), body]
  const joined = Buffer.allocUnsafe(head.length + body.byteLength)
  joined.write(head, 0, 'latin1')
  joined.set(body, head.length)
  return [joined]
}

function headerLines(headers: HeaderList): string {
  let lines = ''
  for (const [name, value] of headers) {
    const lower = name.toLowerCase()
    if (lower === 'accept-encoding') continue
    if (!TOKEN.test(name)) throw new UpstreamFailure('invalid', 'a header name for the upstream holds characters that are not allowed', false)
    if (RESERVED.has(lower)) throw new UpstreamFailure('invalid', `the header ${lower} is set by the gateway alone`, false)
    // The value may be a credential, so only the name is told.
    if (UNSAFE_VALUE.test(value)) throw new UpstreamFailure('invalid', `the value of the header ${lower} holds characters that are not allowed`, false)
    lines += `${lower}: ${value}\r\n`
  }
  return lines
}
