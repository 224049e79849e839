/*
 * Messages that are translated are parsed and written again. Numbers that a double cannot hold (64-bit ids, decimals with a trailing
 * zero) must not change on the way: they are kept as the text that they were.
 */

export type JsonObject = Record<string, unknown>

/** In the runtime since the source of parsed values is; the compiler does not know it yet. */
const { rawJSON, isRawJSON } = JSON as unknown as { rawJSON(text: string): { rawJSON: string }; isRawJSON(value: unknown): value is { rawJSON: string } }

/** False is certain, true is a guess: digits inside of text count too. */
const MAY_CHANGE = /\d{16}|\d[.eE]|-0/

/** Like `JSON.parse`, but `JSON.stringify` writes each number back as it was read. Throws `SyntaxError`. */
export function parseExact(text: string): unknown {
  if (!MAY_CHANGE.test(text)) return JSON.parse(text)
  const keepNumber = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source !== undefined && String(value) !== context.source ? rawJSON(context.source) : value
  return JSON.parse(text, keepNumber as (key: string, value: unknown) => unknown)
}

/** The number that a value stands for; null where it is none. */
export function numberOf(value: unknown): number | null {
  if (typeof value === 'number') return value
  if (!isRawJSON(value)) return null
  const number = Number(value.rawJSON)
  return Number.isNaN(number) ? null : number
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isRawJSON(value)
}

/** The value where it is an object, else an empty one. */
export function objectOr(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {}
}

/** One key for all ways to write the same JSON-RPC id. */
export function idKeyOf(id: unknown): string {
  const number = numberOf(id)
  return number === null ? JSON.stringify(id ?? null) : String(number)
}
