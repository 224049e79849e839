import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { CONFIG_KEYS, environmentName, flagName, isSwitch, loadConfig, printableConfig, SECRETS, type ConfigSources } from './config.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'igris-config-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function load(sources: { flags?: ConfigSources['flags']; environment?: Record<string, string>; file?: unknown }) {
  const path = join(folder, `${Bun.hash(JSON.stringify(sources))}.json`)
  if (sources.file !== undefined) writeFileSync(path, typeof sources.file === 'string' ? sources.file : JSON.stringify(sources.file))
  return loadConfig({ flags: sources.flags ?? {}, environment: sources.environment ?? {}, file: { path, isRequired: false } })
}

function configOf(sources: Parameters<typeof load>[0]) {
  const loaded = load(sources)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.issues))
  return loaded.config
}

test('without anything it listens on this machine only, port 3100, data in ./data', () => {
  expect(configOf({})).toMatchObject({ host: '127.0.0.1', port: 3100, data: './data', requestBytesMax: 4 * 1024 * 1024, allowLinkLocal: false, allowStdio: false, logFormat: 'text' })
})

test('flags beat the environment, which beats the file, which beats the defaults', () => {
  const file = { port: 1001, host: '10.0.0.1', logLevel: 'warn' }
  const environment = { IGRIS_PORT: '1002', IGRIS_HOST: '10.0.0.2' }
  expect(configOf({ file, environment, flags: { port: '1003' } })).toMatchObject({ port: 1003, host: '10.0.0.2', logLevel: 'warn' })
})

test('an empty variable is one that is not set', () => {
  expect(configOf({ environment: { IGRIS_PORT: '' } }).port).toBe(3100)
})

describe('problems', () => {
  test('are told all at once, each under the name that the operator used', () => {
    const loaded = load({ flags: { port: 'abc' }, environment: { IGRIS_LOG_LEVEL: 'loud', IGRIS_PUBLIC_URL: 'ftp://x' }, file: { requestBytesMax: 5 } })
    if (loaded.ok) throw new Error('it loaded')
    const names = loaded.issues.map((issue) => issue.path.replace(/^.*\.json/, 'FILE')).sort()
    expect(names).toEqual(['--port', 'FILE: requestBytesMax', 'IGRIS_LOG_LEVEL', 'IGRIS_PUBLIC_URL'])
    expect(loaded.issues.find((issue) => issue.path === '--port')?.message).toContain('got "abc"')
  })

  test.each<[string, Parameters<typeof load>[0], string]>([
    ['a port beyond the last', { environment: { IGRIS_PORT: '65536' } }, 'IGRIS_PORT'],
    ['a port below none', { file: { port: -1 } }, 'port'],
    ['a port that is not whole', { file: { port: 1.5 } }, 'port'],
    ['a setting that is none', { file: { prot: 1 } }, 'prot'],
    ['a file that is no object', { file: [1] }, '.json'],
    ['a file that is no JSON', { file: '{' }, '.json'],
    ['metrics with half an address', { environment: { IGRIS_METRICS_PORT: '9000' } }, 'IGRIS_METRICS_PORT'],
    ['a password that is too short', { environment: { IGRIS_ADMIN_PASSWORD: 'short' } }, 'IGRIS_ADMIN_PASSWORD'],
  ])('%s is one', (_name, sources, path) => {
    const loaded = load(sources)
    expect(loaded.ok ? [] : loaded.issues.map((issue) => issue.path)).toEqual([expect.stringContaining(path)])
  })

  test('never show a secret', () => {
    expect(JSON.stringify(load({ environment: { IGRIS_ADMIN_PASSWORD: 'pw-7271' } }))).not.toContain('pw-7271')
  })

  test('a file that was named must exist', () => {
    expect(loadConfig({ flags: {}, environment: {}, file: { path: join(folder, 'missing.json'), isRequired: true } })).toMatchObject({ ok: false, issues: [{ message: 'no such file' }] })
  })
})

test('what is printed holds every setting and no secret', () => {
  const printed = printableConfig(configOf({ environment: { IGRIS_MASTER_KEY: 'mk-1', IGRIS_METRICS_TOKEN: 'mt-1', IGRIS_ADMIN_PASSWORD: 'password-1' } }))
  expect(printed).toMatchObject({ port: 3100, masterKey: '[sealed]', metricsToken: '[sealed]', adminPassword: '[sealed]' })
  expect(JSON.stringify(printed)).not.toMatch(/mk-1|mt-1|password-1/)
})

test('every setting has a variable and a flag of its own', () => {
  expect(environmentName('requestBytesMax')).toBe('IGRIS_REQUEST_BYTES_MAX')
  expect(flagName('requestBytesMax')).toBe('--request-bytes-max')
  expect(new Set(CONFIG_KEYS.map(environmentName)).size).toBe(CONFIG_KEYS.length)
  expect(CONFIG_KEYS.filter(isSwitch)).toEqual(['allowLinkLocal', 'allowStdio'])
  expect([...SECRETS].sort()).toEqual(['adminPassword', 'masterKey', 'metricsToken'])
})
