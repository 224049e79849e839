import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Subprocess } from 'bun'

/** Clock ticks of /proc/PID/stat a second; 100 on every Linux that Bun runs on. */
const TICKS = 100

/** A process of the bench with all its children (nginx has workers). */
export interface Running {
  pid: number
  port: number
  stop(): Promise<void>
}

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}

/** Starts a program and resolves once its port accepts connections. */
export async function startProgram(command: string[], options: { port: number; cwd?: string; env?: Record<string, string>; withinMs?: number }): Promise<Running> {
  const child = Bun.spawn(command, { cwd: options.cwd, env: { ...process.env, ...options.env }, stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
  const running = { pid: child.pid, port: options.port, stop: () => stopProcess(child) }
  const said = new Response(child.stderr).text()
  if (await accepts(options.port, options.withinMs ?? 15_000, () => child.exitCode !== null)) return running
  await running.stop()
  throw new Error(`${command[0]} did not start: ${(await said).trim().split('\n').slice(-3).join(' | ').slice(0, 300)}`)
}

export async function stopProcess(child: Subprocess): Promise<void> {
  if (child.exitCode !== null) return
  child.kill('SIGTERM')
  const killer = setTimeout(() => child.kill('SIGKILL'), 5000)
  await child.exited
  clearTimeout(killer)
}

async function accepts(port: number, withinMs: number, isDead: () => boolean): Promise<boolean> {
  for (const until = performance.now() + withinMs; performance.now() < until && !isDead(); ) {
    try {
      const socket = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } })
      socket.terminate()
      return true
    } catch {
      await Bun.sleep(5)
    }
  }
  return false
}

/** CPU seconds of a process and its children so far; 0 where the system has no /proc. */
export function cpuSeconds(pid: number): number {
  let ticks = 0
  for (const one of family(pid)) {
    const text = read(`/proc/${one}/stat`)
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    ticks += Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
  }
  return ticks / TICKS
}

export function residentMiB(pid: number): number {
  let kib = 0
  for (const one of family(pid)) kib += Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${one}/status`))?.[1] ?? 0)
  return kib / 1024
}

function family(pid: number): number[] {
  const children = existsSync(`/proc/${pid}/task`)
    ? readdirSync(`/proc/${pid}/task`).flatMap((task) => read(join('/proc', String(pid), 'task', task, 'children')).trim().split(' ').filter((child) => child !== '').map(Number))
    : []
  return [pid, ...children.flatMap(family)]
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
