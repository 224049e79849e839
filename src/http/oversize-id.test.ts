import { expect, test } from 'bun:test'
import { OversizeId } from './oversize-id.ts'

const LONG = 'x'.repeat(200_000)

function idOf(body: string, options: { isWhole: boolean } = { isWhole: true }): string | null {
  const ends = new OversizeId()
  const bytes = new TextEncoder().encode(body)
  for (let at = 0; at < bytes.length; at += 1000) ends.push(bytes.subarray(at, at + 1000))
  if (options.isWhole) ends.end()
  return ends.idText()
}

test.each<[string, string, string | null]>([
  ['first', `{"id":7,"jsonrpc":"2.0","method":"x","params":{"a":"${LONG}"}}`, '7'],
  ['after version and method', `{"jsonrpc":"2.0","method":"tools/call","id":"a-1","params":{"a":"${LONG}"}}`, '"a-1"'],
  ['last, as the TypeScript SDK writes it', `{"method":"tools/call","params":{"a":"${LONG}"},"jsonrpc":"2.0","id":12}`, '12'],
  ['last, with spaces and escapes', `{"params":{"a":"${LONG}"}, "id" : "\\u00e4\\"" } \n`, '"\\u00e4\\""'],
  ['beyond ASCII', `{"id":"jörg","params":{"a":"${LONG}"}}`, '"jörg"'],
  ['in the middle is not looked for', `{"params":{"a":"${LONG}"},"id":3,"x":{"b":"${LONG}"}}`, null],
  ['of something inside is none', `{"jsonrpc":"2.0","params":{"a":"${LONG}","id":3}}`, null],
  ['null is none', `{"id":null,"params":{"a":"${LONG}"}}`, null],
  ['of a batch is none', `[{"id":1,"params":{"a":"${LONG}"}}]`, null],
])('an id %s', (_where, body, id) => {
  expect(idOf(body)).toBe(id)
})

test('the end of a body that goes on is not its end', () => {
  expect(idOf(`{"params":{"a":"${LONG}"},"id":12}`, { isWhole: false })).toBeNull()
})
