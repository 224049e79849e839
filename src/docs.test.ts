import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { COMMAND_NAMES, loadCommand } from './cli/index.ts'
import { CONFIG_KEYS, ConfigSchema, environmentName, flagName, SECRETS } from './config.ts'
import { REFUSALS } from './core/result.ts'

const ROOT = dirname(import.meta.dir)
const documentText = (name: string) => readFileSync(join(ROOT, 'docs', name), 'utf8')

/** Cells of the table rows of a document. */
function rows(name: string): string[][] {
  return documentText(name).split('\n').filter((line) => line.startsWith('| `')).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim().replaceAll('`', '')))
}

describe('the documents are true', () => {
  test('every refusal is listed with its status, its number and its sentence', () => {
    expect(rows('errors.md').map(([code, http, rpc, say]) => ({ code, http: Number(http), rpc: Number(rpc), say }))).toEqual(
      Object.entries(REFUSALS).map(([code, { http, rpc, say }]) => ({ code, http, rpc, say })))
  })

  test('every setting is listed with its names and its default', () => {
    const defaults = ConfigSchema.parse({})
    expect(rows('configuration.md').map((cells) => cells.slice(0, 4))).toEqual(CONFIG_KEYS.map((key) => {
      const value = defaults[key]
      const shown = value === undefined || (Array.isArray(value) && value.length === 0) ? '' : String(value)
      return [key, SECRETS.has(key) ? '' : flagName(key), environmentName(key), shown]
    }))
  })

  test('every command is listed', async () => {
    const expected: string[] = []
    for (const name of COMMAND_NAMES) {
      for (const [word, { operands }] of Object.entries((await loadCommand(name))?.actions ?? {})) expected.push(['igris', name, word, ...operands].filter((part) => part !== '').join(' '))
    }
    expect(rows('cli.md').map(([line]) => line ?? '')).toEqual(expected)
  })
})

describe('the links lead somewhere', () => {
  test.each(['README.md', 'docs/operations.md', 'docs/configuration.md', 'docs/cli.md', 'docs/errors.md'])('%s', (name) => {
    const links = [...readFileSync(join(ROOT, name), 'utf8').matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, target]) => target ?? '')
    for (const link of links) expect(readFileSync(join(ROOT, dirname(name), link)).length).toBeGreaterThan(0)
  })
})
