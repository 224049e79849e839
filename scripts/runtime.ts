// The Bun that an executable for another machine is built around. It comes from the same npm packages as our own Bun,
// and is checked against the hash in package-lock.json before anything of it is used.
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

const ROOT = dirname(import.meta.dir)

export const TARGETS = {
  'linux-x64': { package: '@oven/bun-linux-x64', bunTarget: 'bun-linux-x64', kind: 'elf-x64' },
  'linux-x64-musl': { package: '@oven/bun-linux-x64-musl', bunTarget: 'bun-linux-x64-musl', kind: 'elf-x64' },
  'linux-arm64': { package: '@oven/bun-linux-aarch64', bunTarget: 'bun-linux-arm64', kind: 'elf-arm64' },
  'linux-arm64-musl': { package: '@oven/bun-linux-aarch64-musl', bunTarget: 'bun-linux-arm64-musl', kind: 'elf-arm64' },
  'darwin-arm64': { package: '@oven/bun-darwin-aarch64', bunTarget: 'bun-darwin-arm64', kind: 'macho-arm64' },
  'darwin-x64': { package: '@oven/bun-darwin-x64', bunTarget: 'bun-darwin-x64', kind: 'macho-x64' },
} as const
export type Target = keyof typeof TARGETS

interface Locked {
  version: string
  integrity: string
  resolved?: string
}

function locked(name: string): Locked {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked | undefined> }
  const entry = packages[`node_modules/${name}`]
  if (entry === undefined) throw new Error(`package-lock.json does not name ${name}`)
  return entry
}

/** Throws unless the bytes are those that the lock file names. */
export function checkIntegrity(bytes: Uint8Array, integrity: string): void {
  const [algorithm = '', expected] = integrity.split(/-(.*)/s)
  if (algorithm !== 'sha512' || createHash('sha512').update(bytes).digest('base64') !== expected) throw new Error(`integrity check failed: expected ${integrity}`)
}

/** Path of the target's Bun; downloaded once, kept below node_modules. */
export async function fetchRuntime(target: Target): Promise<string> {
  const { package: name } = TARGETS[target]
  const { version, integrity } = locked(name)
  const folder = join(ROOT, 'node_modules', '.cache', 'igris-runtime', `${target}-${version}`)
  const bun = join(folder, 'package', 'bin', 'bun')
  if (existsSync(bun)) return bun
  const staging = `${folder}.${process.pid}`
  mkdirSync(staging, { recursive: true })
  try {
    const tarball = await download(`${name}@${version}`, staging)
    checkIntegrity(readFileSync(tarball), integrity)
    run(['tar', '-xzf', tarball, '-C', staging])
    rmSync(tarball)
    chmodSync(join(staging, 'package', 'bin', 'bun'), 0o755)
    rmSync(folder, { recursive: true, force: true })
    renameSync(staging, folder)
    return bun
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

/** Through npm where it is there, for its registry settings; else straight from the registry. */
async function download(spec: string, folder: string): Promise<string> {
  if (Bun.which('npm') !== null) {
    run(['npm', 'pack', spec, '--pack-destination', folder, '--silent'])
    const name = readdirSync(folder).find((file) => file.endsWith('.tgz'))
    if (name === undefined) throw new Error(`npm pack ${spec} left no file`)
    return join(folder, name)
  }
  const [, name = '', version = ''] = /^(.+)@([^@]+)$/.exec(spec) ?? []
  const registry = (process.env.npm_config_registry ?? 'https://registry.npmjs.org').replace(/\/$/, '')
  const response = await fetch(`${registry}/${name}/-/${name.split('/').at(-1)}-${version}.tgz`)
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}`)
  const path = join(folder, 'runtime.tgz')
  await Bun.write(path, response)
  return path
}

function run(command: string[]): void {
  const { success, stderr } = Bun.spawnSync(command, { cwd: ROOT, stdout: 'ignore', stderr: 'pipe' })
  if (!success) throw new Error(`${command.join(' ')}: ${stderr.toString()}`)
}
