import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { findBun, missingPackages } from './bootstrap.mjs'
import { build, builtBinary, executableKind, ROOT } from './build.ts'
import { COMMAND_NAMES } from '../src/cli/index.ts'
import { checkIntegrity, TARGETS, type Target } from './runtime.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'igris-build-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the executable', () => {
  test('knows its version and ignores .env and bunfig.toml where it is started', async () => {
    writeFileSync(join(folder, '.env'), 'IGRIS_PORT=not-a-port\n')
    writeFileSync(join(folder, 'bunfig.toml'), 'preload = ["./evil.ts"]\n')
    writeFileSync(join(folder, 'evil.ts'), 'console.log("evil")')
    const { stdout, exitCode } = Bun.spawnSync([await builtBinary(), 'serve', '--print-config'], { cwd: folder, env: {} })
    expect({ exitCode, out: stdout.toString() }).toEqual({ exitCode: 0, out: expect.stringContaining('"port": 3100') })
    expect(stdout.toString()).not.toContain('evil')
  }, 120_000)

  test.each(['linux-arm64', 'linux-x64-musl', 'darwin-arm64'] satisfies Target[])('for %s is built by the same script', async (target) => {
    const outfile = await build({ target, outfile: join(folder, target) })
    expect(executableKind(outfile)).toBe(TARGETS[target].kind)
    if (target === 'linux-x64-musl') expect(readFileSync(outfile).subarray(0, 4096).toString('latin1')).toContain('ld-musl-x86_64')
    rmSync(outfile)
  }, 300_000)
})

test('a runtime that is not the locked one is refused', () => {
  const bytes = Buffer.from('runtime')
  const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`
  expect(() => checkIntegrity(bytes, integrity)).not.toThrow()
  expect(() => checkIntegrity(Buffer.from('runtimE'), integrity)).toThrow('integrity check failed')
  expect(() => checkIntegrity(bytes, '')).toThrow('integrity check failed')
  expect(() => checkIntegrity(bytes, `sha1-${createHash('sha1').update(bytes).digest('base64')}`)).toThrow('integrity check failed')
})

describe('bootstrap', () => {
  test('names packages that are missing or of another version', () => {
    const place = join(folder, 'project')
    for (const [name, version] of [['present', '1.0.0'], ['outdated', '0.9.0'], ['renamed', '1.0.0-alpha.2'], ['renamed-outdated', '1.0.0-alpha.1']] as const) {
      mkdirSync(join(place, 'node_modules', name), { recursive: true })
      writeFileSync(join(place, 'node_modules', name, 'package.json'), JSON.stringify({ version }))
    }
    writeFileSync(join(place, 'package.json'), JSON.stringify({
      dependencies: { present: '1.0.0', outdated: '1.0.0' },
      devDependencies: { renamed: 'npm:@scope/package@1.0.0-alpha.2', 'renamed-outdated': 'npm:package@1.0.0-alpha.2', missing: '1.0.0' },
    }))
    expect(missingPackages(place)).toEqual(['outdated', 'renamed-outdated', 'missing'])
    expect(missingPackages(ROOT)).toEqual([])
  })

  test('finds a Bun even where no install script linked it', () => {
    expect(findBun(ROOT)).toContain('node_modules')
    const place = join(folder, 'blocked')
    const packaged = join(place, 'node_modules', '@oven', 'bun-linux-x64', 'bin', 'bun')
    mkdirSync(dirname(packaged), { recursive: true })
    symlinkSync(process.execPath, packaged)
    // What npm leaves in place of Bun when it may not run install scripts.
    mkdirSync(join(place, 'node_modules', '.bin'))
    writeFileSync(join(place, 'node_modules', '.bin', 'bun'), 'Bun was not installed.', { mode: 0o755 })
    expect(findBun(place)).toBe(packaged)
    rmSync(packaged)
    expect(findBun(place)).toBe(process.execPath)
  })
})

describe('the Docker image', () => {
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  const lastStage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '))

  test('is made by scripts of the repository alone', () => {
    const steps = [...dockerfile.matchAll(/^RUN (.+)$/gm)].map(([, command]) => command ?? '')
    for (const step of steps) {
      const [, script = ''] = /^(?:node|sh) (scripts\/\S+)/.exec(step) ?? []
      expect({ step, isOurs: script !== '' && existsSync(join(ROOT, script)) }).toEqual({ step, isOurs: true })
    }
    expect(steps).toHaveLength(3)
  })

  test('runs without root, keeps its data in a volume and fetches nothing', () => {
    expect(lastStage).toMatch(/^USER (?!0|root)\S+$/m)
    expect(lastStage).toMatch(/^VOLUME \/data$/m)
    expect(lastStage).not.toMatch(/^(RUN|ADD) /m)
  })

  test('checks its health with a command that exists', () => {
    const words = JSON.parse(/^HEALTHCHECK .*CMD (\[.+\])$/m.exec(lastStage)?.[1] ?? '[]') as string[]
    expect(words[0]).toBe('igris')
    expect(COMMAND_NAMES).toContain(words[1] ?? '')
  })

  test('its layout holds an executable that starts and a private data folder', async () => {
    const layout = join(folder, 'layout')
    const { exitCode, stdout } = Bun.spawnSync(['sh', 'scripts/docker-layout.sh', await builtBinary(), layout], { cwd: ROOT })
    expect({ exitCode, out: stdout.toString() }).toEqual({ exitCode: 0, out: expect.stringMatching(/^igris \d/) })
    expect(statSync(join(layout, 'data')).mode & 0o777).toBe(0o700)
    expect(statSync(join(layout, 'usr/local/bin/igris')).mode & 0o777).toBe(0o755)
  }, 120_000)

  test('leaves out what does not belong into its build', () => {
    const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n')
    for (const name of ['.git', 'node_modules', 'data', 'dist']) expect(ignored).toContain(name)
  })
})
