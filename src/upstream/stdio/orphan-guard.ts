import type { Log } from '../../core/ports.ts'

/*
 * A gateway that is killed cannot end the programs that it started, and a program need not care that its input ended. So a small shell
 * stands by that knows the process groups, and whose own input ends at the very moment the gateway does. The text is fixed: nothing from a connection reaches the shell.
 */
const SCRIPT = [
  'trap "" INT TERM HUP QUIT',
  'groups=',
  'while read -r word group; do',
  '  case $word in',
  '    add) groups="$groups $group" ;;',
  '    remove) left=; for each in $groups; do [ "$each" = "$group" ] || left="$left $each"; done; groups=$left ;;',
  '  esac',
  'done',
  'for each in $groups; do kill -s KILL -- "-$each" 2>/dev/null; done',
].join('\n')

type Shell = Bun.Subprocess<'pipe', 'ignore', 'ignore'>

/** Ends every process group that it was told of, when this process is gone however it went. */
export class OrphanGuard {
  readonly #log: Log
  readonly #groups = new Set<number>()
  #shell: Shell | null = null
  #isClosed = false

  constructor(log: Log) {
    this.#log = log
  }

  /** Throws where no guard can be started: then no program may be started either. */
  stand(): void {
    if (this.#shell !== null) return
    const shell: Shell = Bun.spawn({
      cmd: ['/bin/sh', '-c', SCRIPT], env: {}, cwd: '/', stdin: 'pipe', stdout: 'ignore', stderr: 'ignore', detached: true,
      onExit: () => {
        if (this.#shell !== shell) return
        this.#shell = null
        if (this.#isClosed || this.#groups.size === 0) return
        this.#log.write('warn', 'the guard against orphaned programs ended and is started again')
        this.stand()
      },
    })
    // Neither keeps this process alive.
    shell.unref()
    this.#shell = shell
    for (const group of this.#groups) this.#tell(`add ${group}`)
  }

  add(group: number): void {
    this.#groups.add(group)
    this.stand()
    this.#tell(`add ${group}`)
  }

  remove(group: number): void {
    if (this.#groups.delete(group)) this.#tell(`remove ${group}`)
  }

  /** Also ends the groups that are still there. */
  close(): void {
    this.#isClosed = true
    void this.#shell?.stdin.end()
    this.#shell = null
  }

  #tell(line: string): void {
    const { stdin } = this.#shell ?? {}
    void stdin?.write(`${line}\n`)
    void stdin?.flush()
  }
}
