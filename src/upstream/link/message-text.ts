import { oneLine } from '../../core/event-queue.ts'

/*
 * Messages are changed as text, in the one place that must change: what a program or a caller wrote passes through to the letter,
 * numbers that JavaScript cannot hold included.
 */

/** The text with the value of its top-level `id` replaced; null where it has none. The text must be a JSON object. */
export function withId(text: string, idText: string): string | null {
  const span = idSpan(text)
  return span === null ? null : `${text.slice(0, span.start)}${idText}${text.slice(span.end)}`
}

/** The same for a message whose id is known to read `wireId`: most programs write it first or last, and then nothing is scanned. */
export function withRestoredId(text: string, wireId: number, idText: string): string | null {
  const last = `,"id":${wireId}}`
  if (text.endsWith(last)) return `${text.slice(0, -last.length)},"id":${idText}}`
  const first = `{"jsonrpc":"2.0","id":${wireId},`
  if (text.startsWith(first)) return `{"jsonrpc":"2.0","id":${idText},${text.slice(first.length)}`
  return withId(text, idText)
}

/** The id exactly as it was written; null where there is none. */
export function idTextOf(text: string): string | null {
  const span = idSpan(text)
  return span === null ? null : text.slice(span.start, span.end)
}

/** Where the value of the last top-level member named `id` stands: the one that readers take. */
function idSpan(text: string): { start: number; end: number } | null {
  let found: { start: number; end: number } | null = null
  let depth = 0
  let isKeyNext = false
  for (let at = 0; at < text.length; at++) {
    const c = text.charCodeAt(at)
    if (c === 0x22) {
      const close = stringEnd(text, at)
      if (depth === 1 && isKeyNext && isIdKey(text.slice(at, close + 1))) found = valueSpan(text, close + 1) ?? found
      isKeyNext = false
      at = close
    } else if (c === 0x7b || c === 0x5b) {
      depth++
      isKeyNext = depth === 1 && c === 0x7b
    } else if (c === 0x7d || c === 0x5d) depth--
    else if (c === 0x2c) isKeyNext = depth === 1
  }
  return found
}

function isIdKey(token: string): boolean {
  return token === '"id"' || (token.includes('\\') && token.length < 16 && JSON.parse(token) === 'id')
}

const VALUE = /\s*:\s*("(?:[^"\\]|\\.)*"|[^\s,}\]]+)/y

function valueSpan(text: string, from: number): { start: number; end: number } | null {
  VALUE.lastIndex = from
  const value = VALUE.exec(text)?.[1]
  return value === undefined ? null : { start: VALUE.lastIndex - value.length, end: VALUE.lastIndex }
}

/** Index of the quote that ends the string which begins at `from`. */
function stringEnd(text: string, from: number): number {
  for (let at = from + 1; ; at++) {
    const quote = text.indexOf('"', at)
    if (quote < 0) return text.length
    let slashes = 0
    while (text.charCodeAt(quote - 1 - slashes) === 0x5c) slashes++
    if (slashes % 2 === 0) return quote
    at = quote
  }
}

/** The fields of a message that say where it belongs. Unknown content stays in the text. */
export interface WireMessage {
  text: string
  id: unknown
  method: string | null
  params: Record<string, unknown>
  hasResult: boolean
  isError: boolean
}

/** Null where the line is no JSON-RPC message: programs print greetings and debug text. */
export function readWire(read: Uint8Array | string): WireMessage | null {
  try {
    const text = typeof read === 'string' ? read : DECODER.decode(read)
    return wireOf(text, JSON.parse(text))
  } catch {
    return null
  }
}

export function wireOf(text: string, value: unknown): WireMessage | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const message = value as Record<string, unknown>
  if (message.jsonrpc !== '2.0') return null
  const { method, params } = message
  return {
    text: oneLine(text),
    id: message.id,
    method: typeof method === 'string' ? method : null,
    params: typeof params === 'object' && params !== null && !Array.isArray(params) ? (params as Record<string, unknown>) : {},
    hasResult: 'result' in message,
    isError: 'error' in message,
  }
}

const DECODER = new TextDecoder('utf-8', { fatal: true })
