// Builds dist/igris: one file that needs nothing else.
//   bun scripts/build.ts                       for this machine
//   bun scripts/build.ts --if-stale            only when a source is newer than the executable
//   bun scripts/build.ts --target linux-arm64  for another one, to dist/igris-linux-arm64 (also linux-x64-musl, darwin-arm64, ...)
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import packageJson from '../package.json' with { type: 'json' }
import { fetchRuntime, TARGETS, type Target } from './runtime.ts'

export const ROOT = dirname(import.meta.dir)
export const BINARY = join(ROOT, 'dist', 'igris')

const SOURCES = ['src', 'views', 'package.json', 'package-lock.json', 'tsconfig.json', 'scripts/build.ts', 'scripts/runtime.ts']

/** Latest change of anything that ends up in the executable. Tests do not. */
function newestSourceMs(): number {
  const paths = SOURCES.map((name) => join(ROOT, name)).filter((path) => existsSync(path))
  const files = paths.flatMap((path) => (statSync(path).isDirectory() ? readdirSync(path, { recursive: true }).map((name) => join(path, String(name))) : [path]))
  return Math.max(...files.filter((path) => !/\.test\.tsx?$/.test(path)).map((path) => statSync(path).mtimeMs))
}

export function isStale(binary = BINARY): boolean {
  return !existsSync(binary) || statSync(binary).mtimeMs < newestSourceMs()
}

function commit(): string {
  const { stdout, success } = Bun.spawnSync(['git', 'rev-parse', '--short=12', 'HEAD'], { cwd: ROOT, stderr: 'ignore' })
  return success ? stdout.toString().trim() : 'unknown'
}

/** Builds for a target, or for this machine, and answers where the executable is. */
export async function build(options: { target?: Target; outfile?: string } = {}): Promise<string> {
  const { target } = options
  const outfile = options.outfile ?? (target === undefined ? BINARY : `${BINARY}-${target}`)
  mkdirSync(dirname(outfile), { recursive: true })
  // Built aside and moved in place: a running executable cannot be written to, and a reader never meets half a file.
  const fresh = `${outfile}.${process.pid}.new`
  const words = [
    'build', 'src/main.ts', '--compile', '--outfile', fresh, '--bytecode', '--sourcemap=none',
    '--define', `IGRIS_VERSION=${JSON.stringify(packageJson.version)}`,
    '--define', `IGRIS_COMMIT=${JSON.stringify(commit())}`,
    // What lies in the folder where Igris is started must not be able to change what it does.
    '--no-compile-autoload-dotenv', '--no-compile-autoload-bunfig',
    ...(target === undefined ? [] : ['--target', TARGETS[target].bunTarget, '--compile-executable-path', await fetchRuntime(target)]),
  ]
  const built = Bun.spawnSync([process.execPath, ...words], { cwd: ROOT, stdout: 'ignore', stderr: 'pipe' })
  if (!built.success || !existsSync(fresh)) {
    rmSync(fresh, { force: true })
    throw new Error(`bun build failed: ${built.stderr.toString()}`)
  }
  chmodSync(fresh, 0o755)
  renameSync(fresh, outfile)
  return outfile
}

/** The executable for this machine, built now if it is missing or older than its sources. For tests that run it. */
export async function builtBinary(): Promise<string> {
  return isStale() ? build() : BINARY
}

/** What the head of an executable says it is for: `elf-x64`, `elf-arm64`, `macho-arm64` ... */
export function executableKind(path: string): string {
  const head = readFileSync(path).subarray(0, 64)
  const machines: Record<number, string> = { 0x3e: 'x64', 0xb7: 'arm64' }
  if (head.readUInt32BE(0) === 0x7f454c46) return `elf-${machines[head.readUInt16LE(18)] ?? 'unknown'}`
  if (head.readUInt32LE(0) === 0xfeedfacf) return `macho-${head.readUInt32LE(4) === 0x0100000c ? 'arm64' : 'x64'}`
  return 'unknown'
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { target: { type: 'string' }, outfile: { type: 'string' }, 'if-stale': { type: 'boolean' } } })
  if (values.target !== undefined && !Object.hasOwn(TARGETS, values.target)) {
    console.error(`build: --target is one of ${Object.keys(TARGETS).join(', ')}`)
    process.exit(2)
  }
  if (values['if-stale'] === true && !isStale()) process.exit(0)
  const started = performance.now()
  const outfile = await build({ target: values.target as Target | undefined, outfile: values.outfile })
  const mebibytes = (statSync(outfile).size / 1024 / 1024).toFixed(1)
  console.error(`${outfile}: ${executableKind(outfile)}, ${mebibytes} MiB, ${Math.round(performance.now() - started)} ms`)
}
