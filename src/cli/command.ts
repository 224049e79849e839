import type { Config } from '../config.ts'
import type { Result } from '../core/result.ts'
import type { Igris } from '../compose.ts'
import type { Door } from './door.ts'

/** Exit codes, pinned: scripts depend on them. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const
export type ExitCode = number

/** One option of a command. `switch` stands alone, `text` takes a value, `list` takes one each time it is given. */
export interface Flag {
  kind: 'switch' | 'text' | 'list'
  says: string
  /** What help shows for the value. */
  value?: string
  /** The API's name for it, understood as well. */
  also?: string
}

export interface Action {
  summary: string
  /** Names of the operands in order; `[NAME]` may be left out. */
  operands: string[]
  flags: Record<string, Flag>
  /** Shown under the options in `--help`. */
  notes?: string
  run(invocation: Invocation): Promise<ExitCode>
}

/** A word of the command line. The action named '' is the command without a second word. */
export interface Command {
  summary: string
  actions: Record<string, Action>
}

/** The outside of a command: streams, environment and how to build the product. Tests hand in their own. */
export interface Terminal {
  /** Data, on stdout. Adds the line break. */
  out(text: string): void
  /** Data as it is, on stdout. */
  write(bytes: Uint8Array): void
  /** Talk, on stderr. */
  say(text: string): void
  readStdin(): Promise<string>
  environment: Record<string, string | undefined>
  compose(config: Config, options: { isDemo?: boolean; version: string }): Promise<Result<Igris>>
  /** Calls back on SIGINT, SIGTERM and SIGHUP, until the returned function is called. */
  onSignal(callback: (signal: string) => void): () => void
  /** Ends the process at once. */
  exit(code: ExitCode): void
}

/** A value, or the exit code to leave with. */
export type Outcome<T> = { ok: true; value: T } | { ok: false; exit: ExitCode }

/** One command line, parsed and checked against its action's flags. */
export interface Invocation {
  operands: string[]
  isJson: boolean
  terminal: Terminal
  text(flag: string): string | undefined
  texts(flag: string): string[]
  isSet(flag: string): boolean
  /** The configuration for this command line. When there is none, its problems were said already. */
  config(): Promise<Outcome<Config>>
  /** The way to the data folder. When there is none, it was said why. */
  door(): Promise<Outcome<Door>>
}
