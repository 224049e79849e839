import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { maskSecrets, redactArguments } from './redact.ts'

const M = '[masked]'
const redact = (args: Record<string, unknown>, bytesMax = 8192) => redactArguments(args, bytesMax)
const jsonBytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value)).length

describe('arguments on record', () => {
  const secretNames = [
    'password', 'passwd', 'PASSWORD', 'db_password', 'userPassword', 'secret', 'clientSecret', 'client-secret', 'token', 'access_token', 'refreshToken', 'api_key', 'apikey', 'api-key', 'API Key',
    'X-Api-Key', 'Authorization', 'Proxy-Authorization', 'cookie', 'Set-Cookie', 'credential', 'credentials', 'private_key', 'privateKey', 'access_key', 'AWS_SECRET_ACCESS_KEY', 'session', 'sessionId',
    'bearer', 'pin', 'user_pin', 'cardPin', 'otp', 'OTP', 'pwd', 'auth', 'jwt', 'passphrase', 'ｐａｓｓｗｏｒｄ',
  ]
  for (const name of secretNames) test(`the value of "${name}" is masked`, () => expect(redact({ [name]: 'hunter2' })).toEqual({ [name]: M }))

  const plainNames = ['path', 'owner', 'spinner', 'opinion', 'author', 'passenger', 'compass', 'key', 'keyboard', 'sessions', 'hotpot', 'sides', 'patch', 'user', 'tool']
  for (const name of plainNames) test(`the value of "${name}" is kept`, () => expect(redact({ [name]: 'hunter2' })).toEqual({ [name]: 'hunter2' }))

  test('amounts of tokens are kept, and tokens are not', () => {
    expect(redact({ max_tokens: 100, maxTokens: 100, token_count: 3, tokens: ['a'], token: 5 })).toEqual({ max_tokens: 100, maxTokens: 100, token_count: 3, tokens: M, token: M })
  })

  test('secrets are masked at any depth, of any type, and in name and value pairs', () => {
    expect(redact({
      a: [{ b: { password: 'x' } }], secret: { whole: ['tree'] }, pin: 1234, token: null, useToken: true,
      headers: [{ name: 'X-Api-Key', value: 'abc' }, { name: 'Accept', value: 'text/html' }],
    })).toEqual({ a: [{ b: { password: M } }], secret: M, pin: M, token: null, useToken: true, headers: [{ name: 'X-Api-Key', value: M }, { name: 'Accept', value: 'text/html' }] })
  })

  test('an own "__proto__" stays a plain field', () => {
    const shown = redact(JSON.parse('{"__proto__":{"polluted":1},"a":1}')) as Record<string, unknown>
    expect(JSON.stringify(shown)).toBe('{"__proto__":{"polluted":1},"a":1}')
    expect(Object.getPrototypeOf(shown)).toBe(Object.prototype)
  })

  test('what fits is kept as it is', () => {
    const args = { text: 'ü'.repeat(1000), list: Array.from({ length: 500 }, (_, index) => index), deep: { a: [null, true, 1.5, 'x'] } }
    expect(redact(args)).toEqual(args)
  })

  test('a long text is cut, tells its length, and leaves room for the other arguments', () => {
    const shown = redact({ content: 'x'.repeat(100_000), path: '/a' }, 1024) as Record<string, string>
    expect(shown.path).toBe('/a')
    expect(shown.content).toMatch(/^x{50,}… \[cut, 100000 characters\]$/)
  })

  test('long lists and large objects tell how much is missing', () => {
    const list = (redact({ list: Array.from({ length: 100_000 }, () => 'item') }, 1024) as { list: string[] }).list
    expect(list.at(-1)).toBe(`[${100_000 - list.length + 1} more]`)
    const object = redact(Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, 'v'])), 1024) as Record<string, string>
    expect(object['…']).toBe(`[${10_000 - Object.keys(object).length + 1} more]`)
  })

  test('a secret that crosses the cut is masked', () => {
    for (let offset = 700; offset < 1100; offset += 7) {
      const secret = `ghp_${'S3cr3t'.repeat(6)}`
      expect(JSON.stringify(redact({ a: `${'x '.repeat(offset / 2)}${secret}${' y'.repeat(5000)}` }, 1024))).not.toContain('S3cr3t')
    }
  })

  test('a pair of surrogates is never cut in half', () => {
    for (let lead = 0; lead < 4; lead++) {
      const shown = redact({ a: `${'x'.repeat(lead)}${'🙂'.repeat(500)}` }, 300) as { a: string }
      expect(shown.a.isWellFormed()).toBe(true)
    }
  })

  test('depth is bounded and a cycle ends', () => {
    const cycle: Record<string, unknown> = {}
    cycle.self = cycle
    expect(jsonBytes(redact(cycle))).toBeLessThanOrEqual(8192)
    expect(JSON.stringify(redact(cycle))).toContain('[object cut]')
  })

  test('no arguments and no room give undefined', () => {
    expect(redactArguments(undefined, 8192)).toBeUndefined()
    expect(redactArguments({ a: 1 }, 0)).toBeUndefined()
  })

  test('hostile objects do not make it throw', () => {
    expect(redact({ get a() { throw new Error('no') } })).toBe('[unreadable]')
    expect(redact({ a: 1n, b: () => 1, c: undefined, d: Symbol('x') })).toEqual({ a: '[bigint]', b: '[function]', d: '[symbol]' })
  })

  test('any arguments and limit: valid JSON within the limit, input unchanged, the same again', () => {
    const value = fc.dictionary(fc.oneof(fc.string(), fc.string({ unit: 'binary', maxLength: 400 })), fc.jsonValue({ maxDepth: 6 }), { maxKeys: 30 })
    fc.assert(fc.property(value, fc.integer({ min: 48, max: 3000 }), (args, bytesMax) => {
      const before = JSON.stringify(args)
      const shown = redactArguments(args, bytesMax)
      expect(jsonBytes(shown)).toBeLessThanOrEqual(bytesMax)
      expect(JSON.stringify(args)).toBe(before)
      expect(JSON.stringify(redactArguments(args, bytesMax))).toBe(JSON.stringify(shown))
    }), { numRuns: 1000 })
  })
})

describe('secrets in text', () => {
  const key = 'ig_0123456789abcdefghijABCDEFGHIJ01'
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U'
  const cases: [text: string, expected: string][] = [
    [`key ${key}.`, `key ${M}.`],
    [`Authorization: Bearer abcdef123456`, `Authorization: ${M}`],
    [`sent Bearer abcdef123456 along`, `sent Bearer ${M} along`],
    ['OPENAI sk-proj-abcdefghij0123456789', `OPENAI ${M}`],
    ['{"a":"x\\nsk-proj-abcdefghij0123456789"}', `{"a":"x\\n${M}"}`],
    ['ghp_0123456789abcdefghijABCDEFGHIJ012345', M],
    ['github_pat_11ABCDEFG0123456789_abcdef', M],
    ['xoxb-123456789012-abcdef', M],
    ['AKIAIOSFODNN7EXAMPLE', M],
    [`a ${jwt} b`, `a ${M} b`],
    ['-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest', `${M}\nrest`],
    ['-----BEGIN PRIVATE KEY-----\nMIIE and cut', M],
    ['https://user:pa55@host/x?y=1', `https://${M}@host/x?y=1`],
    ['postgres://admin@db/x', `postgres://${M}@db/x`],
    ['https://h/x?access_token=abc&y=1', `https://h/x?access_token=${M}&y=1`],
    ['password=hunter2 next', `password=${M} next`],
    ['"password": "hunter 2", "a": 1', `"password": ${M}", "a": 1`],
    ['{\\"api_key\\":\\"abc\\"}', `{\\"api_key\\":${M}\\"}`],
    ['Cookie: a=1; b=2\nnext', `Cookie: ${M}\nnext`],
    ['Set-Cookie: sid=1; Path=/', `Set-Cookie: ${M}`],
    ['--token=abc', `--token=${M}`],
  ]
  for (const [text, expected] of cases) test(`${JSON.stringify(text)} is masked`, () => expect(maskSecrets(text)).toBe(expected))

  const harmless = [
    'ig_short', 'sk-1', 'a basic understanding', 'https://example.com/a@b', 'mail me at a@example.com', 'the token expired', 'task-list-of-the-week', 'eyJ', '-----BEGIN CERTIFICATE-----', 'SELECT * FROM users',
  ]
  for (const text of harmless) test(`${JSON.stringify(text)} is kept`, () => expect(maskSecrets(text)).toBe(text))

  test('masking twice is masking once', () => {
    for (const [text] of cases) expect(maskSecrets(maskSecrets(text))).toBe(maskSecrets(text))
  })
})
