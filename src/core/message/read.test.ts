import { describe, expect, test } from 'bun:test'
import { readMessage } from './read.ts'

const encode = (text: string) => new TextEncoder().encode(text)
const read = (text: string) => readMessage(encode(text))
const body = (fields: Record<string, unknown>) => JSON.stringify({ jsonrpc: '2.0', id: 1, ...fields })
const call = (params: string) => `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`
const withArguments = (json: string) => call(`{"name":"echo","arguments":${json}}`)
const withKey = (key: string) => withArguments(`{"a":1,${key}:2}`)

/** `expected` is `ok`, or a part of the refusal's sentence. */
function expectEach(rows: [claim: string, text: string | Uint8Array, expected: string][]): void {
  for (const [claim, input, expected] of rows) {
    test(claim, () => {
      const result = readMessage(typeof input === 'string' ? encode(input) : input)
      if (expected === 'ok') expect(result).toMatchObject({ ok: true })
      else expect(result.ok ? 'accepted' : result.message).toContain(expected)
    })
  }
}

function bytesIn(...raw: number[]): Uint8Array {
  const [before, after] = withArguments('{"text":"@"}').split('@') as [string, string]
  return Uint8Array.from([...encode(before), ...raw, ...encode(after)])
}

describe('bytes', () => {
  expectEach([
    ['plain ASCII passes', bytesIn(0x41), 'ok'],
    ['two, three and four byte characters pass', bytesIn(0xc3, 0xa9, 0xe6, 0xbc, 0xa2, 0xf0, 0x9f, 0x98, 0x80), 'ok'],
    ['a lone continuation byte is refused', bytesIn(0x80), 'UTF-8'],
    ['an overlong slash is refused', bytesIn(0xc0, 0xaf), 'UTF-8'],
    ['an overlong NUL is refused', bytesIn(0xc0, 0x80), 'UTF-8'],
    ['an encoded surrogate is refused', bytesIn(0xed, 0xa0, 0x80), 'UTF-8'],
    ['an encoded surrogate pair is refused', bytesIn(0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80), 'UTF-8'],
    ['a character beyond U+10FFFF is refused', bytesIn(0xf4, 0x90, 0x80, 0x80), 'UTF-8'],
    ['a character that is cut off is refused', bytesIn(0xe6, 0xbc), 'UTF-8'],
    ['a byte order mark is refused', `\ufeff${body({ method: 'ping' })}`, 'byte order mark'],
    ['a byte order mark inside a string passes', withArguments('{"text":"\ufeff"}'), 'ok'],
    ['UTF-16 is refused', Uint8Array.from([...body({ method: 'ping' })].flatMap((char) => [char.charCodeAt(0), 0])), 'not JSON'],
    ['UTF-16 with its mark is refused', Uint8Array.from([0xff, 0xfe, 0x7b, 0]), 'UTF-8'],
    ['an empty body is refused', '', 'not JSON'],
    ['white space alone is refused', ' \n', 'not JSON'],
    ['JSON white space around the value passes', ` \t\r\n${body({ method: 'ping' })}\n `, 'ok'],
    ['other white space around the value is refused', `${body({ method: 'ping' })}\u00a0`, 'follows'],
    ['a NUL after the value is refused', `${body({ method: 'ping' })}\0`, 'follows'],
    ['a second value is refused', `${body({ method: 'ping' })}{}`, 'follows'],
    ['a second value on its own line is refused', `${body({ method: 'ping' })}\n${body({ method: 'ping' })}`, 'follows'],
  ])
})

describe('JSON', () => {
  const wrong = [
    '{"a":1,}', '{,}', '{"a"}', '{"a":}', '{a:1}', "{'a':1}", '{"a":1 "b":2}', '[1,]', '[,1]', '[1 2]', '[1}', '{"a":1]', '{"a":01}', '{"a":+1}', '{"a":.5}', '{"a":5.}', '{"a":1e}', '{"a":1e+}', '{"a":-}', '{"a":0x10}', '{"a":1_000}',
    '{"a":NaN}', '{"a":Infinity}', '{"a":-Infinity}', '{"a":True}', '{"a":nul}', '{"a":nulll}', '{"a":undefined}', '{"a":"\\x41"}', '{"a":"\\u12g4"}', '{"a":"\\u+123"}', '{"a":"\\u 123"}', '{"a":"\t"}', '{"a":"\n"}', '{"a":"\u0000"}',
    '{"a":1/*x*/}', '{"a":1//x\n}', '#{}', '{"a":"b', '{"a":"\\', '{"a":"\\u00', '{"a', '{', '[', '{"a":1', '{"a":[1', '{"\n":1}', '{"a":-01}', '{"a":1.e5}', '{"a":00}', '{"a":"b"c"}', '{"a"::1}', '{"a":1,,"b":2}',
  ]
  test.each(wrong)('what is not JSON is refused: %j', (json) => {
    expect(read(withArguments(json)).ok).toBe(false)
    expect(read(json).ok).toBe(false)
  })
  const right = ['{}', '{"a":{}}', '{"a":[]}', '{"a":[{}]}', '{"a":[[],{},[1]]}', ' { "a" : [ 1 , 2 ] , "b" : null } ', '{"":1}', '{"a":true,"b":false}', '{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041"}', '{"a":"\\ud83d\\ude00"}', '{"a":"\\uFFFF\u007f"}']
  test.each(right)('what is JSON passes and keeps its values: %j', (json) => {
    const result = read(withArguments(json))
    expect(result.ok && result.body.messages[0]?.params?.arguments).toEqual(JSON.parse(json))
  })
})

describe('keys', () => {
  expectEach([
    ['two different keys pass', withKey('"b"'), 'ok'],
    ['a duplicate is refused', withKey('"a"'), 'twice'],
    ['a duplicate written with an escape is refused', withKey('"\\u0061"'), 'twice'],
    ['a duplicate in another case is refused', withKey('"A"'), 'twice'],
    ['a duplicate in full width is refused', withKey('"\uff41"'), 'twice'],
    ['a duplicate with a zero-width space is refused', withKey('"a\u200b"'), 'twice'],
    ['a duplicate with a zero-width joiner before it is refused', withKey('"\u200da"'), 'twice'],
    ['a duplicate with a byte order mark is refused', withKey('"\ufeffa"'), 'twice'],
    ['a duplicate with a space after it is refused', withKey('"a "'), 'twice'],
    ['a duplicate with a tab before it is refused', withKey('"\\ta"'), 'twice'],
    ['a key with a space inside is another key', withArguments('{"ab":1,"a b":2}'), 'ok'],
    ['a key with an accent is another key', withKey('"\u00e0"'), 'ok'],
    ['composed and decomposed accents are one key', withArguments('{"\u00e0":1,"a\u0300":2}'), 'twice'],
    ['a long s is an s', withArguments('{"s":1,"\u017f":2}'), 'twice'],
    ['a Kelvin sign is a k', withArguments('{"k":1,"\u212a":2}'), 'twice'],
    ['a final sigma is a sigma', withArguments('{"x\u03c3":1,"x\u03c2":2}'), 'twice'],
    ['a Cyrillic letter is another letter below arguments', withArguments('{"a":1,"\u0430":2}'), 'ok'],
    ['a key with NUL is refused', withArguments('{"a\\u0000":1}'), 'NUL'],
    ['the same key in two objects passes', withArguments('{"x":{"a":1},"y":{"a":1},"a":1}'), 'ok'],
    ['the same key in a list of objects passes', withArguments('{"x":[{"a":1},{"a":1}]}'), 'ok'],
    ['a duplicate after a nested object is refused', withArguments('{"a":{"b":{"a":1}},"b":{},"a":1}'), 'twice'],
    ['a duplicate deep inside lists is refused', withArguments('{"x":[[{"y":[{"a":1,"a":2}]}]]}'), '$.params.arguments.x[0][0].y[0].a'],
    ['a duplicate name of the tool is refused', call('{"name":"safe","name":"evil"}'), '$.params.name'],
    ['a duplicate params is refused', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}', '$.params'],
    ['__proto__ is refused', withKey('"__proto__"'), '__proto__'],
    ['__proto__ with an escape is refused', withKey('"\\u005f_proto__"'), '__proto__'],
    ['__PROTO__ is refused', withKey('"__PROTO__"'), '__proto__'],
    ['__proto__ with an invisible character is refused', withKey('"__pro\u200bto__"'), '__proto__'],
    ['__proto__ as a value passes', withArguments('{"a":"__proto__"}'), 'ok'],
    ['_proto_ passes', withKey('"_proto_"'), 'ok'],
    ['constructor alone passes', withArguments('{"constructor":{"name":1}}'), 'ok'],
    ['prototype alone passes', withArguments('{"prototype":{"constructor":1}}'), 'ok'],
    ['constructor with prototype inside is refused', withArguments('{"constructor":{"prototype":{"x":1}}}'), 'prototype'],
    ['constructor with prototype inside, escaped, is refused', withArguments('{"construct\\u006fr":{"prot\\u006ftype":1}}'), 'prototype'],
    ['a run of 31 combining marks in a key is refused', withArguments(`{"a${'\u0301'.repeat(31)}":1}`), 'marks'],
    ['a run of 30 combining marks in a key passes', withArguments(`{"a${'\u0301'.repeat(30)}":1}`), 'ok'],
  ])

  for (const count of [2, 15, 16, 17, 18, 40, 3000]) {
    test(`a duplicate is found among ${count} keys, and no false one`, () => {
      const keys = Array.from({ length: count }, (_, i) => `"Key${i}":${i}`)
      expect(read(withArguments(`{${keys.join(',')}}`)).ok).toBe(true)
      for (const again of ['"key0":0', `"KEY${count - 1}":0`, '"\\u004bey0":0', '"key0\u200b":0']) {
        expect(read(withArguments(`{${keys.join(',')},${again}}`)).ok).toBe(false)
        expect(read(withArguments(`{${again},${keys.join(',')}}`)).ok).toBe(false)
      }
    })
  }

  test('keys whose hashes are equal are told apart', () => {
    // 31 * "a" + "z" = 31 * "b" + "["
    expect(read(withArguments('{"az":1,"b[":2}')).ok).toBe(true)
    expect(read(withArguments('{"az":1,"b[":2,"AZ":3}')).ok).toBe(false)
  })
})

describe('strings and numbers', () => {
  const value = (json: string) => withArguments(`{"v":${json}}`)
  expectEach([
    ['a surrogate pair passes', value('"\\ud83d\\ude00"'), 'ok'],
    ['a high half alone is refused', value('"\\ud83d"'), 'surrogate'],
    ['a high half before a letter is refused', value('"\\ud83dx"'), 'surrogate'],
    ['a high half before another escape is refused', value('"\\ud83d\\n"'), 'surrogate'],
    ['a low half alone is refused', value('"\\ude00"'), 'surrogate'],
    ['halves in the wrong order are refused', value('"\\ude00\\ud83d"'), 'surrogate'],
    ['two high halves are refused', value('"\\ud83d\\ud83d\\ude00"'), 'surrogate'],
    ['half a pair in a key is refused', withArguments('{"\\ud83d":1}'), 'surrogate'],
    ['a NUL is refused', value('"a\\u0000b"'), 'NUL'],
    ['another control character, escaped, passes', value('"a\\u0001\\u001b\\u0080b"'), 'ok'],
    ['an escaped backslash before u0000 passes', value('"\\\\u0000"'), 'ok'],
    ...['0', '1', '-1', '1.0', '1e2', '1E+2', '0.1', '-0.5', '1.50', '0.0', '0e5', '9007199254740991', '9007199254740992', '-9007199254740992', '1e22', '100000000000000000000', '1.7976931348623157e308', '5e-324', '0.30000000000000004', '123456789012345', '1234567890.12345']
      .map((number): [string, string, string] => [`the number ${number} passes`, value(number), 'ok']),
    ...['-0', '-0.0', '-0e1', '9007199254740993', '-9007199254740993', '1e400', '-1e400', '1e-400', '0.1000000000000000055', '1.00000000000000001', '590295810358705651712', '12345678901234567890', '1.7976931348623159e308', '1e99999999999', `1${'0'.repeat(70)}`, `0.${'0'.repeat(70)}`]
      .map((number): [string, string, string] => [`the number ${number} is refused`, value(number), 'number']),
  ])
})

describe('bounds', () => {
  const nested = (levels: number) => withArguments(`{"v":${'['.repeat(levels)}${']'.repeat(levels)}}`)
  expectEach([
    ['nesting of 64 passes', nested(61), 'ok'],
    ['nesting of 65 is refused', nested(62), 'nested deeper than 64'],
    ['a million open lists are refused', '['.repeat(1e6), 'nested deeper'],
    ['a million open objects are refused', '{"a":'.repeat(1e6), 'nested deeper'],
    ['a million lists inside a message are refused', nested(1e6), 'nested deeper'],
    ['params with 256 keys pass', body({ method: 'ping', params: Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`k${i}`, i])) }), 'ok'],
    ['params with 257 keys are refused', body({ method: 'ping', params: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`k${i}`, i])) }), 'more than 256 keys'],
    ['an id of 256 characters passes', body({ id: 'x'.repeat(256), method: 'ping' }), 'ok'],
    ['an id of 257 characters is refused', body({ id: 'x'.repeat(257), method: 'ping' }), '$.id'],
    ['a method of 256 characters passes', body({ method: 'x'.repeat(256) }), 'ok'],
    ['a method of 257 characters is refused', body({ method: 'x'.repeat(257) }), '$.method'],
    ['a tool name of 512 characters passes', body({ method: 'tools/call', params: { name: 'x'.repeat(512) } }), 'ok'],
    ['a tool name of 513 characters is refused', body({ method: 'tools/call', params: { name: 'x'.repeat(513) } }), '$.params.name'],
    ['a URI of 8192 characters passes', body({ method: 'resources/read', params: { uri: 'x'.repeat(8192) } }), 'ok'],
    ['a URI of 8193 characters is refused', body({ method: 'resources/read', params: { uri: 'x'.repeat(8193) } }), '$.params.uri'],
  ])

  test('depth and batch size say that they are bounds, ambiguity does not', () => {
    const facts = (text: string) => {
      const result = readMessage(encode(text), { depthMax: 3, batchMax: 2 })
      return result.ok ? 'ok' : result.tooLarge
    }
    const ping = body({ method: 'ping' })
    const pong = body({ id: 2, method: 'ping' })
    expect(facts(withArguments('{"a":1}'))).toBe('ok')
    expect(facts(withArguments('{"a":[]}'))).toBe(true)
    expect(facts(`[${ping},${pong}]`)).toBe('ok')
    expect(facts(`[${ping},${pong},${ping}]`)).toBe(true)
    expect(facts(withArguments('{"a":1,"a":2}'))).toBe(false)
  })
})

describe('the envelope', () => {
  expectEach([
    ['a request passes', body({ method: 'ping' }), 'ok'],
    ['a text id passes', body({ id: 'abc', method: 'ping' }), 'ok'],
    ['an empty text id passes', body({ id: '', method: 'ping' }), 'ok'],
    ['a notification passes', '{"jsonrpc":"2.0","method":"notifications/initialized"}', 'ok'],
    ['a response passes', body({ result: {} }), 'ok'],
    ['an error response passes', body({ error: { code: -1, message: 'no' } }), 'ok'],
    ...['null', 'true', '{}', '[]', '[1]', '1.5', '1e300'].map((id): [string, string, string] => [`the id ${id} is refused`, `{"jsonrpc":"2.0","id":${id},"method":"ping"}`, '$.id']),
    ['a body that is a text is refused', '"x"', 'JSON object'],
    ['a body that is a number is refused', '1', 'JSON object'],
    ['a body that is null is refused', 'null', 'JSON object'],
    ['jsonrpc missing is refused', '{"id":1,"method":"ping"}', '$.jsonrpc'],
    ['jsonrpc 1.0 is refused', body({ jsonrpc: '1.0', method: 'ping' }), '$.jsonrpc'],
    ['jsonrpc as a number is refused', body({ jsonrpc: 2, method: 'ping' }), '$.jsonrpc'],
    ['no method, result or error is refused', body({}), 'needs a method'],
    ['method and result is refused', body({ method: 'ping', result: {} }), 'not both'],
    ['method and error is refused', body({ method: 'ping', error: {} }), 'not both'],
    ['result and error is refused', body({ result: {}, error: {} }), 'not both'],
    ['a response without id is refused', '{"jsonrpc":"2.0","result":{}}', 'needs an id'],
    ['a response with params is refused', body({ result: {}, params: {} }), '$.params'],
    ['a null result is refused', body({ result: null }), '$.result'],
    ['a text as error is refused', body({ error: 'x' }), '$.error'],
    ...[null, 1, '', ['ping'], ' ping', 'ping ', 'ping\n', 'pi\u200bng', 'pi\u202eng', 'ping\u0000'].map((method): [string, string, string] => [`the method ${JSON.stringify(method)} is refused`, body({ method }), 'refused']),
    ...['null', '[]', '1', '"x"', 'true'].map((params): [string, string, string] => [`params ${params} is refused`, `{"jsonrpc":"2.0","id":1,"method":"ping","params":${params}}`, '$.params']),
    ['an unknown key passes', body({ method: 'ping', extra: 1 }), 'ok'],
    ...['Method', 'METHOD', 'method ', 'm\u0435thod', '\uff4dethod', 'meth\u00f3d', 'me\u200bthod', 'Id', '\u0456d', 'ID', 'Params', 'par\u0430ms', 'param\u017f', 'JSONRPC', 'json_rpc', 'Result', 'err\u043er']
      .map((key): [string, string, string] => [`the envelope key ${JSON.stringify(key)} is refused`, `{"x":1,${JSON.stringify(key)}:"x","y":2}`, 'can be taken for']),
  ])
})

describe('params', () => {
  const params = (method: string, value: unknown) => body({ method, params: value })
  const refusedNames = ['', ' a', 'a ', '\u00a0a', 'a\n', 'a\tb', 'a\u007f', 'a\u0085', 'a\u200b', 'a\u200db', 'a\u202eb', '\ufeffa', 'a\u00adb', 'a\u2028b', 'a\u3164', 'a\ufe0f', 'e\u0301', '\u212a', 'a\u{e0041}', 1, null, ['a'], { a: 1 }, true, undefined]
  const acceptedNames = ['a', 'A_b-c.d/e', 'two words', 'd\u00e9j\u00e0', '\u6f22\u5b57', '\ud83d\ude00', '\u0430', 'constructor', '__proto__', 'toString']
  for (const [method, field] of [['tools/call', 'name'], ['prompts/get', 'name'], ['resources/read', 'uri'], ['resources/subscribe', 'uri'], ['resources/unsubscribe', 'uri'], ['tasks/get', 'taskId'], ['tasks/result', 'taskId'], ['tasks/cancel', 'taskId'], ['tasks/update', 'taskId']] as const) {
    for (const name of refusedNames) {
      test(`${method} with ${field} ${JSON.stringify(name)} is refused`, () => {
        const result = read(params(method, { [field]: name }))
        expect(result.ok ? 'accepted' : result.message).toMatch(name === '\0' ? /NUL/ : new RegExp(`\\$\\.params\\.${field}`))
      })
    }
    for (const name of acceptedNames) {
      test(`${method} with ${field} ${JSON.stringify(name)} passes`, () => expect(read(params(method, { [field]: name })).ok).toBe(true))
    }
    test(`${method} without params is refused`, () => expect(read(body({ method })).ok).toBe(false))
    test(`${method} as a notification is checked all the same`, () => expect(read(`{"jsonrpc":"2.0","method":"${method}"}`).ok).toBe(false))
  }

  const modern = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} } }
  for (const method of ['resources/subscribe', 'resources/unsubscribe']) {
    expectEach([
      [`${method}, which 2026-07-28 knows no more, passes there without a resource`, params(method, modern), 'ok'],
      [`${method} there with a resource passes`, params(method, { ...modern, uri: 'a' }), 'ok'],
      [`${method} there with a resource that is no text is refused`, params(method, { ...modern, uri: null }), '$.params.uri'],
      [`${method} there with an empty resource is refused`, params(method, { ...modern, uri: '' }), '$.params.uri'],
      [`${method} there with a look-alike of uri is refused`, params(method, { ...modern, Uri: 'a' }), 'can be taken for'],
      [`${method} without a resource is refused in earlier revisions`, params(method, { _meta: { progressToken: 1 } }), '$.params.uri'],
    ])
  }
  expectEach([['resources/read without a resource is refused in 2026-07-28 too', params('resources/read', modern), '$.params.uri']])

  expectEach([
    ['arguments absent pass', params('tools/call', { name: 'a' }), 'ok'],
    ...['null', '[]', '[{"a":1}]', '"{}"', '0', 'false'].map((json): [string, string, string] => [`arguments ${json} are refused`, withArguments(json), '$.params.arguments']),
    ...['Name', 'NAME', 'n\u0430me', 'na\u200bme', 'name ', '\uff4eame', 'Arguments', 'argument\u017f', '\u0430rguments', 'Uri', 'ur\u0456', 'TaskId', 'task_id', 'task-id', 'meta', '_Meta', '__meta', '\uff3fmeta', 'input_responses', 'request_state']
      .map((key): [string, string, string] => [`the params key ${JSON.stringify(key)} is refused`, params('tools/call', { name: 'a', filler: 1, [key]: 'b' }), key.trim().toLowerCase() === 'name' || key === 'na\u200bme' || key === '\uff4eame' ? 'twice' : 'can be taken for']),
    ['a look-alike is refused even alone', params('tools/list', { Cursor: 'x' }), 'can be taken for "cursor"'],
    ['the refusal shows which letter is foreign', params('tools/list', { '\u0441ursor': 'x' }), '\\u{441}ursor'],
    ['a key of its own passes', params('tools/call', { name: 'a', names: 1, 'x-vendor': 2, Display: 3 }), 'ok'],
    ['keys below arguments may look like protocol keys', withArguments('{"Name":1,"task_id":2,"n\u0430me":3,"meta":4,"_meta":null}'), 'ok'],
    ['_meta null is refused', params('ping', { _meta: null }), '$.params._meta'],
    ['_meta as a list is refused', params('ping', { _meta: [] }), '$.params._meta'],
    ['a progress token passes', params('tools/call', { name: 'a', _meta: { progressToken: 1, 'example.com/x': 2 } }), 'ok'],
    ['a progress token in snake case is refused', params('tools/call', { name: 'a', _meta: { progress_token: 1 } }), 'can be taken for'],
    ['an envelope key in another case is refused', params('tools/list', { _meta: { 'io.modelcontextprotocol/protocolversion': '2026-07-28' } }), 'can be taken for'],
    ['an envelope key with a Cyrillic letter is refused', params('tools/list', { _meta: { 'io.modelcontextprotocol/pr\u043etocolVersion': '2026-07-28' } }), 'can be taken for'],
    ['an envelope version that is no text is refused', params('tools/list', { _meta: { 'io.modelcontextprotocol/protocolVersion': 20260728 } }), 'version'],
    ['a reference to a prompt passes', params('completion/complete', { ref: { type: 'ref/prompt', name: 'p' }, argument: { name: 'a', value: '' } }), 'ok'],
    ['a reference to a resource passes', params('completion/complete', { ref: { type: 'ref/resource', uri: 'file:///{x}' } }), 'ok'],
    ['a completion without reference is refused', params('completion/complete', {}), '$.params.ref'],
    ['a reference of another type is refused', params('completion/complete', { ref: { type: 'ref/tool', name: 'p' } }), '$.params.ref.type'],
    ['a reference with both is refused', params('completion/complete', { ref: { type: 'ref/prompt', name: 'p', uri: 'u' } }), '$.params.ref.uri'],
    ['a reference with a look-alike is refused', params('completion/complete', { ref: { type: 'ref/prompt', name: 'p', Uri: 'u' } }), 'can be taken for'],
    ['a prompt reference without name is refused', params('completion/complete', { ref: { type: 'ref/prompt' } }), '$.params.ref.name'],
    ['listening passes', params('subscriptions/listen', { notifications: { resourceSubscriptions: ['file:///a', 'file:///b'] } }), 'ok'],
    ['listening to nothing passes', params('subscriptions/listen', { notifications: { toolsListChanged: true } }), 'ok'],
    ['subscriptions null are refused', params('subscriptions/listen', { notifications: { resourceSubscriptions: null } }), 'resourceSubscriptions'],
    ['a subscription that is no text is refused', params('subscriptions/listen', { notifications: { resourceSubscriptions: ['a', 1] } }), 'resourceSubscriptions[1]'],
    ['subscriptions in another case are refused', params('subscriptions/listen', { notifications: { ResourceSubscriptions: ['a'] } }), 'can be taken for'],
    ['subscriptions in the wrong place are refused', params('subscriptions/listen', { resourceSubscriptions: ['a'] }), 'belong under'],
  ])
})

describe('what is read', () => {
  test('a call gives kind, id, method, params and size', () => {
    const text = withArguments('{"q":"é"}')
    const result = read(`\n ${text} `)
    expect(result).toEqual({
      ok: true,
      body: { isBatch: false, messages: [{ kind: 'request', idText: '1', method: 'tools/call', params: { name: 'echo', arguments: { q: 'é' } }, era: 'legacy', envelopeVersion: null, bytes: encode(text).length }] },
    })
  })

  test.each(['1', '-7', '1.0', '1e2', '9007199254740991', '"a"', '"\\u0061\\/"', '"é😀"', '""'])('the id %s is kept as it was written', (id) => {
    const result = read(`{"jsonrpc":"2.0", "id" : ${id} ,"method":"ping"}`)
    expect(result.ok && result.body.messages[0]?.idText).toBe(id)
  })

  test('an id key written with an escape is the id', () => {
    const result = read('{"jsonrpc":"2.0","\\u0069d":5,"method":"ping","params":{"id":6}}')
    expect(result.ok && result.body.messages[0]?.idText).toBe('5')
  })

  test('the envelope makes a message modern, whatever else is there', () => {
    const eraOf = (meta: unknown) => {
      const result = read(body({ method: 'tools/list', params: { _meta: meta } }))
      const message = result.ok ? result.body.messages[0] : undefined
      return [message?.era, message?.envelopeVersion]
    }
    expect(eraOf({})).toEqual(['legacy', null])
    expect(eraOf({ progressToken: 1, 'io.modelcontextprotocol/related-task': {} })).toEqual(['legacy', null])
    expect(eraOf({ 'io.modelcontextprotocol/protocolVersion': '2026-07-28' })).toEqual(['modern', '2026-07-28'])
    expect(eraOf({ 'io.modelcontextprotocol/clientCapabilities': {} })).toEqual(['modern', null])
  })

  test('a batch gives each message with its own id and size', () => {
    const first = body({ method: 'ping' })
    const second = '{"jsonrpc":"2.0","method":"notifications/é😀"}'
    const result = read(`[ ${first} , ${second} ]`)
    expect(result.ok && result.body.isBatch).toBe(true)
    expect(result.ok && result.body.messages.map((message) => [message.kind, message.idText, message.bytes])).toEqual([
      ['request', '1', encode(first).length], ['notification', null, encode(second).length],
    ])
  })
})

describe('batches', () => {
  const ping = (id: unknown) => body({ id, method: 'ping' })
  const modern = body({ method: 'tools/list', params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } } })
  const pings = (count: number) => `[${Array.from({ length: count }, (_, id) => ping(id)).join(',')}]`
  expectEach([
    ['a batch of one passes', `[${ping(1)}]`, 'ok'],
    ['a batch of 100 passes', pings(100), 'ok'],
    ['a batch of 101 is refused', pings(101), 'more than 100'],
    ['an empty batch is refused', '[]', 'empty'],
    ['a batch in a batch is refused', `[[${ping(1)}]]`, '$[0]'],
    ['a number in a batch is refused', `[${ping(1)},1]`, '$[1]'],
    ['one bad message refuses all', `[${ping(1)},${ping(null)}]`, '$[1].id'],
    ['a modern message is refused', `[${ping(2)},${modern}]`, 'batches'],
    ['initialize is refused', `[${body({ method: 'initialize', params: {} })}]`, 'initialize'],
    ['the same id twice is refused', `[${ping(1)},${ping(1)}]`, 'same id'],
    ['the same id written in two ways is refused', `[${ping(1)},{"jsonrpc":"2.0","id":1.0,"method":"ping"}]`, 'same id'],
    ['a number and its text are two ids', `[${ping(1)},${ping('1')}]`, 'ok'],
    ['a response may repeat the id of a request', `[${ping(1)},${body({ result: {} })}]`, 'ok'],
  ])
})

describe('the id of a refused body', () => {
  test.each([
    ['a bad call', '{"jsonrpc":"2.0","id":7,"method":"tools/call"}', '7'],
    ['a text id, as written', '{"id":"\\u0061 b","method":1}', '"\\u0061 b"'],
    ['an id behind the fault', '{"a":1,"a":2,"id":"x"}', '"x"'],
    ['an id behind nesting that is too deep', `{"a":${'['.repeat(99)}${']'.repeat(99)},"id":3}`, '3'],
    ['an id below the top does not count', '{"a":{"id":1},"b":[{"id":2}],"method":"id","jsonrpc":"x"}', null],
    ['an id in a text does not count', '{"a":"\\"id\\":1","id":2,"id2":"id"}', '2'],
    ['two ids', '{"id":1,"id":2}', null],
    ['two equal ids', '{"id":1,"id":1}', null],
    ['a second id in another case', '{"id":1,"ID":2}', null],
    ['a second id with an escape', '{"id":1,"\\u0069d":2}', null],
    ['a second id with a NUL', '{"id":1,"id\\u0000x":2}', null],
    ['a second id with a Cyrillic letter', '{"id":1,"\u0456d":2}', null],
    ['an id in another case alone', '{"ID":1}', null],
    ['an id that is null', '{"id":null}', null],
    ['an id that is an object', '{"id":{"id":1}}', null],
    ['an id beyond doubles', '{"id":1e999}', null],
    ['an id that is too long', `{"id":"${'x'.repeat(257)}"}`, null],
    ['an id with half a surrogate pair', '{"id":"\\ud800"}', null],
    ['a body that ends early', '{"id":1,"method":"pi', null],
    ['a second message', '{"id":1}{"id":2}', null],
    ['something harmless behind', '{"id":1} x', '1'],
    ['a byte order mark', '\ufeff{"id":1}', '1'],
    ['a batch', '[{"id":1,"method":1}]', null],
    ['a text', '"id"', null],
    ['nothing', '', null],
  ])('%s', (_claim, text, idText) => {
    const result = read(text)
    expect(result.ok).toBe(false)
    expect(result.ok ? 'accepted' : result.idText).toBe(idText)
  })

  test('is told when the fault is broken UTF-8, unless it is in the id', () => {
    const withByte = (before: string, after: string) => readMessage(Uint8Array.from([...encode(before), 0xff, ...encode(after)]))
    expect(withByte('{"id":4,"method":"', '"}')).toMatchObject({ ok: false, idText: '4' })
    expect(withByte('{"id":"', '"}')).toMatchObject({ ok: false, idText: null })
  })
})

test('a refusal names what and where, in one sentence and in the issue list, without control or foreign characters', () => {
  const result = read(withArguments('{"e\\nvil\u0430":{"x":1,"x":2}}'))
  expect(result).toEqual({
    ok: false,
    message: 'The message is refused: the key "x" appears twice, as written or to a reader that ignores case, width or invisible characters (at $.params.arguments["e\\u{a}vil\\u{430}"].x).',
    issues: [{ path: '$.params.arguments["e\\u{a}vil\\u{430}"].x', message: 'the key "x" appears twice, as written or to a reader that ignores case, width or invisible characters' }],
    idText: '1',
    tooLarge: false,
  })
})
