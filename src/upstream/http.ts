import { UpstreamFailure, type Log, type UpstreamAnswer, type UpstreamRequest, type Upstreams } from '../core/ports.ts'
import { hostOf, judgeUrl, parseAddress } from './address.ts'
import { Deadlines } from './deadlines.ts'
import { Exchange, type ExchangeContext } from './exchange.ts'
import { PollGate } from './poll-gate.ts'
import { OriginPool, type PoolContext } from './pool.ts'
import { writeRequest } from './request.ts'
import { createResolver, type Resolve } from './resolve.ts'
import type { Wire } from './wire.ts'

export interface UpstreamOptions {
  allowLinkLocal: boolean
  /** Bound of a whole answer, decoded, except for event streams. */
  responseBytesMax: number
  connectTimeoutMs: number
  /** Idle sockets are closed after this; keep it below the keep-alive time of common servers (5 s). */
  idleSocketMs: number
  socketsPerOriginIdleMax: number
  /** Longest silence within an answer that is no event stream. */
  bodyStallMs: number
  headBytesMax: number
  /** Refused for now: calls go straight to the upstream or not at all. */
  proxyUrl?: string | undefined
  log: Log
  /** Addresses of a host name; the system's resolver when absent. */
  resolve?: Resolve | undefined
}

export interface UpstreamStats {
  /** Requests whose answer has not ended. */
  calls: number
  sockets: number
  idleSockets: number
  /** Attempts to connect that nobody waits for and the kernel has not ended. */
  abandonedConnects: number
}

interface Target {
  host: string
  path: string
  pool: OriginPool
}

const TARGETS_MAX = 4096

/** The gateway's own HTTP/1.1 client: no shared cap, no redirects, no environment proxy, each request written once. */
export function createUpstreams(options: UpstreamOptions): Upstreams & { close(): void; stats(): UpstreamStats } {
  if (options.proxyUrl !== undefined) throw new Error('upstreamProxy is not supported in this version: remove the setting, or route upstream calls at the network level')
  const deadlines = new Deadlines()
  const gate = new PollGate()
  const active = new Set<Exchange>()
  const wires = new Set<Wire>()
  const poolContext: PoolContext = { ...options, deadlines, gate, wires }
  const exchangeContext: ExchangeContext = { ...options, deadlines, gate, active, resolver: createResolver(options) }
  const targets = new Map<string, Target>()
  const pools = new Map<string, OriginPool>()
  let isClosed = false

  function poolFor(url: URL, caPem: string | null): OriginPool {
    const key = `${url.origin} ${caPem ?? ''}`
    let pool = pools.get(key)
    if (pool === undefined) {
      const host = hostOf(url)
      const isTls = url.protocol === 'https:'
      const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port)
      pool = new OriginPool(poolContext, { host, port, isTls, serverName: parseAddress(host) === null ? host : null, caPem: isTls ? caPem : null })
      makeRoom(pools, (candidate) => candidate.size === 0)
      pools.set(key, pool)
    }
    return pool
  }

  function targetFor(text: string, caPem: string | null): Target {
    const key = caPem === null ? text : `${text} ${caPem}`
    const known = targets.get(key)
    if (known !== undefined) return known
    const verdict = judgeUrl(text, options)
    if (!verdict.ok) throw new UpstreamFailure(verdict.kind, verdict.message, false)
    const { url } = verdict
    const target = { host: url.host, path: `${url.pathname}${url.search}`, pool: poolFor(url, caPem) }
    makeRoom(targets, () => true)
    targets.set(key, target)
    return target
  }

  function send(request: UpstreamRequest): Promise<UpstreamAnswer> {
    return new Promise((resolve, reject) => {
      if (isClosed || request.signal.aborted) throw new UpstreamFailure('aborted', 'the call was given up', false)
      const target = targetFor(request.url, request.caPem)
      const bytes = writeRequest(request, target)
      new Exchange(exchangeContext, target.pool, request, bytes, { resolve, reject }).start()
    })
  }

  function close(): void {
    isClosed = true
    for (const exchange of active) exchange.abort('the gateway is stopping')
    for (const wire of wires) wire.destroy()
    deadlines.close()
  }

  function stats(): UpstreamStats {
    let idleSockets = 0
    let abandonedConnects = 0
    for (const pool of pools.values()) {
      idleSockets += pool.idleCount
      abandonedConnects += pool.abandoned
    }
    return { calls: active.size, sockets: wires.size, idleSockets, abandonedConnects }
  }

  return { send, close, stats }
}

/** Drops the oldest entries that may go, so that a map with a key from outside stays bounded. */
function makeRoom<T>(entries: Map<string, T>, mayGo: (entry: T) => boolean): void {
  if (entries.size < TARGETS_MAX) return
  for (const [key, entry] of entries) {
    if (mayGo(entry)) entries.delete(key)
    if (entries.size < TARGETS_MAX) return
  }
}
