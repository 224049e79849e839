import { DEFINITION_FIELDS, type SeenTool, type ToolDefinition } from './known-tool.ts'

/** Names beyond this are not remembered; a tool of such a name counts as one that was never seen. */
export const TOOL_NAME_CHARS_MAX = 512
/** Canonical definitions up to this are kept whole. */
export const DEFINITION_CHARS_MAX = 32_768
const KEPT_TEXT_CHARS = 4000
const NESTING_MAX = 64

/**
 * The one spelling of a JSON value: keys in order of their code units, no white space, numbers and escapes as `JSON.stringify` writes them. Equal
 * values have equal texts. Walks without recursion, since an upstream chooses the depth.
 */
export function canonicalJson(value: unknown): string {
  let text = ''
  /** What is left to write, last first: values, and texts that stand between them. */
  const rest: ({ value: unknown } | string)[] = [{ value }]
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (typeof next === 'string') text += next
    else if (Array.isArray(next.value)) {
      rest.push(']')
      for (let index = next.value.length - 1; index >= 0; index -= 1) {
        rest.push({ value: next.value[index] as unknown })
        if (index > 0) rest.push(',')
      }
      rest.push('[')
    } else if (typeof next.value === 'object' && next.value !== null) {
      const object = next.value as Record<string, unknown>
      const keys = Object.keys(object).sort()
      rest.push('}')
      for (let index = keys.length - 1; index >= 0; index -= 1) {
        const key = keys[index] as string
        rest.push({ value: object[key] }, `${index === 0 ? '' : ','}${JSON.stringify(key)}:`)
      }
      rest.push('{')
    } else text += JSON.stringify(next.value) ?? 'null'
  }
  return text
}

export interface Measuring {
  hash(text: string): string
  /** What must not be kept: an upstream may quote the credential that it was sent. */
  secrets: readonly string[]
}

/** What an upstream listed, measured; null for what names no tool that can be remembered. */
export function readTool(tool: unknown, { hash, secrets }: Measuring): SeenTool | null {
  if (typeof tool !== 'object' || tool === null || Array.isArray(tool)) return null
  const listed = tool as Record<string, unknown>
  const { name } = listed
  if (typeof name !== 'string' || name === '' || name.length > TOOL_NAME_CHARS_MAX) return null
  let definition: ToolDefinition = {}
  for (const field of DEFINITION_FIELDS) if (Object.hasOwn(listed, field)) definition[field] = listed[field]
  let canonical = canonicalJson(definition)
  for (const secret of secrets) {
    const written = JSON.stringify(secret).slice(1, -1)
    if (name.includes(secret)) return null
    if (!canonical.includes(written)) continue
    canonical = canonical.replaceAll(written, '[sealed]')
    definition = JSON.parse(canonical) as ToolDefinition
  }
  return { name, fingerprint: hash(canonical), definition: isKeepable(canonical) ? definition : cutDefinition(definition) }
}

/** What is kept is shown and compared later, by code that follows its nesting. */
function isKeepable(canonical: string): boolean {
  return canonical.length <= DEFINITION_CHARS_MAX && nestingOf(canonical) <= NESTING_MAX
}

/** How deep brackets stand in each other, those within texts left out. */
function nestingOf(json: string): number {
  let depth = 0
  let deepest = 0
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[{]|[\]}]/g)) {
    if (token === '[' || token === '{') deepest = Math.max(deepest, ++depth)
    else if (token === ']' || token === '}') depth -= 1
  }
  return deepest
}

/** The beginning of the texts that people read; what cannot be shown whole is named as left out. */
function cutDefinition(definition: ToolDefinition): ToolDefinition {
  const kept: ToolDefinition = {}
  for (const field of DEFINITION_FIELDS) {
    const value = definition[field]
    if (value === undefined) continue
    if (typeof value === 'string') kept[field] = value.length <= KEPT_TEXT_CHARS ? value : `${value.slice(0, KEPT_TEXT_CHARS)}…`
    else {
      const text = canonicalJson(value)
      kept[field] = text.length <= KEPT_TEXT_CHARS && nestingOf(text) <= NESTING_MAX ? value : { $comment: `Left out by the gateway: ${text.length} characters.` }
    }
  }
  return kept
}
