/*
 * JSON as editors write it: comments and trailing commas are understood, and each value knows where it stands, so that one of them can be
 * replaced while everything around it stays as its owner wrote it.
 */

export interface JsonNode {
  value: unknown
  /** Where its text begins and ends. */
  start: number
  end: number
  /** Of an object. Of a name that stands there twice, the last one, as everywhere. */
  members: Map<string, JsonNode> | null
}

export type ReadJson = { ok: true; node: JsonNode } | { ok: false; problem: string }

const DEPTH_MAX = 100
const LITERAL = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])/y
const TEXT = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const BETWEEN = /(?:[ \t\r\n\uFEFF]|\/\/[^\n]*|\/\*[^]*?\*\/)*/y

/** Reads a whole text. The problem says where it stands. */
export function readJsonWithComments(text: string): ReadJson {
  const reader = new Reader(text)
  try {
    return { ok: true, node: reader.document() }
  } catch (error) {
    if (!(error instanceof Misread)) throw error
    const before = text.slice(0, error.at).split('\n')
    return { ok: false, problem: `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}: ${error.message}` }
  }
}

/** The text with some of its values replaced. */
export function withReplaced(text: string, replacements: { node: JsonNode; value: unknown }[]): string {
  let changed = text
  for (const { node, value } of replacements.toSorted((one, other) => other.node.start - one.node.start)) {
    changed = changed.slice(0, node.start) + indented(value, text, node.start) + changed.slice(node.end)
  }
  return changed
}

/** Written the way its surroundings are: the indentation of the line it begins on, and the same step. */
function indented(value: unknown, text: string, at: number): string {
  const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at)
  const outer = /^[ \t]*/.exec(line)?.[0] ?? ''
  if (!text.includes('\n')) return JSON.stringify(value)
  const step = /\n([ \t]+)/.exec(text)?.[1] ?? '  '
  const ending = text.includes('\r\n') ? '\r\n' : '\n'
  return JSON.stringify(value, null, step).split('\n').join(`${ending}${outer}`)
}

class Misread extends Error {
  override name = 'Misread'
  constructor(message: string, readonly at: number) {
    super(message)
  }
}

class Reader {
  private at = 0
  constructor(private readonly text: string) {}

  document(): JsonNode {
    const node = this.value(0)
    this.skip()
    if (this.at < this.text.length) throw new Misread('something follows the end', this.at)
    return node
  }

  private skip(): void {
    this.take(BETWEEN)
    if (this.text.startsWith('/*', this.at)) throw new Misread('this comment has no end', this.at)
  }

  private take(pattern: RegExp): string | null {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0] ?? null
    this.at += found?.length ?? 0
    return found
  }

  private isNext(mark: string): boolean {
    this.skip()
    if (this.text[this.at] !== mark) return false
    this.at++
    return true
  }

  private value(depth: number): JsonNode {
    this.skip()
    const start = this.at
    if (depth > DEPTH_MAX) throw new Misread('it is nested too deeply', start)
    if (this.isNext('{')) return this.object(start, depth)
    if (this.isNext('[')) return this.list(start, depth)
    const literal = this.take(this.text[start] === '"' ? TEXT : LITERAL)
    if (literal === null) throw new Misread(start >= this.text.length ? 'it ends in the middle' : 'this is no JSON value', start)
    return { value: JSON.parse(literal) as unknown, start, end: this.at, members: null }
  }

  private object(start: number, depth: number): JsonNode {
    const members = new Map<string, JsonNode>()
    while (!this.isNext('}')) {
      const at = this.at
      const name = this.take(TEXT)
      if (name === null) throw new Misread('a name in quotes, or "}", belongs here', at)
      if (!this.isNext(':')) throw new Misread('a ":" belongs here', this.at)
      members.set(JSON.parse(name) as string, this.value(depth + 1))
      this.separate('}')
    }
    const value = Object.fromEntries([...members].map(([name, node]) => [name, node.value]))
    return { value, start, end: this.at, members }
  }

  private list(start: number, depth: number): JsonNode {
    const items: unknown[] = []
    while (!this.isNext(']')) {
      items.push(this.value(depth + 1).value)
      this.separate(']')
    }
    return { value: items, start, end: this.at, members: null }
  }

  /** A comma, which may stand before the end too, or the end itself. */
  private separate(end: string): void {
    if (this.isNext(',')) return
    if (this.text[this.at] !== end) throw new Misread(`a "," or "${end}" belongs here`, this.at)
  }
}
