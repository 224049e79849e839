/*
 * JSON that is read to be changed in one place and written again. Numbers that a double cannot hold stay as they were written.
 */

/** In the runtime since the source of parsed values is; the compiler does not know it yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }

/** Like `JSON.parse`, but `JSON.stringify` writes each number back as it was read. Throws `SyntaxError`. */
export function parseKeepingNumbers(text: string): unknown {
  const keep = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source !== undefined && String(value) !== context.source ? rawJSON(context.source) : value
  return JSON.parse(text, keep as (key: string, value: unknown) => unknown)
}
