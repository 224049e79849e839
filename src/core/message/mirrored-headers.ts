import type { RpcMessage } from '../message.ts'
import { refuse, type Refusal } from '../result.ts'

/** First revision whose headers mirror the body. */
const FIRST_MODERN_VERSION = '2026-07-28'
const DATED_VERSION = /^\d{4}-\d{2}-\d{2}$/
const HEADER_MISMATCH = -32020
const INVALID_PARAMS = -32602

/** Which field of `params` the header `Mcp-Name` repeats. */
const NAME_FIELDS = new Map([
  ['tools/call', 'name'], ['prompts/get', 'name'], ['resources/read', 'uri'], ['tasks/get', 'taskId'], ['tasks/update', 'taskId'], ['tasks/cancel', 'taskId'],
])

/** Whether the value of `MCP-Protocol-Version` names a revision with mirrored headers. */
export function isModernVersion(version: string): boolean {
  return DATED_VERSION.test(version) && version >= FIRST_MODERN_VERSION
}

/**
 * Holds the mirrored headers against the body, so that a server or proxy that trusts them sees what was judged. Null where they agree and on legacy messages,
 * whose mirrored headers mean nothing and must be dropped. Give it every message of a body. `header` answers null for a header that is absent.
 */
export function checkMirroredHeaders(message: RpcMessage, header: (name: string) => string | null): Refusal | null {
  const version = stripped(header('mcp-protocol-version'))
  const namesModern = version !== null && isModernVersion(version)
  if (message.kind === 'response') return null
  if (message.era === 'legacy' && !namesModern) return null
  if (message.era === 'legacy' && message.kind === 'request') {
    return refuse('invalid_request', `The MCP-Protocol-Version header names ${version}, but params._meta lacks the envelope that this revision requires.`, { rpcCode: INVALID_PARAMS })
  }
  if (message.era === 'modern') {
    if (message.envelopeVersion === null) {
      return refuse('invalid_request', 'params._meta lacks io.modelcontextprotocol/protocolVersion.', { rpcCode: INVALID_PARAMS })
    }
    if (version === null && message.kind === 'request') return mismatch('The header MCP-Protocol-Version is missing.')
    if (version !== null && version !== message.envelopeVersion) return mismatch('The header MCP-Protocol-Version does not agree with the body.')
  }
  return methodFault(message, stripped(header('mcp-method'))) ?? nameFault(message, stripped(header('mcp-name')))
}

function methodFault(message: RpcMessage, method: string | null): Refusal | null {
  if (method === null) return message.kind === 'request' ? mismatch('The header Mcp-Method is missing.') : null
  return method === message.method ? null : mismatch('The header Mcp-Method does not agree with the body.')
}

function nameFault(message: RpcMessage, written: string | null): Refusal | null {
  const field = NAME_FIELDS.get(message.method ?? '')
  if (field === undefined) return null
  if (written === null) return message.kind === 'request' ? mismatch('The header Mcp-Name is missing.') : null
  const name = decodeHeaderText(written)
  if (name === null) return mismatch('The header Mcp-Name is neither visible ASCII nor valid =?base64?...?=.')
  return name === message.params?.[field] ? null : mismatch('The header Mcp-Name does not agree with the body.')
}

function mismatch(sentence: string): Refusal {
  return refuse('invalid_request', sentence, { rpcCode: HEADER_MISMATCH })
}

const VISIBLE = /^[\x20-\x7e]*$/
const ENCODED = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/
const LOOKS_ENCODED = /^=\?base64\?/i

/** Text of a mirrored header: plain visible ASCII, or UTF-8 in canonical base64 between `=?base64?` and `?=`. Null for anything between the two. */
export function decodeHeaderText(written: string): string | null {
  if (!VISIBLE.test(written)) return null
  const base64 = ENCODED.exec(written)?.[1]
  if (base64 === undefined) return LOOKS_ENCODED.test(written) ? null : written
  try {
    const binary = atob(base64)
    // atob forgives missing padding and stray bits; another decoder may not.
    if (btoa(binary) !== base64) return null
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(binary, (char) => char.charCodeAt(0)))
  } catch {
    // Not base64, or not UTF-8 inside.
    return null
  }
}

/** Without the blanks that HTTP allows around a field value. */
function stripped(value: string | null): string | null {
  if (value === null) return null
  let start = 0
  let end = value.length
  while (start < end && isBlank(value.charCodeAt(start))) start += 1
  while (end > start && isBlank(value.charCodeAt(end - 1))) end -= 1
  return value.slice(start, end)
}

function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09
}
