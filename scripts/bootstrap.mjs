// The first step of everything, on a machine that has only Node 20 or only Bun: plain JavaScript, no packages.
// node scripts/bootstrap.mjs install|start|test|build|bench [arguments]
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Every package is pinned to an exact version, so comparing versions tells whether an installation is current. */
export function missingPackages(folder = root) {
  const { dependencies = {}, devDependencies = {} } = readJson(join(folder, 'package.json'))
  return Object.entries({ ...dependencies, ...devDependencies })
    // A package under a name of ours is written `npm:PACKAGE@VERSION`.
    .filter(([name, version]) => readJson(join(folder, 'node_modules', name, 'package.json'))?.version !== version.replace(/^npm:.*@/, ''))
    .map(([name]) => name)
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

/** A Bun that runs: the one of this installation, also where its install script was not allowed to link it; else the one we are. */
export function findBun(folder = root) {
  const scope = join(folder, 'node_modules', '@oven')
  const packaged = existsSync(scope) ? readdirSync(scope).filter((name) => name.startsWith('bun-')).map((name) => join(scope, name, 'bin', 'bun')) : []
  const candidates = [...packaged, join(folder, 'node_modules', '.bin', 'bun'), ...(process.versions.bun ? [process.execPath] : [])]
  return candidates.find((path) => existsSync(path) && /^\d+\.\d+/.test(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout ?? ''))
}

function install() {
  const missing = missingPackages()
  if (missing.length === 0 && findBun() !== undefined) return
  console.error(`Installing packages (${missing.slice(0, 3).join(', ')}${missing.length > 3 ? `, and ${missing.length - 3} more` : ''}) ...`)
  const hasNpm = spawnSync('npm', ['--version'], { stdio: 'ignore' }).status === 0
  // Exactly what package-lock.json names, each package checked against the hash in it.
  const [program, words] = hasNpm ? ['npm', ['ci', '--no-audit', '--no-fund']] : [process.execPath, ['install', '--frozen-lockfile', '--no-save']]
  const { status } = spawnSync(program, words, { cwd: root, stdio: ['ignore', 2, 2] })
  if (status !== 0) fail(`${program} ${words.join(' ')} failed`)
  if (findBun() === undefined) fail('no Bun for this machine was installed')
}

function fail(message) {
  console.error(`bootstrap: ${message}`)
  process.exit(1)
}

/** Runs a program in our place: same streams, signals passed on, its exit code. */
function become(program, words) {
  const child = spawn(program, words, { cwd: root, stdio: 'inherit', env: { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH}` } })
  // A terminal sends Ctrl-C to the child as well; it decides when to end, and we end with it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => signal === 'SIGINT' && process.stdin.isTTY ? undefined : child.kill(signal))
  child.on('error', (error) => fail(error.message))
  child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1))
}

function main([task, ...words]) {
  const tasks = { install: null, start: null, test: 'scripts/check.ts', build: 'scripts/build.ts', bench: 'scripts/bench.ts' }
  if (!Object.hasOwn(tasks, task ?? '')) fail(`expected one of ${Object.keys(tasks).join(', ')}`)
  install()
  const bun = findBun()
  if (task === 'install') return
  if (task !== 'start') return become(bun, [tasks[task], ...words])
  const built = spawnSync(bun, ['scripts/build.ts', '--if-stale'], { cwd: root, stdio: ['ignore', 2, 2] })
  if (built.status !== 0) fail('the build failed')
  // `npm start -- --port 4000` is about the demo; `npm start -- serve` is about another command.
  become(join(root, 'dist', 'igris'), words[0] === undefined || words[0].startsWith('-') ? ['demo', ...words] : words)
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) main(process.argv.slice(2))
