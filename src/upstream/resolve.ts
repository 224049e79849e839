import { lookup } from 'node:dns/promises'
import { UpstreamFailure } from '../core/ports.ts'
import { judgeAddress, parseAddress, type AddressOptions } from './address.ts'

/** Long enough to spare a lookup per connection, short enough that a moved server is found again. */
const TTL_MS = 5000
const ENTRIES_MAX = 1024
const ADDRESSES_MAX = 16

export type Resolve = (host: string) => Promise<string[]>

export interface Resolver {
  /** The addresses of a host that may be called, in the resolver's order. Rejects with `UpstreamFailure` when there is none. */
  addresses(host: string): Promise<string[]>
}

/** Resolves names with a short, bounded cache; parallel questions for one name share one lookup. */
export function createResolver(options: AddressOptions & { resolve?: Resolve | undefined }): Resolver {
  const resolve = options.resolve ?? systemResolve
  const cache = new Map<string, { found: Promise<string[]>; until: number }>()

  function ask(host: string): Promise<string[]> {
    const known = cache.get(host)
    if (known !== undefined && known.until > performance.now()) return known.found
    const found = resolve(host)
    cache.delete(host)
    for (const oldest of cache.keys()) {
      if (cache.size < ENTRIES_MAX) break
      cache.delete(oldest)
    }
    const entry = { found, until: Infinity }
    cache.set(host, entry)
    found.then(
      (list) => (list.length > 0 ? (entry.until = performance.now() + TTL_MS) : forget()),
      () => forget(),
    )
    const forget = () => cache.get(host) === entry && cache.delete(host)
    return found
  }

  async function addresses(host: string): Promise<string[]> {
    let found: string[]
    try {
      found = parseAddress(host) === null ? await ask(host) : [host]
    } catch (error) {
      throw new UpstreamFailure('unreachable', `cannot resolve ${host}: ${error instanceof Error ? error.message : String(error)}`, false)
    }
    if (found.length === 0) throw new UpstreamFailure('unreachable', `${host} has no address`, false)
    const allowed: string[] = []
    let reason = ''
    for (const address of found.slice(0, ADDRESSES_MAX)) {
      const refusal = judgeAddress(address, options)
      if (refusal === null) allowed.push(address)
      else reason = `${address}: ${refusal}`
    }
    if (allowed.length === 0) throw new UpstreamFailure('forbidden_address', `${host} resolves to a refused address, ${reason}`, false)
    return allowed
  }

  return { addresses }
}

async function systemResolve(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map((entry) => entry.address)
}
