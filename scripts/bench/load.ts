// The caller of every contestant, in a process of its own: raw sockets kept alive, one request at a time on each.
// Speaks with the bench over IPC: takes a `Load`, answers a `LoadResult`.
import type { Socket } from 'bun'
import { readAnswer } from './answer.ts'

export interface Load {
  port: number
  path: string
  /** Sent on every request. */
  headers: Record<string, string>
  /** Bearer keys, taken in turn; empty: none is sent. */
  keys: string[]
  body: string
  /** Closed: so many callers, each sends as soon as it has its answer. Open: so many calls a second, whatever the answers do. */
  pace: { callers: number } | { perSecond: number }
  durationMs: number
}

export interface LoadResult {
  calls: number
  failures: number
  firstFailure: string | null
  seconds: number
  perSecond: number
  latencyMs: { p50: number; p90: number; p99: number; max: number }
}

/** A timer of the runtime is this coarse; an open-loop call counts from its own time, give or take that. */
const TIMER_MS = 1.2

interface Caller {
  socket: Socket<Caller> | null
  received: Buffer | null
  since: number
  isBusy: boolean
}

class Run {
  readonly #load: Load
  readonly #requests: Buffer[]
  readonly #latencies: number[] = []
  readonly #idle: Caller[] = []
  readonly #all: Caller[] = []
  #turn = 0
  #failures = 0
  #firstFailure: string | null = null
  #isEnding = false
  #startedAt = 0

  constructor(load: Load) {
    this.#load = load
    this.#requests = (load.keys.length === 0 ? [''] : load.keys).map((key) => requestBytes(load, key))
  }

  async result(): Promise<LoadResult> {
    const { pace, durationMs } = this.#load
    const callers = 'callers' in pace ? pace.callers : 16
    for (let index = 0; index < callers; index++) this.#idle.push(await this.#connect())
    this.#startedAt = performance.now()
    if ('callers' in pace) for (const caller of this.#idle.splice(0)) this.#send(caller, performance.now())
    else this.#keepPace(pace.perSecond)
    await Bun.sleep(durationMs)
    this.#isEnding = true
    const seconds = (performance.now() - this.#startedAt) / 1000
    const calls = this.#latencies.length
    for (let waited = 0; waited < 50 && this.#all.some((caller) => caller.isBusy); waited++) await Bun.sleep(20)
    for (const caller of this.#all) caller.socket?.terminate()
    const sorted = Float64Array.from(this.#latencies).sort()
    const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    return { calls, failures: this.#failures, firstFailure: this.#firstFailure, seconds, perSecond: calls / seconds, latencyMs: { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) } }
  }

  async #connect(): Promise<Caller> {
    const caller: Caller = { socket: null, received: null, since: 0, isBusy: false }
    this.#all.push(caller)
    caller.socket = await Bun.connect<Caller>({
      hostname: '127.0.0.1',
      port: this.#load.port,
      data: caller,
      socket: {
        data: (_, bytes) => this.#received(caller, bytes),
        close: () => this.#closed(caller),
        error: () => this.#closed(caller),
      },
    })
    caller.socket.setNoDelay(true)
    return caller
  }

  /** Calls leave when they are due, never later because an answer is: where all sockets are busy, a new one is opened. */
  #keepPace(perSecond: number): void {
    const gapMs = 1000 / perSecond
    let due = 0
    const tick = () => {
      if (this.#isEnding) return
      const now = performance.now()
      for (let at = this.#startedAt + due * gapMs; at <= now; at = this.#startedAt + ++due * gapMs) {
        const caller = this.#idle.pop()
        const since = Math.min(now, at + TIMER_MS)
        if (caller !== undefined) this.#send(caller, since)
        else this.#connect().then((fresh) => this.#send(fresh, since), (error: unknown) => this.#failed(String(error)))
      }
      setTimeout(tick, Math.max(0, this.#startedAt + due * gapMs - performance.now()))
    }
    tick()
  }

  #send(caller: Caller, since: number): void {
    caller.since = since
    caller.isBusy = true
    const request = this.#requests[this.#turn++ % this.#requests.length]
    if (request !== undefined) caller.socket?.write(request)
  }

  #received(caller: Caller, bytes: Buffer): void {
    caller.received = caller.received === null ? bytes : Buffer.concat([caller.received, bytes])
    const status = readAnswer(caller.received)
    if (status === null) return
    caller.received = null
    caller.isBusy = false
    if (status !== 200) this.#failed(`HTTP status ${status}`)
    if (this.#isEnding) return
    this.#latencies.push(performance.now() - caller.since)
    if ('callers' in this.#load.pace) this.#send(caller, performance.now())
    else this.#idle.push(caller)
  }

  #closed(caller: Caller): void {
    if (caller.isBusy && !this.#isEnding) this.#failed('the connection was closed before the answer')
    caller.isBusy = false
    const index = this.#idle.indexOf(caller)
    if (index !== -1) this.#idle.splice(index, 1)
  }

  #failed(reason: string): void {
    this.#failures += 1
    this.#firstFailure ??= reason
  }
}

function requestBytes(load: Load, key: string): Buffer {
  const lines = [`POST ${load.path} HTTP/1.1`, `host: 127.0.0.1:${load.port}`, 'content-type: application/json', 'accept: application/json, text/event-stream', `content-length: ${Buffer.byteLength(load.body)}`]
  if (key !== '') lines.push(`authorization: Bearer ${key}`)
  for (const [name, value] of Object.entries(load.headers)) lines.push(`${name}: ${value}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${load.body}`)
}

process.on('message', (load: Load) => {
  new Run(load).result().then(
    (result) => process.send?.(result),
    (error: unknown) => process.send?.({ error: String(error) }),
  )
})
