import { existsSync, readdirSync, readFileSync } from 'node:fs'

/** Waits on a loaded machine are long; a condition that holds ends them at once. */
export const PATIENCE_MS = 30_000
/** Where nothing may be left out. */
export const isCi = process.env.CI === 'true' || process.env.CI === '1'

export interface Program {
  pid: number
  /** What it wrote so far, both streams. */
  output(): string
  stdout(): string
  /** Resolves to the first line of its output that matches. */
  line(pattern: RegExp): Promise<RegExpExecArray>
  /** Sends the signal and resolves to the exit code. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<number | null>
}

/** Starts a program that stays. It never outlives the test run by more than its own timeout. */
export function startProgram(words: string[], options: { cwd: string; env: Record<string, string>; stdin?: 'ignore' | 'pipe' }): Program {
  const child = Bun.spawn(words, { stdin: 'ignore', ...options, stdout: 'pipe', stderr: 'pipe', timeout: 300_000, killSignal: 'SIGKILL' })
  let stdout = ''
  let output = ''
  let changed = Promise.withResolvers<void>()
  let isOver = false
  const copy = async (stream: ReadableStream<Uint8Array>, isStdout: boolean) => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true })
      output += text
      if (isStdout) stdout += text
      changed.resolve()
      changed = Promise.withResolvers()
    }
  }
  const drained = Promise.all([copy(child.stdout, true), copy(child.stderr, false)]).then(() => {
    isOver = true
    changed.resolve()
  })
  return {
    pid: child.pid,
    output: () => output,
    stdout: () => stdout,
    async line(pattern) {
      const giveUp = Bun.sleep(PATIENCE_MS).then(() => 'late' as const)
      for (;;) {
        const found = pattern.exec(output)
        if (found !== null) return found
        if (isOver) throw new Error(`${words[0]} ended without ${pattern}:\n${output}`)
        if ((await Promise.race([changed.promise, giveUp])) === 'late') throw new Error(`${words[0]} did not write ${pattern}:\n${output}`)
      }
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      const late = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
      await child.exited
      clearTimeout(late)
      await drained
      return child.exitCode
    },
  }
}

/** Runs a program to its end. */
export async function runProgram(words: string[], options: { cwd: string; env: Record<string, string>; stdin?: string }): Promise<{ exitCode: number; out: string; said: string }> {
  const { stdin, ...rest } = options
  const child = Bun.spawn(words, { ...rest, stdin: stdin === undefined ? 'ignore' : new Blob([stdin]), stdout: 'pipe', stderr: 'pipe', timeout: 60_000, killSignal: 'SIGKILL' })
  const [out, said, exitCode] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited])
  return { exitCode, out, said }
}

/** Resolves when the condition holds; fails with what was seen last when it never does. */
export async function until<T>(what: string, look: () => T | Promise<T>, holds: (seen: T) => boolean = Boolean): Promise<T> {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    const seen = await look()
    if (holds(seen)) return seen
    if (performance.now() > end) throw new Error(`never so: ${what}; seen last: ${JSON.stringify(seen)}`)
    await Bun.sleep(20)
  }
}

/**
 * Whether tests that need a program are left out. Where it is missing this says so; in CI nothing is left out, and the tests fail.
 */
export function isWithout(program: string): boolean {
  if (Bun.which(program) !== null) return false
  console.error(`${isCi ? 'failing' : 'skipped'}: ${program} is not installed, and some tests call it`)
  return !isCi
}

/** Only what a fresh machine has: nothing of the tester's own settings, and a home of its own. */
export function freshEnvironment(home: string): Record<string, string> {
  return { PATH: process.env.PATH ?? '', HOME: home, TMPDIR: home, MCP_REMOTE_CONFIG_DIR: `${home}/mcp-remote` }
}

/** Processes that run with this folder as their home, as everything does that tests start. Linux only; elsewhere none are seen. */
export function processesAtHome(folder: string): string[] {
  const found: string[] = []
  if (!existsSync('/proc/self/environ')) return found
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`HOME=${folder}`)) found.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '))
    } catch {
      // Somebody else's, or ended while we looked.
    }
  }
  return found
}
