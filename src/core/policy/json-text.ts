/*
 * JSON as a person types it, with where everything stands: for messages that point at the place.
 */

export interface JsonPlace {
  /** From 1. */
  line: number
  column: number
}

export type JsonText =
  | { ok: true; value: unknown; placeOf(path: readonly (string | number)[]): JsonPlace }
  | { ok: false; message: string; place: JsonPlace }

const DEPTH_MAX = 64
const CHARS_MAX = 4 * 1024 * 1024

class Unreadable extends Error {
  override name = 'Unreadable'
  constructor(readonly at: number, message: string) {
    super(message)
  }
}

export function readJsonText(text: string): JsonText {
  if (text.length > CHARS_MAX) return { ok: false, message: `is longer than ${CHARS_MAX} characters`, place: { line: 1, column: 1 } }
  const reader = new JsonReader(text)
  try {
    const value = reader.readAll()
    return { ok: true, value, placeOf: (path) => placeAt(text, reader.offsetOf(path)) }
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    return { ok: false, message: error.message, place: placeAt(text, error.at) }
  }
}

function placeAt(text: string, offset: number): JsonPlace {
  const before = text.slice(0, offset)
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') }
}

interface Located {
  at: number
  members: Map<string, Located> | null
}

class JsonReader {
  private at = 0
  private root: Located = { at: 0, members: null }

  constructor(private readonly text: string) {}

  readAll(): unknown {
    const [value, located] = this.read(0)
    this.root = located
    this.skip()
    if (this.at < this.text.length) this.fail('nothing may follow the policy')
    return value
  }

  /** Of the value at the path; where there is none, of the nearest thing around it. */
  offsetOf(path: readonly (string | number)[]): number {
    let located = this.root
    for (const step of path) {
      const next = located.members?.get(String(step))
      if (next === undefined) break
      located = next
    }
    return located.at
  }

  private fail(message: string, at = this.at): never {
    throw new Unreadable(at, message)
  }

  private skip(): void {
    while (' \t\n\r'.includes(this.text[this.at] ?? 'x')) this.at += 1
  }

  private read(depth: number): [unknown, Located] {
    this.skip()
    const at = this.at
    const sign = this.text[at]
    if (depth > DEPTH_MAX) this.fail('is nested too deeply')
    if (sign === undefined) this.fail('the text ends where a value should stand')
    if (sign === '{') return this.readObject(depth)
    if (sign === '[') return this.readArray(depth)
    if (sign === '"') return [this.readText(), { at, members: null }]
    const word = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])/.exec(this.text.slice(at, at + 400))?.[0]
    if (word === undefined) this.fail(sign === "'" ? 'texts stand in double quotes' : sign === '/' ? 'comments are not kept, so there can be none' : 'expected a value')
    this.at += word.length
    return [JSON.parse(word), { at, members: null }]
  }

  private readObject(depth: number): [unknown, Located] {
    const members = new Map<string, Located>()
    const entries: [string, unknown][] = []
    const located: Located = { at: this.at++, members }
    for (this.skip(); this.text[this.at] !== '}'; this.skip()) {
      if (entries.length > 0) this.expectComma('}')
      this.skip()
      const at = this.at
      if (this.text[at] !== '"') this.fail(this.text[at] === '}' ? 'there is a comma before this that nothing follows' : 'expected a name in double quotes')
      const name = this.readText()
      if (members.has(name)) this.fail(`"${name.slice(0, 60)}" stands here twice`, at)
      // It would name the object's kind and not be a member of it.
      if (name === '__proto__') this.fail('"__proto__" is not a name that can be used', at)
      this.skip()
      if (this.text[this.at] !== ':') this.fail('expected a colon after the name')
      this.at += 1
      const [value, place] = this.read(depth + 1)
      entries.push([name, value])
      members.set(name, place)
    }
    this.at += 1
    return [Object.fromEntries(entries), located]
  }

  private readArray(depth: number): [unknown, Located] {
    const members = new Map<string, Located>()
    const values: unknown[] = []
    const located: Located = { at: this.at++, members }
    for (this.skip(); this.text[this.at] !== ']'; this.skip()) {
      if (values.length > 0) this.expectComma(']')
      this.skip()
      if (values.length > 0 && this.text[this.at] === ']') this.fail('there is a comma before this that nothing follows')
      const [value, place] = this.read(depth + 1)
      members.set(String(values.length), place)
      values.push(value)
    }
    this.at += 1
    return [values, located]
  }

  private expectComma(end: string): void {
    if (this.text[this.at] === ',') this.at += 1
    else this.fail(this.at >= this.text.length ? `the text ends before "${end}"` : `expected a comma or "${end}"`)
  }

  private readText(): string {
    const start = this.at
    for (this.at += 1; this.text[this.at] !== '"'; this.at += 1) {
      const sign = this.text[this.at]
      if (sign === undefined || sign === '\n') this.fail('this text has no end', start)
      if (sign < ' ') this.fail('a control character must be written as \\u00…')
      if (sign !== '\\') continue
      this.at += 1
      if (!/^(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(this.text.slice(this.at, this.at + 5))) this.fail('this is not a character that can be escaped', this.at - 1)
    }
    this.at += 1
    return JSON.parse(this.text.slice(start, this.at)) as string
  }
}
