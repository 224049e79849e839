import { Document, isCollection, isMap, isNode, isScalar, isSeq, parseDocument, type Node, type Pair, type YAMLMap, type YAMLSeq } from 'yaml'
import { isSame, type PolicyContent } from '../core/policy/plan.ts'
import { ok, refuse, type Result } from '../core/result.ts'

/*
 * Policies as text. Fields stand in one order, so that two exports differ only where the policies do. Over an existing file, whatever did not
 * change stays as it was written: comments, quotes, order of fields.
 */

const POLICY_FIELDS = ['name', 'description', 'connection', 'active', 'mode', 'rules']
const RULE_FIELDS = ['tool', 'resource', 'prompt', 'action', 'conditions', 'when', 'rateLimit', 'reason']
const LIMIT_FIELDS = ['max', 'windowSeconds', 'per']
/** Left out where a file does not say them already. */
const DEFAULTS: Record<string, unknown> = { connection: null, active: true, mode: 'enforce', description: null }
const LAYOUT = { lineWidth: 160, flowCollectionPadding: true } as const

type Fields = Record<string, unknown>

/** A policy with its fields in order; defaults left out. */
export function writtenPolicy(content: PolicyContent): Fields {
  return Object.fromEntries(Object.entries(wholePolicy(content)).filter(([field, value]) => !(Object.hasOwn(DEFAULTS, field) && DEFAULTS[field] === value)))
}

export function policiesAsYaml(policies: PolicyContent[], tests?: unknown): string {
  return new Document({ policies: policies.map(writtenPolicy), ...(tests === undefined ? {} : { tests }) }).toString(LAYOUT)
}

export function policyAsYaml(policy: PolicyContent): string {
  return new Document(writtenPolicy(policy)).toString(LAYOUT)
}

/** Puts the policies into a file that exists. Its comments stay with what they were written at; what is gone takes its own along. */
export function mergeIntoYaml(text: string, policies: PolicyContent[]): Result<string> {
  const document = parseDocument(text)
  const [fault] = document.errors
  if (fault !== undefined) return refuse('invalid_request', `it is not YAML: ${fault.message}`)
  const merge = new Merge(document)
  const { contents } = document
  const wanted = inOrderOf(namesIn(document.toJS()), policies).map(wholePolicy)
  if (contents === null) return ok(`${text.trimEnd()}${text.trim() === '' ? '' : '\n'}${policiesAsYaml(policies)}`)
  if (isSeq(contents)) merge.list(contents, wanted, samePolicy)
  else if (isMap(contents) && contents.has('policies')) merge.member(contents, 'policies', wanted)
  else return refuse('invalid_request', 'it holds neither "policies:" nor a list of them, so nothing can be put into it; export to another file')
  return ok(document.toString(LAYOUT))
}

function namesIn(parsed: unknown): unknown[] {
  const list = Array.isArray(parsed) ? parsed : ((parsed as { policies?: unknown } | null)?.policies ?? [])
  return Array.isArray(list) ? list.map(nameOf) : []
}

/** Only policies of one reach have an order among them, so those of several reaches stay mixed as the file mixes them. */
function inOrderOf(names: unknown[], policies: PolicyContent[]): PolicyContent[] {
  const reachOf = new Map<unknown, string | null>(policies.map(({ name, connection }) => [name, connection]))
  const written = new Set(names)
  const waiting = Map.groupBy(policies, ({ connection }) => connection)
  const order: PolicyContent[] = []
  for (const name of names) {
    const queue = reachOf.has(name) ? (waiting.get(reachOf.get(name) ?? null) ?? []) : []
    // New ones come along with the one that follows them.
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      order.push(next)
      if (written.has(next.name)) break
    }
  }
  const placed = new Set(order)
  return [...order, ...policies.filter((policy) => !placed.has(policy))]
}

function wholePolicy(content: PolicyContent): Fields {
  return ordered({ ...content, rules: content.rules.map((rule) => ordered({ ...rule, ...(rule.rateLimit === undefined ? {} : { rateLimit: ordered({ ...rule.rateLimit }, LIMIT_FIELDS) }) }, RULE_FIELDS)) }, POLICY_FIELDS)
}

function ordered(fields: Fields, order: string[]): Fields {
  return Object.fromEntries(order.flatMap((field) => (fields[field] === undefined ? [] : [[field, fields[field]]])))
}

/** How alike an item of the file and a wanted one are: 0 is not at all. */
type Likeness = (written: unknown, wanted: unknown) => number

const samePolicy: Likeness = (written, wanted) => (nameOf(written) !== undefined && nameOf(written) === nameOf(wanted) ? 1 : 0)
const sameRule: Likeness = (written, wanted) => {
  if (isSame(written, wanted)) return 3
  const [left, right] = [written as Fields, wanted as Fields]
  if (typeof left !== 'object' || left === null || !['tool', 'resource', 'prompt'].every((target) => left[target] === right[target])) return 0
  return left.action === right.action ? 2 : 1
}
const sameValue: Likeness = (written, wanted) => (isSame(written, wanted) ? 1 : 0)

function nameOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? (value as Fields).name : undefined
}

class Merge {
  constructor(private readonly document: Document) {}

  member(map: YAMLMap, key: string, value: unknown): void {
    const pair = map.items.find((item) => keyOf(item) === key)
    if (pair === undefined) map.add(this.document.createPair(key, value))
    else pair.value = this.value(pair.value as Node | null, key, value)
  }

  /** Reuses the items of the file, best likeness first and each once, in the wanted order. */
  list(list: YAMLSeq, wanted: unknown[], likeness: Likeness): void {
    // A comment before the first item belongs to the list for the parser, but to the item for its writer.
    const [first] = list.items
    if (isNode(first) && list.commentBefore) {
      first.commentBefore = [list.commentBefore, first.commentBefore].filter(Boolean).join('\n')
      list.commentBefore = null
    }
    const free = new Set(list.items as Node[])
    const written = new Map([...free].map((item) => [item, item === null ? null : item.toJS(this.document)]))
    const chosen: (Node | undefined)[] = wanted.map(() => undefined)
    for (const level of [3, 2, 1]) {
      for (const [at, value] of wanted.entries()) {
        if (chosen[at] !== undefined) continue
        const found = [...free].find((item) => likeness(written.get(item), value) === level)
        if (found === undefined) continue
        chosen[at] = found
        free.delete(found)
      }
    }
    list.items = wanted.map((value, at) => this.value(chosen[at] ?? null, '', value))
  }

  private value(node: Node | null, key: string, value: unknown): Node {
    if (isMap(node) && typeof value === 'object' && value !== null && !Array.isArray(value)) return this.map(node, value as Fields)
    if (isSeq(node) && Array.isArray(value)) {
      this.list(node, value, key === 'policies' ? samePolicy : key === 'rules' ? sameRule : sameValue)
      return node
    }
    if (isScalar(node) && (typeof value !== 'object' || value === null)) {
      if (node.value !== value) {
        node.value = value
        // How the old value was written may not suit the new one.
        delete node.source
        delete node.format
      }
      return node
    }
    const fresh = this.document.createNode(value === null || typeof value !== 'object' || Array.isArray(value) ? value : withoutDefaults(value as Fields))
    if (node !== null && node !== undefined && isNode(node) && !isCollection(node) && node.commentBefore) fresh.commentBefore = node.commentBefore
    return fresh
  }

  private map(map: YAMLMap, value: Fields): YAMLMap {
    // A field that went back to its default is as good as gone.
    const written = map.toJS(this.document) as Fields
    map.items = map.items.filter((pair) => Object.hasOwn(value, keyOf(pair)) && (!isDefault(value, keyOf(pair)) || written[keyOf(pair)] === value[keyOf(pair)]))
    for (const [key, wanted] of Object.entries(value)) {
      const isWritten = map.items.some((pair) => keyOf(pair) === key)
      if (isWritten || !isDefault(value, key)) this.member(map, key, wanted)
    }
    return map
  }
}

/** Only a policy has defaults: conditions may well have a key of such a name. */
function isDefault(fields: Fields, key: string): boolean {
  return Array.isArray(fields.rules) && Object.hasOwn(DEFAULTS, key) && DEFAULTS[key] === fields[key]
}

function withoutDefaults(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => !isDefault(fields, key)))
}

function keyOf(pair: Pair): string {
  return String(isScalar(pair.key) ? pair.key.value : pair.key)
}
