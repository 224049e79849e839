import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeIgris } from '../compose.ts'
import { fakeTerminal, type FakeOptions } from './fake-terminal.ts'
import { runCommandLine } from './index.ts'
import { lineDiff } from './policy-as-code.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'igris-policy-cli-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** On a real installation in a data folder of its own. */
async function run(words: string[], { data = 'data', ...options }: FakeOptions & { data?: string } = {}) {
  const terminal = { ...fakeTerminal({ ...options, environment: { IGRIS_DATA: join(folder, data) } }), compose: composeIgris }
  const exit = await runCommandLine(['policy', ...words], terminal)
  return { exit, out: terminal.stdout(), said: terminal.stderr() }
}

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const GUARD = `# ours
policies:
  # guards
  - name: guard
    rules:
      - { tool: delete_*, action: deny, reason: no deletes } # why
      - { tool: get_*, action: allow }
  - name: second
    rules: []
`
const withTests = (cases: string) => `${GUARD}tests:\n${cases}`

describe('policies as code', () => {
  test('go in, come out as they went in, differ where they were changed, and go with --prune', async () => {
    const path = file('guard.yaml', GUARD)
    expect(await run(['import', path, '--dry-run'])).toMatchObject({ exit: 0, out: '+ create     guard\n+ create     second\nPlan: 2 create.\n' })
    expect((await run(['export'])).out).toBe('policies: []\n')
    expect(await run(['import', path])).toMatchObject({ exit: 0, out: expect.stringContaining('Done: 2 create.') })
    expect(await run(['diff', path])).toMatchObject({ exit: 0, out: '' })
    expect(await run(['export', path])).toMatchObject({ exit: 0, out: '', said: `2 policies written to ${path}.\n` })
    expect(readFileSync(path, 'utf8')).toBe(GUARD)

    const changed = file('changed.yaml', GUARD.replace('no deletes', 'never').replace(/ {2}- name: second\n.*\n/, ''))
    const diff = await run(['diff', changed])
    expect({ exit: diff.exit, lines: diff.out.split('\n').filter((line) => /^[-+~]|^ {2}[-+] /.test(line)) }).toEqual({
      exit: 1, lines: ['~ guard: differs', '  -     reason: no deletes', '  +     reason: never', '- second: is stored only', '  - name: second', '  - rules: []'],
    })
    expect((await run(['import', changed])).out).toContain('1 update, 1 unchanged')
    expect((await run(['import', changed, '--prune'])).out).toContain('- delete     second')
    expect(JSON.parse((await run(['export', '--format', 'json'])).out)).toMatchObject({ policies: [{ name: 'guard', rules: [{ reason: 'never' }, {}] }] })
    expect(JSON.parse((await run(['diff', changed, '--json'])).out)).toEqual({ data: { differs: false, changes: [] } })
  })

  test('of an invalid file nothing is taken, and each fault is said with its place', async () => {
    const path = file('bad.yaml', 'policies:\n  - name: ok\n    rules: []\n  - name: bad\n    rules: [{ tool: x, action: maybe }]\n')
    const { exit, said } = await run(['import', path], { data: 'other' })
    expect({ exit, said }).toEqual({ exit: 1, said: expect.stringContaining('policies.1.rules.0.action') })
    expect((await run(['export'], { data: 'other' })).out).toBe('policies: []\n')
    expect(await run(['import', join(folder, 'nowhere.yaml')])).toMatchObject({ exit: 1, out: '' })
    expect(await run(['export', '--format', 'xml'])).toMatchObject({ exit: 2 })
  })

  test('are simulated with each earlier rule, replayed and suggested', async () => {
    const path = file('sim.yaml', GUARD)
    const terminal = { ...fakeTerminal({ environment: { IGRIS_DATA: join(folder, 'data') } }), compose: composeIgris }
    await runCommandLine(['connection', 'add', 'hub', '--url', 'http://127.0.0.1:9'], terminal)
    const simulated = await run(['simulate', '--connection', 'hub', '--tool', 'get_x', '--policies', path, '--explain'])
    expect(simulated).toMatchObject({ exit: 0, out: expect.stringMatching(/guard +1 +not matched +tool glob "delete_\*" does not match\nguard +2 +matched/) })
    expect(await run(['replay', path, '--from', '2026-01-01T00:00:00Z', '--connection', 'hub'])).toMatchObject({ exit: 0, out: expect.stringContaining('0 calls, 0 decided otherwise') })
    expect(await run(['replay', path, '--from', 'yesterday'])).toMatchObject({ exit: 1, said: expect.stringContaining('from: expected a time') })
    expect(await run(['suggest', 'hub'])).toMatchObject({ exit: 0, out: expect.stringContaining('name: suggested-hub') })
    expect(await run(['suggest', 'nowhere'])).toMatchObject({ exit: 1, said: expect.stringContaining('no such connection') })
  })
})

describe('policy test', () => {
  /** No data folder: neither API nor storage may be asked. */
  const offline = async (text: string, ...flags: string[]) => {
    const terminal = { ...fakeTerminal(), compose: () => Promise.reject(new Error('asked')) }
    const exit = await runCommandLine(['policy', 'test', file('cases.yaml', text), ...flags], terminal)
    return { exit, out: terminal.stdout(), said: terminal.stderr() }
  }

  test('exits with 0 when all cases come out as they say', async () => {
    expect(await offline(withTests('  - { given: { tool: delete_x }, expect: { action: deny, rule: 1 } }\n  - { given: { tool: get_x }, expect: allow }\n'))).toEqual({
      exit: 0, out: 'ok    1  delete_x → deny\nok    2  get_x → allow\n2 of 2 tests passed.\n', said: '',
    })
  })

  test('exits with 1 and shows both sides, the call, the decision and the rules that were asked', async () => {
    const { exit, out } = await offline(withTests('  - { name: sets, given: { tool: set_x, args: { n: 1 } }, expect: allow }\n'))
    expect(exit).toBe(1)
    for (const line of ['FAIL  1  sets', 'given     {"tool":"set_x","args":{"n":1}}', '- action    allow', '+ action    deny', 'No rule of any policy matches tool "set_x"', 'rule 2 of "guard": tool glob "get_*" does not match', '0 of 1 tests passed.']) expect(out).toContain(line)
  })

  test('exits with 1 for a file without tests, and for one that cannot be read', async () => {
    expect(await offline(GUARD)).toMatchObject({ exit: 1, said: expect.stringContaining('no tests') })
    expect(await offline(withTests('  - { given: { tol: x }, expect: deny }\n'))).toMatchObject({ exit: 1, out: '', said: expect.stringContaining('tests.0.given.tol: unknown field') })
    expect(await offline('a: [')).toMatchObject({ exit: 1, out: '' })
  })

  test('tells a script the same as JSON', async () => {
    const { exit, out } = await offline(withTests('  - { given: { tool: get_x }, expect: deny }\n'), '--json')
    expect({ exit, ...JSON.parse(out) }).toMatchObject({ exit: 1, data: { passed: 0, failed: 1, cases: [{ passed: false, decision: { action: 'allow', policy: 'guard', rule: 2 }, differences: [{ field: 'action', expected: 'deny', decided: 'allow' }] }] } })
  })
})

describe('what needs no server', () => {
  test('templates are listed and shown as files that can be imported', async () => {
    expect((await run(['template', 'list'])).out).toContain('read-only')
    const shown = await run(['template', 'show', 'rate-limited'])
    expect(shown.out).toContain('name: rate-limited')
    expect(await run(['import', file('template.yaml', shown.out), '--dry-run'], { data: 'templates' })).toMatchObject({ exit: 0 })
    expect(await run(['test', file('template.yaml', shown.out)])).toMatchObject({ exit: 0 })
    expect(await run(['template', 'show', 'nothing'])).toMatchObject({ exit: 1, said: expect.stringContaining('lock-down') })
    expect(await run(['template', 'say'])).toMatchObject({ exit: 2 })
  })

  test('the schema is one JSON document', async () => {
    expect(JSON.parse((await run(['schema'])).out)).toMatchObject({ type: 'object', required: ['policies'] })
  })
})

test.each<[string, string, string, string[]]>([
  ['nothing', 'abc', 'abc', []],
  ['one line', 'abcde', 'abXde', ['  a', '  b', '- c', '+ X', '  d', '  e']],
  ['far lines left out', 'abcdefgh', 'Xbcdefgh', ['- a', '+ X', '  b', '  c', '  …']],
  ['all new', '', 'ab', ['+ a', '+ b']],
])('a diff shows %s', (_what, before, after, lines) => {
  expect(lineDiff([...before], [...after])).toEqual(lines)
})
