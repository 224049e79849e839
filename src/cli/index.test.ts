import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fakeTerminal, type FakeOptions } from './fake-terminal.ts'
import { COMMAND_NAMES, loadCommand, runCommandLine } from './index.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'igris-cli-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs a line as a shell would split it, in a folder where no server runs. */
async function run(line: string, options: FakeOptions = {}) {
  const terminal = fakeTerminal({ ...options, environment: { IGRIS_DATA: join(folder, 'data'), ...options.environment } })
  const exit = await runCommandLine(line.split(' ').filter((word) => word !== ''), terminal)
  return { exit, out: terminal.stdout(), said: terminal.stderr(), requests: terminal.requests }
}

describe('every command', () => {
  test('has help for itself and for each action, on stdout, with exit code 0', async () => {
    for (const name of COMMAND_NAMES) {
      const command = await loadCommand(name)
      const lines = [name, ...Object.keys(command?.actions ?? {}).map((action) => `${name} ${action}`)]
      for (const line of lines) {
        const { exit, out, said } = await run(`${line} --help`)
        expect({ line, exit, said, hasUsage: out.includes('Usage: ') || out.includes('Usage:\n') }).toEqual({ line, exit: 0, said: '', hasUsage: true })
      }
    }
  })

  test('is explained by `help` too', async () => {
    for (const line of ['help', 'help key', 'help key create']) {
      expect(await run(line)).toMatchObject({ exit: 0, said: '', out: (await run(`${line.slice(5)} --help`)).out })
    }
  })

  test('takes --json', async () => {
    for (const name of COMMAND_NAMES) {
      const command = await loadCommand(name)
      for (const action of Object.keys(command?.actions ?? {})) expect((await run(`${name} ${action} --help`)).out).toContain('--json')
    }
  })

  test('offers no flag that would carry a secret setting', async () => {
    for (const name of ['serve', 'demo']) {
      const { out } = await run(`${name} --help`)
      for (const flag of ['--master-key', '--admin-password', '--metrics-token']) expect(out).not.toContain(`${flag} `)
    }
    expect((await run('serve --master-key abc')).exit).toBe(2)
  })
})

describe('wrong usage exits with 2, says why on stderr and prints nothing', () => {
  test.each([
    ['', 'Usage: igris COMMAND'],
    ['srve', 'did you mean serve?'],
    ['key', 'an action is missing'],
    ['key creat', 'did you mean create?'],
    ['key create', '--label is missing'],
    ['key create --label', '--label: needs a value'],
    ['key create --label a --label b', '--label: given twice'],
    ['key create --lable a', 'did you mean --label?'],
    ['key revoke', 'ID is missing'],
    ['key revoke a b', 'unexpected "b"'],
    ['key list --__proto__ x', '--__proto__: unknown option'],
    ['constructor', 'is no command'],
    ['key constructor', 'is no action'],
    ['connection add abc', '--url is missing'],
    ['connection add abc --url http://u --bearer-env NOT_THERE', 'the environment has no NOT_THERE'],
    ['connection add abc --url http://u --bearer-env A --credential-stdin', 'exclude each other'],
    ['connection add abc --url http://u --timeout-ms soon', 'expected a whole number'],
    ['connection update abc', 'nothing to change'],
    ['connection update abc --new-slug b', 'unknown option'],
    ['session create', 'is no action'],
    ['policy apply', 'FILE is missing'],
    ['policy apply a --file b', 'exclude each other'],
    ['policy simulate --tool x', '--connection is missing'],
    ['policy simulate --connection abc --tool x --args {', '--args: '],
    ['audit export --format xml', 'expected jsonl or csv'],
    ['init --email a@b.example', 'no password'],
    ['serve --json=maybe', 'takes no value'],
  ])('igris %s', async (line, expected) => {
    const { exit, out, said } = await run(line)
    expect({ exit, out, said }).toEqual({ exit: 2, out: '', said: expect.stringContaining(expected) })
  })

  test('all problems of a line are said at once', async () => {
    const { said } = await run('key revoke --nope --data')
    expect(said).toContain('--nope')
    expect(said).toContain('--data: needs a value')
    expect(said).toContain('ID is missing')
  })
})

describe('configuration', () => {
  test('all problems are said at once, each under the name that the operator used', async () => {
    const file = join(folder, 'bad.json')
    writeFileSync(file, JSON.stringify({ logLevel: 'loud', unheardOf: 1 }))
    const { exit, out, said } = await run(`serve --config ${file} --port 99999`, { environment: { IGRIS_AUDIT_SYNC: 'sometimes', IGRIS_ADMIN_PASSWORD: 'short' } })
    expect({ exit, out }).toEqual({ exit: 2, out: '' })
    for (const name of ['--port', 'IGRIS_AUDIT_SYNC', `${file}: logLevel`, `${file}: unheardOf`, 'IGRIS_ADMIN_PASSWORD']) expect(said).toContain(name)
    expect(said).not.toContain('short,')
    expect(said).toContain('[sealed]')
  })

  test('flags beat the environment, which beats the file, which beats the defaults; secrets are sealed', async () => {
    const file = join(folder, 'good.json')
    writeFileSync(file, JSON.stringify({ port: 1, host: '127.0.0.2', logLevel: 'warn' }))
    const { exit, out } = await run(`serve --print-config --port 3 --config ${file}`, { environment: { IGRIS_PORT: '2', IGRIS_HOST: '127.0.0.3', IGRIS_MASTER_KEY: 'canary' } })
    expect(exit).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ port: 3, host: '127.0.0.3', logLevel: 'warn', auditSync: 'window', masterKey: '[sealed]' })
    expect(out).not.toContain('canary')
  })

  test('a file that was named must exist', async () => {
    expect(await run('serve --config /nowhere/igris.json')).toMatchObject({ exit: 2, out: '', said: expect.stringContaining('no such file') })
  })

  test('a switch stands alone', async () => {
    expect(JSON.parse((await run('serve --allow-stdio --print-config')).out)).toMatchObject({ allowStdio: true })
  })
})

describe('commands ask the API', () => {
  test.each([
    ['key create --label ci --scope full --expires 2027-01-01T00:00:00Z --connection one --connection two', 'POST', '/api/v1/api-keys', { label: 'ci', scope: 'full', expiresAt: '2027-01-01T00:00:00Z', connections: ['one', 'two'] }],
    ['key create --label ci', 'POST', '/api/v1/api-keys', { label: 'ci' }],
    ['key revoke key_1', 'DELETE', '/api/v1/api-keys/key_1', undefined],
    ['key revoke ../connections/prod', 'DELETE', '/api/v1/api-keys/..%2Fconnections%2Fprod', undefined],
    ['key revoke ..', 'DELETE', '/api/v1/api-keys/..%20', undefined],
    ['key suspend key_1 --reason leaked', 'POST', '/api/v1/api-keys/key_1/suspend', { reason: 'leaked' }],
    ['key resume key_1', 'POST', '/api/v1/api-keys/key_1/resume', undefined],
    ['connection add abc --url http://u', 'POST', '/api/v1/connections', { slug: 'abc', upstreamUrl: 'http://u', authType: 'none' }],
    ['connection add abc --url http://u --bearer-env TOKEN', 'POST', '/api/v1/connections', { slug: 'abc', upstreamUrl: 'http://u', authType: 'bearer', credential: 'from-env' }],
    ['connection add abc --url http://u --credential-stdin --auth-header X-Key', 'POST', '/api/v1/connections', { slug: 'abc', upstreamUrl: 'http://u', authType: 'header', authHeaderName: 'X-Key', credential: 'from-stdin' }],
    ['connection update abc --denials result --enabled false', 'PATCH', '/api/v1/connections/abc', { denials: 'result', enabled: false }],
    ['connection remove abc', 'DELETE', '/api/v1/connections/abc', undefined],
    ['connection create abc --upstream-url http://u', 'POST', '/api/v1/connections', { slug: 'abc', upstreamUrl: 'http://u', authType: 'none' }],
    ['connection delete abc', 'DELETE', '/api/v1/connections/abc', undefined],
    ['connection get abc', 'GET', '/api/v1/connections/abc', undefined],
    ['key add --label ci --expires-at 2027-01-01T00:00:00Z', 'POST', '/api/v1/api-keys', { label: 'ci', expiresAt: '2027-01-01T00:00:00Z' }],
    ['key delete key_1', 'DELETE', '/api/v1/api-keys/key_1', undefined],
    ['session ls', 'GET', '/api/v1/sessions', undefined],
    ['connection tools abc', 'GET', '/api/v1/connections/abc/tools', undefined],
    ['connection accept abc', 'POST', '/api/v1/connections/abc/tools/accept', {}],
    ['connection accept abc --tool read --tool a/b', 'POST', '/api/v1/connections/abc/tools/accept', { tools: [{ name: 'read' }, { name: 'a/b' }] }],
    ['connection update abc --hide-denied-tools true --pin-tools block', 'PATCH', '/api/v1/connections/abc', { hideDeniedTools: true, pinTools: 'block' }],
    ['policy simulate --connection abc --tool x --args {"a":1}', 'POST', '/api/v1/policies/simulate', { connection: 'abc', tool: 'x', args: { a: 1 } }],
    ['session suspend ses_1', 'POST', '/api/v1/sessions/ses_1/suspend', { reason: 'suspended on the command line' }],
    ['audit show aud_1', 'GET', '/api/v1/audit-events/aud_1', undefined],
    ['audit export --tool get_* --trace-id t1', 'GET', '/api/v1/audit-events/export?tool=get_*&traceId=t1&format=jsonl', undefined],
  ])('igris %s', async (line, method, path, body) => {
    const { exit, requests } = await run(`${line} --json`, { stdin: 'from-stdin\n', environment: { TOKEN: 'from-env' } })
    expect({ exit, requests }).toEqual({ exit: 0, requests: [{ method, path, body: body as unknown }] })
  })

  test('key create --json prints the answer of the API and nothing else', async () => {
    const made = { data: { key: 'ig_k', id: 'key_1', label: 'ci' } }
    expect(await run('key create --label ci --json', { api: () => Response.json(made) })).toMatchObject({ exit: 0, out: `${JSON.stringify(made)}\n`, said: '' })
  })

  test('connection test exits with 1 where the server does not answer, and shows what came all the same', async () => {
    for (const ok of [true, false]) {
      const { exit, out, requests } = await run('connection test abc --json', { api: () => Response.json({ data: { ok, latencyMs: 1 } }) })
      expect({ exit, out, requests }).toEqual({ exit: ok ? 0 : 1, out: `{"data":{"ok":${ok},"latencyMs":1}}\n`, requests: [{ method: 'POST', path: '/api/v1/connections/abc/test', body: undefined }] })
    }
  })

  test('key create prints the key alone on stdout', async () => {
    const { out } = await run('key create --label ci', { api: () => Response.json({ data: { key: 'ig_k', id: 'key_1' } }) })
    expect(out).toBe('ig_k\n')
  })

  test('a refusal is said on stderr, with its fields, and exits with 1', async () => {
    const api = () => Response.json({ error: { code: 'conflict', message: 'The slug is taken.', requestId: 'r', issues: [{ path: 'slug', message: 'taken' }] } }, { status: 409 })
    expect(await run('connection add abc --url http://u', { api })).toMatchObject({ exit: 1, out: '', said: 'igris: The slug is taken.\n  slug: taken\n' })
    const { said } = await run('connection add abc --url http://u --json', { api })
    expect(JSON.parse(said)).toEqual({ error: { code: 'conflict', message: 'The slug is taken.', issues: [{ path: 'slug', message: 'taken' }] } })
  })

  test('an empty folder is set up on the way, and its owner\'s password shown on stderr only', async () => {
    const owners: unknown[] = []
    const igris = {
      setupUrl: async () => 'http://127.0.0.1:3100/setup#t',
      createOwner: async (owner: unknown) => {
        owners.push(owner)
        return { ok: true, value: { organizationId: 'o', personId: 'p' } } as never
      },
    }
    const { exit, out, said } = await run('key list', { igris, api: () => Response.json({ data: [] }) })
    expect({ exit, owners: owners.length, isSaid: said.includes('shown only now'), isPrinted: out.includes('shown only now') }).toEqual({ exit: 0, owners: 1, isSaid: true, isPrinted: false })
  })

  test('what is suspended is listed so', async () => {
    const at = '2026-01-01T00:00:00.000Z'
    const thrown = { suspended: true, suspendedAt: at, suspendedBy: 'o', suspendedReason: 'why' }
    const connections = () => Response.json({ data: [{ slug: 'abc', name: 'n', enabled: true, upstreamUrl: 'http://u', ...thrown }] })
    expect((await run('connection list', { api: connections })).out).toContain('suspended')
    const keys = () => Response.json({ data: [{ id: 'key_1', label: 'ci', prefix: 'ig_', scope: 'gateway', status: 'suspended', expiresAt: null, lastUsedAt: null, ...thrown }] })
    expect((await run('key list', { api: keys })).out).toContain('suspended')
  })

  test('text from outside cannot steer the terminal', async () => {
    const api = () => Response.json({ data: [{ slug: 'a\u001b[2Jb', name: '\u202eevil\n', enabled: true, upstreamUrl: 'http://u' }] })
    const { out } = await run('connection list', { api })
    expect(out).not.toMatch(/[\u001b\u202e]/)
    expect(out.trim().split('\n')).toHaveLength(2)
  })
})

describe('policy apply', () => {
  test('replaces the policy of that name, creates others, and takes what policy show printed', async () => {
    const file = join(folder, 'policies.json')
    writeFileSync(file, JSON.stringify([{ id: 'pol_1', name: 'old', createdAt: 'x', description: null, rules: [] }, { name: 'new', rules: [] }]))
    const api = (request: Request) => Response.json({ data: request.method === 'GET' ? [{ id: 'pol_1', name: 'old' }] : { id: 'pol_x', name: 'n' } })
    const { exit, requests } = await run(`policy apply ${file}`, { api })
    expect(exit).toBe(0)
    expect(requests.slice(1)).toEqual([
      { method: 'PUT', path: '/api/v1/policies/pol_1', body: { name: 'old', rules: [] } },
      { method: 'POST', path: '/api/v1/policies', body: { name: 'new', rules: [] } },
    ])
  })

  test('is what create with --file does', async () => {
    const file = join(folder, 'one.json')
    writeFileSync(file, JSON.stringify({ name: 'one', rules: [] }))
    const api = (request: Request) => Response.json({ data: request.method === 'GET' ? [] : { id: 'pol_x', name: 'one' } })
    const { requests } = await run(`policy create --file ${file}`, { api })
    expect(requests[1]).toEqual({ method: 'POST', path: '/api/v1/policies', body: { name: 'one', rules: [] } })
  })

  test('reads YAML', async () => {
    const file = join(folder, 'policy.yaml')
    writeFileSync(file, 'name: guard\nrules:\n  - tool: delete_*\n    action: deny\n')
    const api = (request: Request) => Response.json({ data: request.method === 'GET' ? [] : { id: 'pol_x', name: 'guard' } })
    const { requests } = await run(`policy apply ${file}`, { api })
    expect(requests[1]?.body).toEqual({ name: 'guard', rules: [{ tool: 'delete_*', action: 'deny' }] })
  })

  test('a file that is missing or broken fails with 1', async () => {
    writeFileSync(join(folder, 'broken.json'), '{"name":')
    expect(await run(`policy apply ${join(folder, 'broken.json')}`)).toMatchObject({ exit: 1, out: '' })
    expect(await run('policy apply /nowhere')).toMatchObject({ exit: 1, out: '' })
  })
})

describe('serve', () => {
  test('says address, folder and set-up link, stops at a signal and exits with 0', async () => {
    const terminal = fakeTerminal({ environment: { IGRIS_DATA: '/tmp/d' }, igris: { setupUrl: async () => 'http://127.0.0.1:3100/setup#t' } })
    const exit = runCommandLine(['serve'], terminal)
    while (!terminal.stderr().includes('/setup')) await Bun.sleep(1)
    terminal.signal('SIGTERM')
    expect(await exit).toBe(0)
    expect(terminal.stderr()).toContain('Igris 0.1.0 at http://127.0.0.1:3100, data in /tmp/d')
    expect(terminal.stdout()).toBe('')
  })

  test('a taken port is said and exits with 1', async () => {
    const igris = { serve: async () => Promise.reject(Object.assign(new Error('x'), { code: 'EADDRINUSE' })) }
    expect(await run('serve', { igris })).toMatchObject({ exit: 1, said: expect.stringContaining('127.0.0.1:3100 is taken by another program') })
    const metrics = { serve: async () => Promise.reject(Object.assign(new Error('x'), { code: 'EADDRINUSE', address: '127.0.0.1:9100' })) }
    expect(await run('serve', { igris: metrics })).toMatchObject({ exit: 1, said: expect.stringContaining('127.0.0.1:9100 is taken by another program') })
  })

  test('an email without a password is a problem of configuration', async () => {
    expect(await run('serve', { environment: { IGRIS_ADMIN_EMAIL: 'a@b.example' } })).toMatchObject({ exit: 2 })
  })
})
