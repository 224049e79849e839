import type { Log } from '../../core/ports.ts'

/**
 * What stands before a command on systems that have it: a limit on the memory of each process, no core dumps (they would hold the environment),
 * and a signal from the kernel when the gateway dies. Each is tried once; a program's own words never pass through a shell.
 */
export function findWrappers(memoryBytesMax: number, log: Log): string[] {
  const found: string[] = []
  const limits = tried('prlimit', [`--data=${memoryBytesMax}`, '--core=0', '--'])
  if (limits === null) log.write('warn', 'prlimit is missing: the memory of programs is not limited')
  else found.push(...limits)
  // Programs end without it too, by the guard; this closes the moment before the guard knows of them.
  found.push(...(tried('setpriv', ['--pdeathsig', 'KILL', '--']) ?? []))
  return found
}

function tried(name: string, words: string[]): string[] | null {
  const path = Bun.which(name, { PATH: '/usr/bin:/bin:/usr/local/bin' })
  const harmless = Bun.which('true', { PATH: '/usr/bin:/bin' })
  if (path === null || harmless === null) return null
  const trial = Bun.spawnSync({ cmd: [path, ...words, harmless], env: {}, stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' })
  return trial.exitCode === 0 ? [path, ...words] : null
}
