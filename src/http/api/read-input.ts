import { z } from 'zod'
import { scan } from '../../core/message/scan.ts'
import { ok, refuse, type Issue, type Refusal, type Result } from '../../core/result.ts'

/** Bodies of the API are settings and reasons; a policy of a thousand rules fits. */
export const BODY_BYTES_MAX = 1024 * 1024
const DEPTH_MAX = 64
const ISSUES_MAX = 50

/** The query as the schema reads it. Parameters that are unknown or come twice are errors, each by name. */
export function readQuery(url: string, schema: z.ZodType | undefined): Result<unknown> {
  const values: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of new URL(url).searchParams) {
    if (name in values) return wrong('query', [{ path: name, message: 'given more than once' }])
    values[name] = value
  }
  const parsed = (schema ?? z.strictObject({})).safeParse({ ...values })
  return parsed.success ? ok(schema === undefined ? undefined : parsed.data) : wrong('query', issuesOf(parsed.error, 'unknown parameter'))
}

/** The JSON body as the schema reads it; bounded, strict UTF-8, one reading only. */
export async function readBody(request: Request, schema: z.ZodType | undefined, isOptional: boolean, bytesMax = BODY_BYTES_MAX): Promise<Result<unknown>> {
  if (schema === undefined) return ok(undefined)
  const bytes = await readBytes(request, bytesMax)
  if (!bytes.ok) return bytes
  if (bytes.value.byteLength === 0) {
    if (isOptional) return ok(schema.parse({}))
    return refuse('invalid_request', 'The request needs a JSON object as its body.', { issues: [{ path: '', message: 'the body is empty' }] })
  }
  if (!isPlainJson(request.headers)) return refuse('unsupported_media_type', 'Send the body as uncompressed application/json in UTF-8.')
  const value = parseStrictly(bytes.value)
  if (!value.ok) return value
  const parsed = schema.safeParse(value.value)
  return parsed.success ? ok(parsed.data) : wrong('body', issuesOf(parsed.error, 'unknown field'))
}

async function readBytes(request: Request, bytesMax: number): Promise<Result<Uint8Array>> {
  const tooLarge = refuse('payload_too_large', `The body is larger than ${bytesMax} bytes.`)
  if (Number(request.headers.get('content-length') ?? '0') > bytesMax) return tooLarge
  if (request.body === null) return ok(new Uint8Array(0))
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    length += chunk.byteLength
    if (length > bytesMax) return tooLarge
    chunks.push(chunk)
  }
  return ok(Buffer.concat(chunks))
}

function isPlainJson(headers: Headers): boolean {
  if ((headers.get('content-encoding') ?? 'identity').trim().toLowerCase() !== 'identity') return false
  return /^application\/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test((headers.get('content-type') ?? '').trim())
}

/** Duplicate keys, `__proto__`, bad UTF-8, numbers that change and the like are refused: the record and the reader must agree. */
function parseStrictly(bytes: Uint8Array): Result<unknown> {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return refuse('invalid_request', 'The body is not valid UTF-8.')
  }
  const scanned = scan(text, { depthMax: DEPTH_MAX, batchMax: 1 })
  if ('fault' in scanned) {
    return refuse('invalid_request', `The body is not acceptable JSON: ${scanned.fault}.`, { issues: [{ path: scanned.path, message: scanned.fault }] })
  }
  try {
    return ok(JSON.parse(text))
  } catch {
    return refuse('invalid_request', 'The body is not JSON.')
  }
}

function wrong(part: 'query' | 'body', issues: Issue[]): Refusal {
  const named = issues.slice(0, 3).map((issue) => (issue.path === '' ? issue.message : `${issue.path}: ${issue.message}`)).join('; ')
  return refuse('invalid_request', `The ${part} has a problem: ${named}.`, { issues })
}

/** One issue per field, by its path, in words that hold no value: what was sent may be a secret. */
function issuesOf(error: z.ZodError, unknown: string): Issue[] {
  const issues: Issue[] = []
  for (const issue of error.issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) issues.push({ path: [...issue.path, key].map(String).join('.'), message: unknown })
    } else {
      issues.push({ path: issue.path.map(String).join('.'), message: isMissing(issue) ? 'is required' : issue.message })
    }
  }
  return issues.slice(0, ISSUES_MAX)
}

/** JSON has no undefined: what reads so was not sent. The issue itself carries no input. */
function isMissing(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
}
