import { describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import packageJson from '../package.json' with { type: 'json' }
import { faultsOf, importsOf, LAYERS, layerOf, undecided, unpinned, type SourceFile } from './tidy.ts'

const ROOT = dirname(import.meta.dir)

// This file.
const OF_FORBIDDEN_SNIPPETS = 'src/tidy.test.ts'

function sources(): SourceFile[] {
  return ['src', 'views', 'scripts'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true })
      .map((name) => `${folder}/${String(name)}`)
      .filter((path) => /\.(tsx?|mjs)$/.test(path) && !path.startsWith('views/assets/') && path !== OF_FORBIDDEN_SNIPPETS && statSync(join(ROOT, path)).isFile())
      .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') })))
}

describe('the repository', () => {
  test('keeps the rules of the house', () => {
    expect(sources().flatMap(faultsOf)).toEqual([])
  })

  test('says of each dependency why it is there', () => {
    expect(undecided(packageJson, readFileSync(join(ROOT, 'docs/decisions.md'), 'utf8'))).toEqual([])
  })

  test('pins each dependency to a version from the public registry', () => {
    expect(unpinned(packageJson, JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')))).toEqual([])
  })

  test('shows the layer table in its map as it is enforced', () => {
    const map = readFileSync(join(ROOT, 'src/README.md'), 'utf8')
    for (const [layer, { mayImport, packages }] of Object.entries(LAYERS)) {
      const row = new RegExp(`^\\| \`${layer}\` .*$`, 'm').exec(map)?.[0] ?? ''
      for (const name of [...mayImport, ...packages]) expect({ layer, name, isShown: row.includes(name) }).toEqual({ layer, name, isShown: true })
    }
  })

  test('names no machine or folder of those who write it', () => {
    const documents = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`), 'Dockerfile', '.ci/run'].filter((path) => statSync(join(ROOT, path)).isFile())
    const texts = [...sources(), ...documents.map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))]
    const named = texts.filter(({ text }) => /\/(?:work\/(?:main|shared)|home\/[a-z]|Users\/[a-z])/.test(text))
    expect(named.map(({ path }) => path)).toEqual([])
  })
})

describe('the rules', () => {
  const long = 'x\n'.repeat(401)
  test.each<[string, string, string]>([
    ['src/core/key.ts', "import { x } from '../storage/open.ts'", 'core may not import storage'],
    ['src/core/key.ts', "import type { X } from '../gateway/gateway.ts'", 'core may not import gateway'],
    ['src/core/key.ts', "import {\n  x,\n} from '../http/reply.ts'", 'core may not import http'],
    ['src/core/key.ts', "export { x } from '../cache/lru.ts'", 'core may not import cache'],
    ['src/core/key.ts', "const x = await import('../cache/lru.ts')", 'core may not import cache'],
    ['src/core/key.ts', "import { readFileSync } from 'node:fs'", 'core may not use node:fs'],
    ['src/core/key.ts', 'const now = Date.now()', 'core is pure'],
    ['src/core/key.ts', 'const id = Math.random()', 'core is pure'],
    ['src/gateway/steps/forward.ts', "import { z } from 'zod'", 'gateway may not use zod'],
    ['src/gateway/steps/forward.ts', "import { fakeUpstream } from '../../testing/fake-upstream.ts'", 'only tests may import'],
    ['src/storage/sqlite/keys.ts', "import { lru } from '../../cache/lru.ts'", 'storage may not import cache'],
    ['src/control/keys.ts', "import { Elysia } from 'elysia'", 'control may not use elysia'],
    ['src/cli/key.ts', "import { openStorage } from '../storage/open.ts'", 'cli may not import storage'],
    ['src/http/api/keys.ts', 'const port = process.env.PORT', 'only config.ts reads the environment'],
    ['src/nowhere/x.ts', "import { x } from '../core/key.ts'", 'is not in the table'],
    ['src/core/key.ts', "import { x } from './ids'", 'lacks its ending'],
    ['src/core/key.ts', 'export default 1', 'no default exports'],
    ['src/core/key.ts', "export * from './ids.ts'", 'no barrels'],
    ['src/core/key.ts', 'const x = y as any', 'no any'],
    ['src/core/key.ts', '// TO' + 'DO: later', 'is for a branch'],
    ['src/core/utils.ts', '', 'the file name says nothing'],
    ['src/core/Key.ts', '', 'kebab-case'],
    ['src/core/key.ts', 'class KeyManager {}', 'says nothing'],
    ['src/core/key.ts', 'const info = 1', 'says nothing'],
    ['src/core/key.test.ts', "test.only('x', () => {})", '.only'],
    ['scripts/build.ts', long, '401 lines'],
  ])('%s may not say %j', (path, text, expected) => {
    expect(faultsOf({ path, text }).join()).toContain(expected)
  })

  test.each<[string, string]>([
    ['src/core/key.ts', "import type { X } from './ids.ts'\nimport { z } from 'zod'"],
    ['src/core/time.ts', 'new Date(at).toISOString()'],
    ['src/core/key.ts', '// Date.now() is not for here, and anybody may say so as any other word'],
    ['src/gateway/pipeline.test.ts', "import { openStorage } from '../storage/open.ts'\nDate.now()"],
    ['src/http/api/keys.ts', "import type { Key } from '../../core/key.ts'\nimport { KeysPage } from '../../../views/pages/keys.tsx'"],
    ['src/config.ts', 'process.env'],
    ['src/installation.ts', "import { openStorage } from './storage/open.ts'"],
    ['src/cli/doctor.ts', "await import('../storage/sqlite/inspect.ts')"],
    ['scripts/build.ts', 'x\n'.repeat(400)],
  ])('%s may say %j', (path, text) => {
    expect(faultsOf({ path, text })).toEqual([])
  })

  test('a range, another registry and an undecided package are found', () => {
    expect(unpinned({ dependencies: { a: '^1.0.0' } }, { packages: { b: { resolved: 'https://elsewhere.example/b.tgz' } } })).toEqual(['a ^1.0.0', 'https://elsewhere.example/b.tgz'])
    const one = { a: '1.0.0', b: '1.0.0-alpha.2', c: 'npm:@x/y@1.0.0', d: 'npm:y@1.0.0-alpha.2' }
    const ranges = { e: 'npm:@x/y@^1.0.0', f: 'npm:y', g: 'npm:y@latest', h: 'github:x/y', i: 'https://elsewhere.example/y-1.0.0', j: '1.0', k: '1.0.0 || 2.0.0' }
    expect(unpinned({ dependencies: { ...one, ...ranges } }, { packages: {} })).toEqual(Object.entries(ranges).map(([name, version]) => `${name} ${version}`))
    expect(undecided({ dependencies: { a: '1.0.0', b: '1.0.0' } }, 'We use `a`.')).toEqual(['b'])
  })

  test('every way to import is seen', () => {
    expect(importsOf("import a from 'a'\nimport type { B } from 'b'\nimport {\n  c,\n} from 'c'\nimport 'd'\nconst e = await import('e')\nexport { f } from 'f'\n// import g from 'g'")).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  test('a file belongs to the layer of its folder', () => {
    expect(['src/core/policy/decide.ts', 'views/layout.tsx', 'src/doors.ts', 'src/main.ts', 'package.json'].map(layerOf)).toEqual(['core', 'views', 'compose', 'main', null])
  })
})
