import type { Assertions, MetadataValue } from './caller.ts'
import { ok, refuse } from './result.ts'
import type { Result } from './result.ts'

export const METADATA_BYTES_MAX = 4096
export const METADATA_KEYS_MAX = 64
export const USER_CHARACTERS_MAX = 256

/** Control, format (bidi, zero-width), private, unassigned and lone surrogate characters have no place in a name that people will read. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}]/u
const TRACE_ID = /^[\x21-\x7e]{1,128}$/

/** What the caller says about itself in `X-Igris-User`, `X-Igris-Trace-Id` and `X-Igris-Metadata`. Checked for form, never believed. */
export function readAssertions(headers: { user: string | null; traceId: string | null; metadata: string | null }, freshTraceId: () => string): Result<Assertions> {
  const user = headers.user?.trim() ?? ''
  if (user.length > USER_CHARACTERS_MAX || UNPRINTABLE.test(user)) {
    return refuse('invalid_request', `X-Igris-User must be at most ${USER_CHARACTERS_MAX} printable characters.`)
  }
  if (headers.traceId !== null && !TRACE_ID.test(headers.traceId)) {
    return refuse('invalid_request', 'X-Igris-Trace-Id must be 1 to 128 visible ASCII characters.')
  }
  const metadata = readMetadata(headers.metadata)
  if (!metadata.ok) return metadata
  return ok({ user: user === '' ? null : user, traceId: headers.traceId ?? freshTraceId(), metadata: metadata.value })
}

const NO_METADATA: Record<string, MetadataValue> = Object.freeze({})

function readMetadata(text: string | null): Result<Record<string, MetadataValue>> {
  if (text === null || text === '') return ok(NO_METADATA)
  const wrong = (what: string) => refuse('invalid_request', `X-Igris-Metadata must be a flat JSON object of strings, numbers and booleans: ${what}.`)
  if (text.length > METADATA_BYTES_MAX) return wrong(`it is longer than ${METADATA_BYTES_MAX} characters`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return wrong('it is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong('it is not an object')
  const entries = Object.entries(value)
  if (entries.length > METADATA_KEYS_MAX) return wrong(`it has more than ${METADATA_KEYS_MAX} keys`)
  for (const [key, item] of entries) {
    if (key === '' || key === '__proto__' || UNPRINTABLE.test(key)) return wrong('a key is empty or not printable')
    const isScalar = typeof item === 'string' || typeof item === 'boolean' || (typeof item === 'number' && Number.isFinite(item))
    if (!isScalar) return wrong(`"${key}" is none of these`)
  }
  return ok(value as Record<string, MetadataValue>)
}
