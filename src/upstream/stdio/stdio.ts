import { randomBytes } from 'node:crypto'
import { UpstreamFailure, type Log, type UpstreamAnswer, type UpstreamRequest, type Upstreams } from '../../core/ports.ts'
import { wholeBody } from '../../core/event-queue.ts'
import type { Owner } from '../bridge/bridge.ts'
import { Link } from '../link/link.ts'
import { errorAnswer, LinkSession, readPosted, Unavailable, type Posted } from '../link/session.ts'
import { ModernLink } from './modern-link.ts'
import { isModern, ModernPrograms } from './modern-programs.ts'
import { OrphanGuard } from './orphan-guard.ts'
import { Program, type Launch, type ProgramContext, type ProgramReport } from './program.ts'
import { Restarts } from './restarts.ts'
import { findWrappers } from './wrappers.ts'

export interface StdioOptions {
  /** What a connection starts, by the address that `addressOf` made; null where there is no such connection, or it must not run. */
  findLaunch(address: { organizationId: string; slug: string }): Promise<Launch | null>
  /** All that programs get of the gateway's own environment. */
  environment: Record<string, string>
  programsMax: number
  programsPerConnectionMax: number
  /** A program that nobody spoke to for this long is ended; its session starts another when it goes on. */
  idleMs: number
  memoryBytesMax: number
  lineBytesMax: number
  endGraceMs?: number
  log: Log
}

export interface StdioUpstreams extends Upstreams {
  /** Programs that run for a connection, and the last that ended, newest first. */
  reports(connectionId: string): (ProgramReport & { crashes: number })[]
  /** Ends the programs of a connection and forgets its sessions: it changed or is gone. */
  end(connectionId: string): void
  /** Ends the sessions of certain owners, and the programs that nobody else uses. */
  endWhere(holds: (owner: Owner) => boolean): void
  close(): Promise<void>
}

const SESSIONS_MAX = 10_000
const ENDED_KEPT_MAX = 5
const STDERR_BYTES_MAX = 64 * 1024
const INPUT_BYTES_MAX = 16 * 1024 * 1024
const SWEEP_MS = 5000
const ADDRESS = /^stdio:\/\/([^/]+)\/([^/]+)$/

type AnyLink = Link<Program> | ModernLink

/** Programs on this machine as MCP servers over Streamable HTTP: started on demand, one for each MCP session unless the connection shares one. */
export function createStdioUpstreams(options: StdioOptions): StdioUpstreams {
  return new StdioPool(options)
}

class StdioPool implements StdioUpstreams {
  readonly #options: StdioOptions
  readonly #guard: OrphanGuard
  readonly #sessions = new Map<string, { session: LinkSession<Program>; usedAt: number; address: string; principalId: string }>()
  readonly #links = new Map<AnyLink, { launch: Launch; usedAt: number }>()
  readonly #shared = new Map<string, Link<Program>>()
  readonly #ended = new Map<string, Program[]>()
  readonly #restarts = new Restarts()
  readonly #modern = new ModernPrograms({ start: (launch) => this.#startModern(launch), onUsed: (link) => this.#used(link) })
  #context: ProgramContext | null = null
  #sweep: ReturnType<typeof setInterval> | null = null
  #isClosed = false

  constructor(options: StdioOptions) {
    this.#options = options
    this.#guard = new OrphanGuard(options.log)
  }

  async send(request: UpstreamRequest): Promise<UpstreamAnswer> {
    if (this.#isClosed || request.signal.aborted) throw new UpstreamFailure('aborted', 'the call was given up', false)
    const posted = request.method === 'POST' ? readPosted(request.body) : null
    if (request.method === 'POST' && posted === null) return errorAnswer(400, { code: -32600, message: 'The body is no JSON-RPC message.' }, null)
    const sessionId = request.headers.find(([name]) => name === 'mcp-session-id')?.[1]
    try {
      if (posted !== null && isModern(posted)) return await this.#modern.send(await this.#launchOf(request.url), posted, request)
      if (sessionId !== undefined) return await this.#forSession(sessionId, request, posted)
      if (posted?.messages[0]?.method === 'initialize') return await this.#initialize(request, posted)
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      return errorAnswer(503, { code: -32000, message: error.message }, posted, error.retryAfterSeconds)
    }
    if (request.method !== 'POST') return errorAnswer(405, { code: -32000, message: 'Initialize a session first.' }, null)
    return errorAnswer(400, { code: -32000, message: 'This server keeps sessions: initialize one, and send its Mcp-Session-Id.' }, posted)
  }

  reports(connectionId: string): (ProgramReport & { crashes: number })[] {
    const running = [...this.#links].filter(([, { launch }]) => launch.connectionId === connectionId).map(([link]) => link.channel)
    const crashes = this.#restarts.count(connectionId)
    return [...running, ...(this.#ended.get(connectionId) ?? [])].sort((a, b) => b.startedAt - a.startedAt).map((program) => ({ ...program.report(), crashes }))
  }

  endWhere(holds: (owner: Owner) => boolean): void {
    for (const [id, { session, principalId }] of [...this.#sessions]) if (holds({ connectionId: session.connectionId, principalId })) this.#drop(id, session)
  }

  end(connectionId: string): void {
    for (const [id, { session }] of this.#sessions) {
      if (session.connectionId !== connectionId) continue
      this.#sessions.delete(id)
      session.leave()
    }
    for (const [link, { launch }] of this.#links) if (launch.connectionId === connectionId) void link.channel.end()
    this.#shared.delete(connectionId)
    this.#modern.forget(connectionId)
    this.#ended.delete(connectionId)
    this.#restarts.forget(connectionId)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#sweep !== null) clearInterval(this.#sweep)
    for (const { session } of this.#sessions.values()) session.leave()
    this.#sessions.clear()
    await Promise.all([...this.#links.keys()].map((link) => link.channel.end()))
    this.#guard.close()
  }

  async #forSession(id: string, request: UpstreamRequest, posted: Posted | null): Promise<UpstreamAnswer> {
    const entry = this.#sessions.get(id)
    // An id is good for the connection that it was made on.
    if (entry === undefined || entry.address !== request.url) return errorAnswer(404, { code: -32001, message: 'Session not found' }, posted)
    const { session } = entry
    if (request.method === 'DELETE') {
      this.#drop(id, session)
      return { status: 200, headers: [], body: wholeBody('') }
    }
    if (posted !== null) return session.post(posted, request)
    return session.open(request.signal) ?? errorAnswer(409, { code: -32000, message: 'This session has a stream already.' }, null)
  }

  async #initialize(request: UpstreamRequest, posted: Posted): Promise<UpstreamAnswer> {
    const launch = await this.#launchOf(request.url)
    const session = new LinkSession<Program>(`stdio-${randomBytes(24).toString('hex')}`, launch.connectionId, {
      link: () => this.#link(request.url),
      onUsed: (used) => this.#touch(used),
    })
    this.#makeRoomForSession()
    this.#sessions.set(session.id, { session, usedAt: Date.now(), address: request.url, principalId: request.principalId })
    try {
      const answer = await session.post(posted, request)
      // A program that refuses to be initialized is spoken to without a session, or not at all.
      const isRefused = session.link?.initializeResult === null && answer.headers.some(([name, value]) => name === 'content-type' && value === 'application/json')
      if (isRefused) this.#drop(session.id, session)
      return answer
    } catch (error) {
      this.#drop(session.id, session)
      throw error
    }
  }

  async #launchOf(url: string): Promise<Launch> {
    const [, organizationId = '', slug = ''] = ADDRESS.exec(url) ?? []
    const launch = await this.#options.findLaunch({ organizationId: decodeURIComponent(organizationId), slug: decodeURIComponent(slug) })
    if (launch === null || this.#isClosed) throw new UpstreamFailure('unreachable', 'there is no program to start for this connection', false)
    return launch
  }

  /** A running program for a session of this address: the shared one, or another. */
  async #link(url: string): Promise<Link<Program>> {
    const launch = await this.#launchOf(url)
    const { connectionId } = launch
    const shared = launch.mode === 'shared' ? this.#shared.get(connectionId) : undefined
    if (shared?.channel.isRunning === true) return shared
    const link = this.#start<Link<Program>>(launch, (context, onEnd) => new Link({ isShared: launch.mode === 'shared', open: (listener) => new Program(launch, context, listener), onEnd }))
    if (launch.mode === 'shared') this.#shared.set(connectionId, link)
    return link
  }

  #startModern(launch: Launch): ModernLink {
    return this.#start(launch, (context, onEnd) => new ModernLink({ isShared: launch.mode === 'shared', open: (listener) => new Program(launch, context, listener), onEnd }))
  }

  #start<L extends AnyLink>(launch: Launch, open: (context: ProgramContext, onEnd: (ended: L) => void) => L): L {
    const { connectionId } = launch
    const waitMs = this.#restarts.waitMs(connectionId, Date.now())
    if (waitMs > 0) {
      const seconds = Math.ceil(waitMs / 1000)
      throw new Unavailable(`The program behind this connection ended ${this.#restarts.count(connectionId)} times in a row. It may be started again in ${seconds} s.`, seconds)
    }
    this.#makeRoomForProgram(connectionId)
    const link = open((this.#context ??= this.#makeContext()), (ended) => this.#onEnd(ended, launch))
    this.#links.set(link, { launch, usedAt: Date.now() })
    this.#sweep ??= this.#startSweep()
    return link
  }

  #makeContext(): ProgramContext {
    const { environment, memoryBytesMax, lineBytesMax, log, endGraceMs = 2000 } = this.#options
    return {
      environment, log, guard: this.#guard, wrappers: findWrappers(memoryBytesMax, log),
      limits: { lineBytesMax, stderrBytesMax: STDERR_BYTES_MAX, inputBytesMax: INPUT_BYTES_MAX, endGraceMs },
    }
  }

  #onEnd(link: AnyLink, launch: Launch): void {
    const program = link.channel
    this.#links.delete(link)
    if (this.#shared.get(launch.connectionId) === link) this.#shared.delete(launch.connectionId)
    if (program.hasCrashed) this.#restarts.crashed(launch.connectionId, Date.now() - program.startedAt, Date.now())
    this.#ended.set(launch.connectionId, [program, ...(this.#ended.get(launch.connectionId) ?? [])].slice(0, ENDED_KEPT_MAX))
  }

  #touch(session: LinkSession<Program>): void {
    const now = Date.now()
    const entry = this.#sessions.get(session.id)
    if (entry !== undefined) {
      entry.usedAt = now
      // Kept in order of use, so that the first is the one to go.
      this.#sessions.delete(session.id)
      this.#sessions.set(session.id, entry)
    }
    if (session.link !== null) this.#used(session.link)
  }

  #used(link: AnyLink): void {
    const running = this.#links.get(link)
    if (running !== undefined) running.usedAt = Date.now()
  }

  #drop(id: string, session: LinkSession<Program>): void {
    this.#sessions.delete(id)
    const { link } = session
    session.leave()
    if (link !== null && link.members.size === 0) void link.channel.end()
  }

  #makeRoomForSession(): void {
    if (this.#sessions.size < SESSIONS_MAX) return
    for (const [id, { session }] of this.#sessions) {
      if (session.isBusy) continue
      this.#drop(id, session)
      return
    }
    throw new Unavailable('Too many sessions are open on programs of this gateway.', 30)
  }

  /** The program that was idle for longest makes room; its session starts another when it goes on. */
  #makeRoomForProgram(connectionId: string): void {
    const { programsMax, programsPerConnectionMax } = this.#options
    const running = [...this.#links].filter(([link]) => link.channel.isRunning)
    const own = running.filter(([, { launch }]) => launch.connectionId === connectionId)
    const crowd = own.length >= programsPerConnectionMax ? own : running.length >= programsMax ? running : null
    if (crowd === null) return
    const [idlest] = crowd.filter(([link]) => !link.isBusy).sort(([, a], [, b]) => a.usedAt - b.usedAt)
    if (idlest === undefined) throw new Unavailable(`All ${crowd.length} programs that may run at once are at work. Try again in a moment.`, 5)
    void idlest[0].channel.end()
  }

  #startSweep(): ReturnType<typeof setInterval> {
    const timer = setInterval(() => {
      const before = Date.now() - this.#options.idleMs
      for (const [link, { usedAt }] of this.#links) if (usedAt < before && !link.isBusy) void link.channel.end()
    }, Math.min(SWEEP_MS, Math.max(100, this.#options.idleMs / 2)))
    timer.unref()
    return timer
  }
}
