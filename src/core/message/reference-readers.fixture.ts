/**
 * JSON readers as they are found behind a gateway, naive on purpose: a lenient parser that keeps every member of an object in order, and the ways in which
 * different languages then choose among them. Shares nothing with the strict reading that it tests.
 */
export type Node = { members: [string, Node][] } | { items: Node[] } | { scalar: unknown }

/** Parses the first value of the bytes; drops a BOM, replaces broken UTF-8, ignores what follows. Throws where no reader would go on. */
export function parseLeniently(bytes: Uint8Array): Node {
  const text = new TextDecoder('utf-8').decode(bytes)
  let at = 0
  const space = () => { while (at < text.length && ' \t\r\n'.includes(text.charAt(at))) at += 1 }
  const expect = (char: string) => { if (text.charAt(at) !== char) throw new SyntaxError(`no ${char} at ${at}`); at += 1 }
  const string = (): string => {
    expect('"')
    let out = ''
    for (;;) {
      const char = text.charAt(at)
      if (char === '') throw new SyntaxError('string ends')
      at += 1
      if (char === '"') return out
      if (char !== '\\') { out += char; continue }
      const letter = text.charAt(at)
      at += 1
      if (letter === 'u') { out += String.fromCharCode(Number.parseInt(text.slice(at, at + 4), 16)); at += 4 } else out += ({ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' } as Record<string, string>)[letter] ?? letter
    }
  }
  const list = <T>(close: string, item: () => T): T[] => {
    const out: T[] = []
    at += 1
    for (space(); text.charAt(at) !== close; space()) {
      out.push(item())
      space()
      if (text.charAt(at) === ',') at += 1
      else if (text.charAt(at) !== close) throw new SyntaxError(`no ${close} at ${at}`)
    }
    at += 1
    return out
  }
  const value = (): Node => {
    space()
    if (text.charAt(at) === '{') return { members: list('}', (): [string, Node] => { space(); const key = string(); space(); expect(':'); return [key, value()] }) }
    if (text.charAt(at) === '[') return { items: list(']', value) }
    if (text.charAt(at) === '"') return { scalar: string() }
    const word = /^[^,\]}\s]+/.exec(text.slice(at, at + 400))?.[0] ?? ''
    at += word.length
    if (word in WORDS) return { scalar: WORDS[word] }
    if (word === '' || Number.isNaN(Number(word))) throw new SyntaxError(`no value at ${at}`)
    return { scalar: Number(word) }
  }
  return value()
}

const WORDS: Record<string, unknown> = { true: true, false: false, null: null }

export interface ReferenceReader {
  name: string
  /** Two keys are one to this reader when this gives the same text. */
  key(key: string): string
  text(text: string): string
  wins: 'first' | 'last'
}

const same = (text: string) => text
const foldCase = (key: string) => [...key].map((char) => (char === '\u017f' ? 's' : char === '\u212a' ? 'k' : char.toLowerCase())).join('')
const cutAtNul = (text: string) => text.split('\0')[0] ?? ''
const replaceHalves = (text: string) => text.toWellFormed()

export const REFERENCE_READERS: ReferenceReader[] = [
  { name: 'last wins', key: same, text: same, wins: 'last' },
  { name: 'first wins', key: same, text: same, wins: 'first' },
  { name: 'folds case, last wins', key: foldCase, text: same, wins: 'last' },
  { name: 'folds case, first wins', key: foldCase, text: same, wins: 'first' },
  { name: 'ends text at NUL', key: cutAtNul, text: cutAtNul, wins: 'last' },
  { name: 'trims keys', key: (key) => key.trim(), text: same, wins: 'last' },
  { name: 'drops zero-width characters', key: (key) => key.replace(/[\u200b-\u200d\u2060\ufeff]/g, ''), text: same, wins: 'last' },
  { name: 'normalises compatibility forms', key: (key) => key.normalize('NFKC'), text: same, wins: 'first' },
  { name: 'replaces half surrogates', key: replaceHalves, text: replaceHalves, wins: 'last' },
]

/** The value as this reader sees it; objects come out as sorted members under the reader's own keys, so that equal readings print equally. */
export function valueFor(reader: ReferenceReader, node: Node): unknown {
  if ('scalar' in node) return typeof node.scalar === 'string' ? reader.text(node.scalar) : node.scalar
  if ('items' in node) return node.items.map((item) => valueFor(reader, item))
  const seen = new Map<string, unknown>()
  for (const [written, member] of node.members) {
    const key = reader.key(written)
    if (reader.wins === 'last' || !seen.has(key)) seen.set(key, valueFor(reader, member))
  }
  return new Map([...seen].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A value that JSON.parse made, in the form of `valueFor`: what a reader must see who sees the same. */
export function expectedBy(reader: ReferenceReader, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => expectedBy(reader, item))
  if (typeof value !== 'object' || value === null) return value
  return new Map(Object.entries(value).map(([key, member]): [string, unknown] => [reader.key(key), expectedBy(reader, member)]).sort(([a], [b]) => (a < b ? -1 : 1)))
}
