import type { ExitCode, Invocation } from './command.ts'
import { EXIT } from './command.ts'
import type { Door } from './door.ts'
import { sayRefusal } from './print.ts'
import type { Result } from '../core/result.ts'

/** Opens the door, does the work, closes the door, and says a refusal if that is how it ended. */
export async function withDoor<T>(invocation: Invocation, work: (door: Door) => Promise<Result<T>>, show: (value: T) => void): Promise<ExitCode> {
  const door = await invocation.door()
  if (!door.ok) return door.exit
  try {
    const result = await work(door.value)
    if (!result.ok) return sayRefusal(invocation.terminal, invocation.isJson, result)
    show(result.value)
    return EXIT.ok
  } finally {
    await door.value.close()
  }
}

export interface ApiCall {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below `/api/v1`. */
  path: string
  body?: unknown
}

/** An answer of the API: what its `data` and `meta` hold. */
export interface Answer<T> {
  data: T
  meta?: { nextCursor?: string }
}

/** One request to the API: its JSON goes out as it came with `--json`, else `show` writes it for people. */
export async function act<T>(invocation: Invocation, call: ApiCall, show: (answer: Answer<T>) => string): Promise<ExitCode> {
  return withDoor(invocation, (door) => request<T>(door, call), (answer) => {
    invocation.terminal.out(invocation.isJson ? JSON.stringify(answer) : show(answer))
  })
}

/** One request to the API, as a value or a refusal. A 204 counts as `null`. */
export async function request<T>(door: Door, { method, path, body }: ApiCall): Promise<Result<Answer<T>>> {
  const { readResult } = await import('./door.ts')
  const response = await door.api(method, `/api/v1${path}`, body)
  if (!response.ok) return (await readResult<never>(response))
  const text = await response.text()
  return { ok: true, value: text === '' ? { data: null as T } : (JSON.parse(text) as Answer<T>) }
}

/** `?a=1&b=2` of what is set, or nothing. */
export function query(values: Record<string, string | undefined>): string {
  const set = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return set.length === 0 ? '' : `?${new URLSearchParams(set).toString()}`
}

/** A path segment that no operand can leave: `..` and nothing at all would reach another resource. */
export function segment(operand: string | undefined): string {
  const text = operand ?? ''
  return encodeURIComponent(/^\.*$/.test(text) ? `${text} ` : text)
}
