import { canonicalJson } from './canonical.ts'
import { DEFINITION_FIELDS, type ToolDefinition } from './known-tool.ts'

/** One place where two definitions differ. A side that has nothing there lacks its key. */
export interface FieldDifference {
  /** `description`, `inputSchema.properties.path.type`. */
  path: string
  before?: unknown
  after?: unknown
}

const DIFFERENCES_MAX = 20
const DEPTH_MAX = 12
const TEXT_CHARS_MAX = 1000

/** Where two definitions differ, as deep as it can be named; bounded in number and in what is shown of each side. */
export function differenceOf(before: ToolDefinition, after: ToolDefinition): FieldDifference[] {
  const found: FieldDifference[] = []
  for (const field of DEFINITION_FIELDS) compare(field, { old: before[field], new: after[field] }, { found, depth: 1 })
  return found
}

function compare(path: string, sides: { old: unknown; new: unknown }, walk: { found: FieldDifference[]; depth: number }): void {
  const { found, depth } = walk
  if (found.length >= DIFFERENCES_MAX || sides.old === sides.new) return
  if (isObject(sides.old) && isObject(sides.new) && depth < DEPTH_MAX) {
    const [old, next] = [sides.old, sides.new]
    for (const key of [...new Set([...Object.keys(old), ...Object.keys(next)])].sort()) {
      compare(`${path}.${key.slice(0, 200)}`, { old: own(old, key), new: own(next, key) }, { found, depth: depth + 1 })
    }
    return
  }
  if (sides.old !== undefined && sides.new !== undefined && canonicalJson(sides.old) === canonicalJson(sides.new)) return
  found.push({ path, ...(sides.old === undefined ? {} : { before: shown(sides.old) }), ...(sides.new === undefined ? {} : { after: shown(sides.new) }) })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function own(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

function shown(value: unknown): unknown {
  if (typeof value === 'string') return value.length <= TEXT_CHARS_MAX ? value : `${value.slice(0, TEXT_CHARS_MAX)}…`
  const text = canonicalJson(value)
  return text.length <= TEXT_CHARS_MAX ? value : `${text.slice(0, TEXT_CHARS_MAX)}…`
}
