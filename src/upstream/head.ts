import { UpstreamFailure, type HeaderList } from '../core/ports.ts'

export interface HeadLimits {
  bytesMax: number
}

/** How the end of the body is told. */
export type Framing = { kind: 'none' } | { kind: 'length'; bytes: number } | { kind: 'chunked' } | { kind: 'close' }

export interface ResponseHead {
  status: number
  /** End-to-end headers: those of the connection, and the length and encoding of the body, are taken out. */
  headers: HeaderList
  framing: Framing
  contentEncoding: string | null
  isEventStream: boolean
  /** The socket may carry another call after this answer. */
  isReusable: boolean
  /** What the upstream says that it keeps an idle socket for, if it says so. */
  keepAliveMs: number | null
}

const HEADERS_MAX = 128
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
const HEADER_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade'])

/**
 * Takes one head off the front of `bytes`: null while it is incomplete. Refuses everything that two readers could frame differently:
 * bare line feeds, folded lines, spaces before the colon, repeated or conflicting lengths, and transfer codings other than `chunked`.
 */
export function readHead(bytes: Buffer, limits: HeadLimits): { head: ResponseHead; bytesRead: number } | null {
  const end = bytes.indexOf('\r\n\r\n', 0, 'latin1')
  if (end === -1 ? bytes.length > limits.bytesMax : end > limits.bytesMax) throw new UpstreamFailure('invalid', `the head of the answer is longer than ${limits.bytesMax} bytes`)
  if (end === -1) {
    checkIncomplete(bytes)
    return null
  }
  return { head: parseHead(bytes.toString('latin1', 0, end)), bytesRead: end + 4 }
}

/** Answers that can never become a head are refused now, not when the time is up. */
function checkIncomplete(bytes: Buffer): void {
  const start = bytes.toString('latin1', 0, 7)
  if (!'HTTP/1.'.startsWith(start)) throw new UpstreamFailure('invalid', 'the answer does not start with HTTP/1.x')
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) {
    if (bytes[at - 1] !== 13) throw new UpstreamFailure('invalid', 'a line of the head ends in a bare line feed')
  }
}

export function parseHead(text: string): ResponseHead {
  const lines = text.split('\r\n')
  const status = STATUS_LINE.exec(lines[0] ?? '')
  if (status === null) throw new UpstreamFailure('invalid', 'the status line of the answer is malformed')
  if (lines.length - 1 > HEADERS_MAX) throw new UpstreamFailure('invalid', `the answer has more than ${HEADERS_MAX} headers`)
  const all: HeaderList = []
  for (let index = 1; index < lines.length; index++) {
    const match = HEADER_LINE.exec(lines[index] ?? '')
    if (match === null) throw new UpstreamFailure('invalid', 'a header line of the answer is malformed')
    all.push([(match[1] ?? '').toLowerCase(), (match[2] ?? '').trimEnd()])
  }
  return interpret(Number(status[2]), status[1] === '1', all)
}

interface Fields {
  lengths: string[]
  codings: string[]
  encodings: string[]
  connection: string[]
  keepAlive: string | null
  contentType: string
}

function interpret(status: number, isHttp11: boolean, all: HeaderList): ResponseHead {
  const fields: Fields = { lengths: [], codings: [], encodings: [], connection: [], keepAlive: null, contentType: '' }
  for (const [name, value] of all) collect(fields, name, value)
  const headers = all.filter(([name]) => !HOP_BY_HOP.has(name) && name !== 'content-length' && name !== 'content-encoding' && !fields.connection.includes(name))
  const framing = framingOf(status, isHttp11, fields)
  const encodings = fields.encodings.filter((encoding) => encoding !== 'identity' && encoding !== '')
  if (encodings.length > 1) throw new UpstreamFailure('invalid', 'the answer is encoded more than once')
  return {
    status,
    headers,
    framing,
    contentEncoding: encodings[0] ?? null,
    isEventStream: /^text\/event-stream *(;|$)/i.test(fields.contentType),
    isReusable: isHttp11 && framing.kind !== 'close' && !fields.connection.includes('close'),
    keepAliveMs: keepAliveMs(fields.keepAlive),
  }
}

function collect(fields: Fields, name: string, value: string): void {
  const listed = () => value.toLowerCase().split(',').map((item) => item.trim())
  if (name === 'content-length') fields.lengths.push(value)
  else if (name === 'transfer-encoding') fields.codings.push(value)
  else if (name === 'content-encoding') fields.encodings.push(...listed())
  else if (name === 'connection') fields.connection.push(...listed())
  else if (name === 'keep-alive') fields.keepAlive = value
  else if (name === 'content-type') fields.contentType = value
}

function framingOf(status: number, isHttp11: boolean, fields: Fields): Framing {
  const [length] = fields.lengths
  const [coding] = fields.codings
  if (fields.lengths.length > 1) throw new UpstreamFailure('invalid', 'the answer has more than one Content-Length')
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw new UpstreamFailure('invalid', 'the Content-Length of the answer is malformed')
  if (coding !== undefined) {
    if (length !== undefined) throw new UpstreamFailure('invalid', 'the answer has both Content-Length and Transfer-Encoding')
    if (!isHttp11 || fields.codings.length > 1 || coding.toLowerCase() !== 'chunked') throw new UpstreamFailure('invalid', 'the Transfer-Encoding of the answer is not exactly "chunked"')
  }
  if (status < 200 || status === 204 || status === 304) return { kind: 'none' }
  if (coding !== undefined) return { kind: 'chunked' }
  if (length !== undefined) return { kind: 'length', bytes: Number(length) }
  return { kind: 'close' }
}

function keepAliveMs(value: string | null): number | null {
  const match = value === null ? null : /(?:^|[,; ])timeout=(\d{1,6})(?:$|[,; ])/i.exec(value)
  return match === null ? null : Number(match[1]) * 1000
}
