import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { readMessage } from './read.ts'
import { expectedBy, parseLeniently, REFERENCE_READERS, valueFor } from './reference-readers.fixture.ts'
import { targetOf } from './target.ts'

const encode = (text: string) => new TextEncoder().encode(text)

/** Judgement of a body that was accepted: all that the gateway decides by. */
function judgement(bytes: Uint8Array): string | null {
  const result = readMessage(bytes)
  return result.ok ? JSON.stringify(result.body.messages.map((message) => [message.kind, message.method, targetOf(message), message.params, message.era, message.envelopeVersion])) : null
}

/** Names the first reader that takes accepted bytes for something else than was judged; null where all agree or the body is refused. */
function dissent(bytes: Uint8Array): string | null {
  const result = readMessage(bytes)
  if (!result.ok) return null
  const root = parseLeniently(bytes)
  for (const reader of REFERENCE_READERS) {
    const seen = valueFor(reader, root)
    const elements = result.body.isBatch ? (seen as unknown[]) : [seen]
    if (elements.length !== result.body.messages.length) return reader.name
    for (const [index, message] of result.body.messages.entries()) {
      const element = elements[index] as Map<string, unknown>
      if ((element.get('method') ?? null) !== message.method) return `${reader.name}: method`
      if (message.method !== null && !Bun.deepEquals(element.get('params') ?? null, expectedBy(reader, message.params), true)) return `${reader.name}: params`
      if ((element.get('id') ?? null) !== (message.idText === null ? null : JSON.parse(message.idText))) return `${reader.name}: id`
    }
  }
  return null
}

const SEEDS = [
  { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'delete_repo', arguments: { path: '/a/b', force: true, count: 12, list: [1, 'x', null], nested: { name: 'n', deep: [{ k: 's' }] } } } },
  { jsonrpc: '2.0', id: 'abc-1', method: 'tools/call', params: { name: 'search', arguments: { q: 'é 😀 \\ "x"', limit: 0.25 }, _meta: { progressToken: 'p' } } },
  { jsonrpc: '2.0', id: 2, method: 'resources/read', params: { uri: 'file:///etc/hosts' } },
  { jsonrpc: '2.0', id: 3, method: 'prompts/get', params: { name: 'greet', arguments: { who: 'me' } } },
  { jsonrpc: '2.0', id: 4, method: 'completion/complete', params: { ref: { type: 'ref/prompt', name: 'greet' }, argument: { name: 'who', value: 'm' } } },
  { jsonrpc: '2.0', id: 5, method: 'subscriptions/listen', params: { notifications: { toolsListChanged: true, resourceSubscriptions: ['file:///a', 'file:///b'] } } },
  { jsonrpc: '2.0', id: 6, method: 'tools/call', params: { name: 't', arguments: {}, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} } } },
  { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1, reason: 'x' } },
  { jsonrpc: '2.0', id: 7, result: { content: [{ type: 'text', text: 'ok' }] } },
  [{ jsonrpc: '2.0', id: 8, method: 'ping' }, { jsonrpc: '2.0', id: 9, method: 'tools/call', params: { name: 'a', arguments: { b: 1 } } }],
].map((seed) => JSON.stringify(seed))

/** Small generator with a fixed seed, so that a failure can be repeated (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

const KEYS = ['name', 'method', 'params', 'arguments', 'id', 'jsonrpc', 'uri', '_meta', 'path', 'k', 'ref', 'notifications', '__proto__', 'constructor']
const VALUES = ['"evil"', '"tools/list"', '{"name":"evil"}', '{}', '[]', 'null', '1', '-0', '1e400', '9007199254740993', '"\\u0000"', '"\\ud800"', '"2.0"', '"x\\u0000y"', 'true', '[[[]]]', '1.0', '0.1000000000000000055']
const TOKENS = ['\ufeff', '\\u0000', '\0', '\u200b', '{', '}', '[', ']', ',', ':', '"', '\\', '\\u006e', '\\ud83d', ' ', '\n', '/**/', '//\n', '{}', '\u017f', '\u212a', '0', '-', '.', 'e5', '1e400']

function disguise(key: string, pick: (below: number) => number): string {
  const at = pick(key.length)
  const char = key.charAt(at)
  const replaced = (text: string) => key.slice(0, at) + text + key.slice(at + 1)
  const forms = [
    key, key.toUpperCase(), replaced(char.toUpperCase()), replaced(`\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`), replaced(`${char}\u200b`), `${key}\\u0000`, `${key} `, `\\t${key}`,
    key.replace('s', '\u017f'), key.replace('k', '\u212a'), key.replace('e', '\u0435'), replaced(String.fromCharCode(char.charCodeAt(0) + 0xfee0)), `${key}\\ud800`, `\ufeff${key}`,
  ]
  return forms[pick(forms.length)] ?? key
}

function mutate(seed: string, pick: (below: number) => number): Uint8Array {
  const at = pick(seed.length + 1)
  const splice = (text: string, removed = 0) => encode(seed.slice(0, at) + text + seed.slice(at + removed))
  const chosen = <T>(from: readonly T[]) => from[pick(from.length)] as T
  const places = (pattern: RegExp) => [...seed.matchAll(pattern)].map((match) => ({ index: match.index, text: match[1] ?? '' }))
  const keys = places(/"([^"\\]+)":/g)
  const scalars = places(/:("[^"\\]*"|\d+)/g)
  const braces = places(/([{}])/g)
  if (keys.length === 0 || scalars.length === 0 || braces.length === 0) return splice(chosen(TOKENS))
  switch (pick(9)) {
    case 0: { // Any byte becomes any other.
      const bytes = encode(seed)
      bytes[pick(bytes.length)] = pick(256)
      return bytes
    }
    case 1: case 2: { // A member is put at the front or the end of some object.
      const member = `"${disguise(chosen(KEYS), pick)}":${chosen(VALUES)}`
      const brace = chosen(braces).index
      return encode(seed.charAt(brace) === '{' ? `${seed.slice(0, brace + 1)}${member},${seed.slice(brace + 1)}` : `${seed.slice(0, brace)},${member}${seed.slice(brace)}`)
    }
    case 3: { // A key that is there is written in another way.
      const key = chosen(keys)
      return encode(`${seed.slice(0, key.index + 1)}${disguise(key.text, pick)}${seed.slice(key.index + 1 + key.text.length)}`)
    }
    case 4: { // A key appears twice, once disguised.
      const key = chosen(keys)
      return encode(`${seed.slice(0, key.index)}"${disguise(key.text, pick)}":${chosen(VALUES)},${seed.slice(key.index)}`)
    }
    case 5: return encode(seed.slice(0, at))
    case 6: return splice(chosen(TOKENS))
    case 7: return splice(chosen(TOKENS), 1 + pick(3))
    default: { // A scalar is replaced.
      const scalar = chosen(scalars)
      return encode(seed.slice(0, scalar.index + 1) + chosen(VALUES) + seed.slice(scalar.index + 1 + scalar.text.length))
    }
  }
}

describe('mutated messages', () => {
  for (const seed of [1, 2, 3]) {
    test(`10 000 of them never throw and never mean two things (seed ${seed})`, () => {
      const pick = randomFrom(seed)
      let accepted = 0
      for (let i = 0; i < 10_000; i += 1) {
        let bytes = mutate(SEEDS[pick(SEEDS.length)] ?? '', pick)
        if (pick(4) === 0) bytes = mutate(new TextDecoder().decode(bytes), (below) => pick(Math.max(1, below)))
        const other = dissent(bytes)
        if (other !== null) throw new Error(`${other}: ${JSON.stringify(new TextDecoder().decode(bytes))}`)
        const first = judgement(bytes)
        if (first === null) continue
        accepted += 1
        // Written again by JSON.stringify, as a gateway or a client may, it is judged the same.
        if (judgement(encode(JSON.stringify(JSON.parse(new TextDecoder().decode(bytes))))) !== first) throw new Error(`judged anew: ${new TextDecoder().decode(bytes)}`)
      }
      // Were nothing or everything accepted, the test would prove nothing.
      expect(accepted).toBeGreaterThan(500)
      expect(accepted).toBeLessThan(6_000)
    }, 30_000)
  }

  test('the seeds themselves are accepted', () => {
    for (const seed of SEEDS) expect([seed, judgement(encode(seed)) !== null, dissent(encode(seed))]).toEqual([seed, true, null])
  })
})

describe('properties', () => {
  const key = fc.oneof(
    fc.constantFrom('name', 'Name', 'NAME', 'na\u200bme', 'n\u0430me', 'name ', '\uff4eame', 's', '\u017f', 'k', '\u212a', '', 'a b'),
    fc.string({ unit: 'binary', maxLength: 5 }),
  )
  const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }))
  const json = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, fc.string({ unit: 'binary' }), number, fc.boolean(), fc.constant(null), fc.array(tie('value'), { maxLength: 4 }), fc.dictionary(key, tie('value'), { maxKeys: 5 })),
  })).value

  test('arguments of every kind are either refused or read alike by all readers, and stay what they were', () => {
    fc.assert(fc.property(fc.dictionary(key, json, { maxKeys: 6 }), fc.nat(2), (args, indent) => {
      const bytes = encode(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: args } }, null, indent))
      expect(dissent(bytes)).toBeNull()
      const result = readMessage(bytes)
      if (result.ok) expect(result.body.messages[0]?.params?.arguments).toEqual(JSON.parse(JSON.stringify(args)))
    }), { numRuns: 1000, seed: 7 })
  })

  test('honest arguments are accepted', () => {
    const plain = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, fc.string({ unit: 'grapheme' }), number.filter((n) => !Object.is(n, -0)), fc.boolean(), fc.constant(null), fc.array(tie('value')), fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/), tie('value'))),
    })).value
    fc.assert(fc.property(fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/), plain), (args) => {
      const result = readMessage(encode(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: args } })))
      expect(result.ok ? '' : result.message).toBe('')
    }), { numRuns: 1000, seed: 7 })
  })

  test('a name is accepted only where every reader sees the same text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 12 }), fc.constantFrom('tools/call', 'prompts/get'), (name, method) => {
      const bytes = encode(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { name } }))
      const result = readMessage(bytes)
      expect(dissent(bytes)).toBeNull()
      if (result.ok) expect(targetOf(result.body.messages[0] as NonNullable<(typeof result.body.messages)[0]>)[0]?.name).toBe(name.normalize('NFC').trim())
    }), { numRuns: 2000, seed: 7 })
  })

  test('bytes of any kind never throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => { expect(readMessage(bytes).ok).toBe(false) }), { numRuns: 3000, seed: 7 })
  })

  test('JSON text that JSON.parse refuses is refused', () => {
    const piece = fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', '"a"', '"b"', '1', '-', '0', '.', 'e', 'true', 'null', ' ', '\\u', '0041')
    fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":${pieces.join('')}}}`
      if (readMessage(encode(text)).ok) JSON.parse(text)
      else if (isJson(text)) expect(readMessage(encode(text)).ok ? '' : 'refused for more than its grammar').toBe('refused for more than its grammar')
    }), { numRuns: 5000, seed: 7 })
  })
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
