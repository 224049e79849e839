import { homedir } from 'node:os'
import { maskSecrets } from '../../core/redact.ts'
import { UpstreamFailure, type Log } from '../../core/ports.ts'
import type { Channel, ChannelListener } from '../link/link.ts'
import { createLineReader } from './line-reader.ts'
import type { OrphanGuard } from './orphan-guard.ts'
import { RecentText } from './recent-text.ts'

/** What a connection starts: a command with its arguments, never a line for a shell. */
export interface Launch {
  connectionId: string
  slug: string
  command: string
  args: string[]
  /** Credentials: they go to the program and nowhere else. */
  env: Record<string, string>
  cwd: string | null
  mode: 'session' | 'shared'
}

export interface ProgramLimits {
  lineBytesMax: number
  stderrBytesMax: number
  /** Written to the program and not read by it. */
  inputBytesMax: number
  /** Between being asked and being made to end. */
  endGraceMs: number
}

export interface ProgramContext {
  limits: ProgramLimits
  /** All that a program gets besides what its connection sets. */
  environment: Record<string, string>
  wrappers: string[]
  guard: OrphanGuard
  log: Log
}

/** For what a program wrote last, after its end. */
const OUTPUT_GRACE_MS = 1000

type Process = Bun.Subprocess<'pipe', 'pipe', 'pipe'>

/** How a program is doing, for people. What it wrote is masked. */
export interface ProgramReport {
  pid: number
  state: 'running' | 'ended'
  startedAt: number
  endedAt: number | null
  exitCode: number | null
  signal: string | number | null
  stderr: string
}

/** One running program in a process group of its own, spoken to in lines. */
export class Program implements Channel {
  readonly startedAt = Date.now()
  readonly #launch: Launch
  readonly #context: ProgramContext
  readonly #listener: ChannelListener
  readonly #process: Process
  readonly #stderr: RecentText
  #endedAt: number | null = null
  #unread = 0
  /** Why this side ended it; a program that ends by itself crashed. */
  #endedBy: UpstreamFailure | null = null
  #isOver = false
  readonly ended: Promise<void>

  /** Throws `UpstreamFailure` when the program cannot be started. */
  constructor(launch: Launch, context: ProgramContext, listener: ChannelListener) {
    this.#launch = launch
    this.#context = context
    this.#listener = listener
    this.#stderr = new RecentText(context.limits.stderrBytesMax)
    this.#process = start(launch, context)
    context.guard.add(this.#process.pid)
    context.log.write('info', 'program started', { connection: launch.slug, pid: this.#process.pid, command: launch.command })
    const output = this.#readOutput()
    const errors = this.#readErrors()
    this.ended = this.#process.exited.then(async () => {
      // What the program left behind in its group would keep the pipes open.
      this.#signalGroup('SIGKILL')
      // A program that left the group may still hold them; nothing of it is awaited for long.
      await within(OUTPUT_GRACE_MS, Promise.all([output, errors]))
      this.#over()
    })
  }

  get pid(): number {
    return this.#process.pid
  }

  get isRunning(): boolean {
    return !this.#isOver && this.#endedBy === null && this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** True when it ended without being asked to. */
  get hasCrashed(): boolean {
    return this.#isOver && this.#endedBy === null
  }

  /** Throws `UpstreamFailure` where nothing of the line will reach the program. */
  write(line: string): void {
    if (!this.isRunning) throw new UpstreamFailure('unreachable', 'the program has ended', false)
    const bytes = Buffer.from(`${line}\n`)
    if (this.#unread > 0 && this.#unread + bytes.length > this.#context.limits.inputBytesMax) throw new UpstreamFailure('unreachable', 'the program does not read its input', false)
    this.#unread += bytes.length
    const { stdin } = this.#process
    void stdin.write(bytes)
    // A broken pipe is told by the end of the program.
    Promise.resolve(stdin.flush()).then(() => (this.#unread -= bytes.length), () => undefined)
  }

  /** Closes its input, then asks, then makes it end. Resolves when it is gone. */
  async end(why = new UpstreamFailure('unreachable', 'the program was ended')): Promise<void> {
    if (this.#isOver) return
    this.#endedBy ??= why
    // Not awaited: what it has not read yet would be waited for, and it may never read.
    void Promise.resolve(this.#process.stdin.end()).catch(() => undefined)
    const grace = this.#context.limits.endGraceMs
    if (await within(grace, this.ended)) return
    this.#signalGroup('SIGTERM')
    if (await within(grace, this.ended)) return
    this.#signalGroup('SIGKILL')
    await this.ended
  }

  kill(why: UpstreamFailure): void {
    this.#endedBy ??= why
    this.#signalGroup('SIGKILL')
  }

  report(): ProgramReport {
    let stderr = this.#stderr.text()
    for (const value of Object.values(this.#launch.env)) if (value.length >= 4) stderr = stderr.replaceAll(value, '[sealed]')
    return {
      pid: this.pid, state: this.#isOver ? 'ended' : 'running', startedAt: this.startedAt, endedAt: this.#endedAt,
      exitCode: this.#process.exitCode, signal: this.#process.signalCode, stderr: maskSecrets(stderr),
    }
  }

  #over(): void {
    this.#isOver = true
    this.#endedAt = Date.now()
    this.#context.guard.remove(this.pid)
    const { exitCode, signalCode } = this.#process
    const crash = this.hasCrashed
    this.#context.log.write(crash ? 'warn' : 'info', crash ? 'program ended by itself' : 'program ended', { connection: this.#launch.slug, pid: this.pid, exitCode, signal: signalCode })
    this.#listener.onEnd(this.#endedBy ?? new UpstreamFailure('reset', `the program ended with ${signalCode ?? exitCode}`))
  }

  async #readOutput(): Promise<void> {
    const reader = createLineReader(this.#context.limits.lineBytesMax, {
      onLine: (bytes) => this.#listener.onMessage(bytes),
      onOversize: () => this.kill(new UpstreamFailure('too_large', 'the program wrote a line that is longer than allowed')),
    })
    try {
      for await (const chunk of this.#process.stdout) {
        this.#take(() => reader.push(chunk))
        await this.#listener.hasRoom()
      }
    } catch {
      // The pipe broke: the end of the program tells the rest.
    }
  }

  /** A message that cannot be handled ends the program: nobody would read what it writes after it. */
  #take(read: () => void): void {
    try {
      read()
    } catch (error) {
      this.#context.log.write('error', 'a program wrote what cannot be handled', { connection: this.#launch.slug, pid: this.pid, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
      this.kill(new UpstreamFailure('invalid', 'the program wrote what cannot be handled'))
    }
  }

  async #readErrors(): Promise<void> {
    try {
      for await (const chunk of this.#process.stderr) this.#stderr.push(chunk)
    } catch {
      // As above.
    }
  }

  /** Reaches what the program itself started, too. */
  #signalGroup(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal)
    } catch {
      // Nobody is left in the group.
    }
  }
}

function start(launch: Launch, { environment, wrappers, guard }: ProgramContext): Process {
  const env = { ...environment, ...launch.env }
  const home = environment.HOME ?? homedir()
  const cwd = launch.cwd ?? home
  const command = Bun.which(launch.command, { PATH: env.PATH ?? '', cwd })
  if (command === null) throw new UpstreamFailure('unreachable', `no program "${launch.command}" is on the PATH of the gateway`, false)
  try {
    guard.stand()
    return Bun.spawn({ cmd: [...wrappers, command, ...launch.args], env, cwd, stdin: 'pipe', stdout: 'pipe', stderr: 'pipe', detached: true })
  } catch (error) {
    throw new UpstreamFailure('unreachable', `the program cannot be started: ${error instanceof Error ? error.message : String(error)}`, false)
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const timer = setTimeout(() => resolve(false), ms)
  void work.then(() => resolve(true))
  return promise.finally(() => clearTimeout(timer))
}
