import type { HeaderList } from '../../../core/ports.ts'
import { headerText } from './envelope.ts'
import { isJsonObject, numberOf, objectOr, type JsonObject } from './exact-json.ts'

/** One argument of a tool that the server wants repeated in a header. */
export interface MirroredParam {
  header: string
  /** Property names from the root of the arguments. */
  path: string[]
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}$/
const TYPES = new Set(['string', 'integer', 'boolean'])
/** Keywords whose value is a schema, or a list of them. An annotation inside is not reachable from the arguments for certain. */
const SCHEMAS = [
  'items', 'prefixItems', 'contains', 'additionalItems', 'additionalProperties', 'unevaluatedItems', 'unevaluatedProperties', 'propertyNames', 'contentSchema',
  'oneOf', 'anyOf', 'allOf', 'not', 'if', 'then', 'else',
]
/** Keywords whose value maps names to schemas. */
const NAMED_SCHEMAS = ['patternProperties', '$defs', 'definitions', 'dependentSchemas']
const DEPTH_MAX = 32
const SCHEMAS_MAX = 5000

/** What a tool's schema asks to repeat in headers; a sentence where it asks in a way that the specification makes clients refuse the tool for. */
export function readMirroredParams(inputSchema: unknown): MirroredParam[] | string {
  const found: MirroredParam[] = []
  const names = new Set<string>()
  let seen = 0

  /** `path` is null where no chain of property names leads to the schema. */
  function visit(schema: unknown, path: string[] | null, depth: number): string | null {
    if (!isJsonObject(schema)) return null
    if (depth > DEPTH_MAX || ++seen > SCHEMAS_MAX) return 'its schema is too large'
    const own = 'x-mcp-header' in schema ? annotate(schema, path) : null
    if (own !== null) return own
    for (const [name, property] of Object.entries(objectOr(schema.properties))) {
      const fault = visit(property, path === null ? null : [...path, name], depth + 1)
      if (fault !== null) return fault
    }
    for (const inner of unreachableIn(schema)) {
      const fault = visit(inner, null, depth + 1)
      if (fault !== null) return fault
    }
    return null
  }

  function annotate(schema: JsonObject, path: string[] | null): string | null {
    const header = schema['x-mcp-header']
    if (typeof header !== 'string' || !TOKEN.test(header)) return 'an x-mcp-header is not a header name'
    if (path === null || path.length === 0) return `the x-mcp-header "${header}" is not on a plain property`
    const types = [schema.type].flat().filter((type) => type !== 'null')
    if (types.length !== 1 || !TYPES.has(String(types[0]))) return `the x-mcp-header "${header}" is not on a string, an integer or a boolean`
    if (names.has(header.toLowerCase())) return `the x-mcp-header "${header}" is there twice`
    names.add(header.toLowerCase())
    found.push({ header, path })
    return null
  }

  return visit(inputSchema, [], 0) ?? found
}

function unreachableIn(schema: JsonObject): unknown[] {
  return [
    ...SCHEMAS.flatMap((keyword) => (Array.isArray(schema[keyword]) ? (schema[keyword] as unknown[]) : [schema[keyword]])),
    ...NAMED_SCHEMAS.flatMap((keyword) => Object.values(objectOr(schema[keyword]))),
  ]
}

/** The headers for one call. An argument that is absent or null has none. */
export function paramHeaders(mirrored: MirroredParam[], args: unknown): HeaderList {
  return mirrored.flatMap(({ header, path }): HeaderList => {
    let value = args
    for (const name of path) value = isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
    const text = textOf(value)
    return text === null ? [] : [[`mcp-param-${header.toLowerCase()}`, headerText(text)]]
  })
}

function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  const number = numberOf(value)
  return number !== null && Number.isSafeInteger(number) ? String(number) : null
}
