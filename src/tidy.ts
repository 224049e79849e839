/*
 * The rules of the house as code, so that a rule is a failing test and not an opinion. Used by tidy.test.ts alone.
 * Imports are read with a plain expression over `from '...'`: it sees `import type` too, which a bundler's scan drops.
 */

interface Layer {
  /** Other layers, or single files below src, that it may import. */
  mayImport: readonly string[]
  /** Packages that it may import. `node:` modules count as one package: the outside. */
  packages: readonly string[]
}

const ADAPTER_BASE = ['core']

/** Who may know whom. A layer may always import itself. */
export const LAYERS: Readonly<Record<string, Layer>> = {
  core: { mayImport: [], packages: ['zod', 're2js', '@bufbuild/cel'] },
  gateway: { mayImport: ['core'], packages: [] },
  control: { mayImport: ['core'], packages: ['zod'] },
  storage: { mayImport: ADAPTER_BASE, packages: ['bun:sqlite', 'bun:ffi', 'zod', 'node:'] },
  cache: { mayImport: ADAPTER_BASE, packages: ['lru-cache', 'zod'] },
  upstream: { mayImport: ADAPTER_BASE, packages: ['bun', 'node:'] },
  crypto: { mayImport: ADAPTER_BASE, packages: ['node:'] },
  events: { mayImport: ADAPTER_BASE, packages: [] },
  'sign-on': { mayImport: ADAPTER_BASE, packages: ['oauth4webapi'] },
  log: { mayImport: ADAPTER_BASE, packages: ['node:'] },
  views: { mayImport: ['core'], packages: ['@elysiajs/html', 'htmx.org', 'uqr'] },
  http: { mayImport: ['core', 'gateway', 'control', 'views'], packages: ['bun', 'elysia', '@elysiajs/html', 'zod', 'node:'] },
  config: { mayImport: ['core'], packages: ['zod', 'node:'] },
  demo: { mayImport: ['core'], packages: ['@modelcontextprotocol/sdk', 'zod'] },
  compose: {
    mayImport: ['core', 'gateway', 'control', 'storage', 'cache', 'upstream', 'crypto', 'events', 'sign-on', 'log', 'views', 'http', 'config'],
    packages: ['bun', 'node:'],
  },
  // Two files of the storage: what a database file is called, and a look into one that nobody has open.
  cli: { mayImport: ['core', 'config', 'compose', 'demo', 'storage/sqlite/database.ts', 'storage/sqlite/inspect.ts'], packages: ['yaml', 'node:'] },
  main: { mayImport: ['cli'], packages: [] },
}

export interface SourceFile {
  /** From the root of the repository, e.g. `src/core/key.ts`. */
  path: string
  text: string
}

/** The folder below src. A file at the top that is no layer of its own is one of those that build the product out of the layers. */
export function layerOf(path: string): string | null {
  if (path.startsWith('views/')) return 'views'
  const [, first = '', rest] = /^src\/([^/]+)(\/.*)?$/.exec(path) ?? []
  if (rest !== undefined) return first
  const name = first.replace(/\.ts$/, '')
  if (name === '') return null
  return Object.hasOwn(LAYERS, name) ? name : 'compose'
}

/** Tests, and what only tests import. */
export function isForTests(path: string): boolean {
  return /\.test\.tsx?$|\/testing\/|^src\/e2e\/|\/contract\.ts$|\/(fake|crash)-[^/]+\.ts$|^src\/tidy\.ts$|\.d\.ts$/.test(path)
}

/** Every rule that a file breaks, as a sentence. */
export function faultsOf(file: SourceFile): string[] {
  return [...sizeFaults(file), ...wordFaults(file), ...importFaults(file), ...purityFaults(file)].map((fault) => `${file.path}: ${fault}`)
}

const LINES_MAX = 400
/** A table of cases reads well for longer than code does. */
const TEST_LINES_MAX = 600

function sizeFaults({ path, text }: SourceFile): string[] {
  const lines = text.split('\n').length - 1
  const most = isForTests(path) ? TEST_LINES_MAX : LINES_MAX
  return lines > most ? [`${lines} lines; a file with one reason to exist has at most ${most}`] : []
}

// Put together here, so that this file does not contain them.
const MARKERS = ['FIX' + 'ME', 'TO' + 'DO', 'HA' + 'CK', 'XX' + 'X']
const VAGUE_FILE = /(^|[/-])(utils?|helpers?|manager|misc|common|info|data)\.tsx?$/
const VAGUE_NAME = /\b(?:class|function|interface|type|const|let)\s+(\w*(?:Manager|Helper|Utils?)|info|utils|helper|manager)\b(?!\s*:)/

function wordFaults({ path, text }: SourceFile): string[] {
  const faults: string[] = []
  const marker = MARKERS.find((word) => new RegExp(`\\b${word}\\b`).test(text))
  if (marker !== undefined) faults.push(`${marker} is for a branch; finish it or file it`)
  if (VAGUE_FILE.test(path)) faults.push('the file name says nothing; name what it does')
  if (!/^[a-z0-9-]+(\.[a-z0-9-]+)*\.(tsx?|m?js|d\.mts)$/.test(path.split('/').at(-1) ?? '')) faults.push('file names are kebab-case')
  const vague = VAGUE_NAME.exec(text)
  if (vague !== null) faults.push(`"${vague[1]}" says nothing; name what it holds or does`)
  if (/^export default\b/m.test(text)) faults.push('no default exports')
  if (/^export \* from/m.test(text)) faults.push('no barrels')
  if (/\b(?:test|describe|it)\.only\(/.test(text)) faults.push('.only leaves the other tests out')
  if (!isForTests(path) && /(?::|\bas|<)\s*any\b(?![\w'])/.test(withoutComments(text))) faults.push('no any; unknown and a schema')
  return faults
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '')
}

function importFaults({ path, text }: SourceFile): string[] {
  const layer = layerOf(path)
  const faults: string[] = []
  for (const specifier of importsOf(text)) {
    if (specifier.startsWith('.') && !/\.(tsx?|mjs|json|sql|css|js|svg|txt)$/.test(specifier)) faults.push(`'${specifier}' lacks its ending`)
    if (layer === null || isForTests(path) || path.startsWith('scripts/')) continue
    const fault = layerFault(path, layer, specifier)
    if (fault !== null) faults.push(fault)
  }
  return faults
}

export function importsOf(text: string): string[] {
  const code = withoutComments(text)
  return [...code.matchAll(/^\s*(?:import|export|\})\s?[^'\n]*\bfrom\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)|^\s*import\s+'([^']+)'/gm)].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

function layerFault(path: string, layer: string, specifier: string): string | null {
  const rules = Object.hasOwn(LAYERS, layer) ? LAYERS[layer] : undefined
  if (rules === undefined) return `the layer ${layer} is not in the table`
  if (!specifier.startsWith('.')) {
    const isAllowed = rules.packages.some((name) => specifier === name || specifier.startsWith(name.endsWith(':') ? name : `${name}/`))
    return isAllowed ? null : `${layer} may not use ${specifier}`
  }
  const target = resolvePath(path, specifier)
  const targetLayer = layerOf(target)
  // package.json, vendored text.
  if (targetLayer === null) return null
  if (isForTests(target)) return `only tests may import ${target}`
  if (targetLayer === layer || rules.mayImport.includes(targetLayer) || rules.mayImport.some((file) => target === `src/${file}`)) return null
  return `${layer} may not import ${targetLayer} (${specifier})`
}

function resolvePath(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1)
}

const IMPURE = /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\.|\bcrypto\.|\bfetch\(|\bsetTimeout\(|\bsetInterval\(|\bBun\./

function purityFaults({ path, text }: SourceFile): string[] {
  if (isForTests(path)) return []
  const code = withoutComments(text)
  const faults: string[] = []
  if (/^(src|views)\//.test(path) && path !== 'src/config.ts' && /\b(?:process|Bun)\.env\b/.test(code)) faults.push('only config.ts reads the environment')
  const impure = layerOf(path) === 'core' ? IMPURE.exec(code) : null
  if (impure !== null) faults.push(`core is pure: ${impure[0]} belongs to an adapter`)
  return faults
}

/** Dependencies that no decision names. */
export function undecided(packageJson: { dependencies?: Record<string, string>; devDependencies?: Record<string, string> }, decisions: string): string[] {
  return Object.keys({ ...packageJson.dependencies, ...packageJson.devDependencies }).filter((name) => !decisions.includes(`\`${name}\``))
}

/** One version, of the package itself or of another one under a name of ours (which is how two of its versions live side by side). */
const ONE_VERSION = /^(?:npm:(?:@[a-z0-9._-]+\/)?[a-z0-9._-]+@)?\d+\.\d+\.\d+(?:-[a-z0-9.]+)?$/

/** Dependencies whose version is a range, and locked packages that do not come from the public registry. */
export function unpinned(packageJson: { dependencies?: Record<string, string>; devDependencies?: Record<string, string> }, lock: { packages: Record<string, { resolved?: string }> }): string[] {
  const ranges = Object.entries({ ...packageJson.dependencies, ...packageJson.devDependencies }).filter(([, version]) => !ONE_VERSION.test(version)).map(([name, version]) => `${name} ${version}`)
  const elsewhere = Object.values(lock.packages).map(({ resolved }) => resolved).filter((url) => url !== undefined && !url.startsWith('https://registry.npmjs.org/'))
  return [...ranges, ...elsewhere.map(String)]
}
