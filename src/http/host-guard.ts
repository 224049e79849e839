import { isIP } from 'node:net'
import { ok, refuse } from '../core/result.ts'
import type { Result } from '../core/result.ts'

export interface HostGuardOptions {
  publicUrl?: string | undefined
  allowedHosts: string[]
  allowedOrigins: string[]
}

export interface HostGuard {
  /** Refuses a foreign Host (DNS rebinding) and a foreign Origin (another site in the caller's browser). */
  check(request: Request): Result<void>
}

/**
 * A name in Host is answered only when it is known: loopback names, IP addresses (a rebinding attack needs a name), the public URL's
 * and those the operator lists. An Origin, where there is one, must be same-origin with such a Host, or listed.
 */
export function createHostGuard(options: HostGuardOptions): HostGuard {
  const publicHost = options.publicUrl === undefined ? null : new URL(options.publicUrl).hostname.toLowerCase()
  const hosts = new Set(['localhost', ...options.allowedHosts.map((host) => host.toLowerCase()), ...(publicHost === null ? [] : [publicHost])])
  const origins = new Set([...options.allowedOrigins.map((origin) => origin.toLowerCase()), ...(options.publicUrl === undefined ? [] : [new URL(options.publicUrl).origin])])

  function isKnownHost(name: string): boolean {
    return hosts.has(name) || name.endsWith('.localhost') || isIP(name.startsWith('[') ? name.slice(1, -1) : name) !== 0
  }

  /** Callers keep to one Host: the last one that was found good need not be taken apart again. */
  let lastGoodHost: string | null = null

  function isGoodHost(host: string | null): boolean {
    if (host === null) return false
    if (host === lastGoodHost) return true
    const name = hostName(host)
    if (name === null || !isKnownHost(name)) return false
    lastGoodHost = host
    return true
  }

  return {
    check(request) {
      const host = request.headers.get('host')
      if (!isGoodHost(host)) {
        return refuse('forbidden', 'This Host name is not served here. Set IGRIS_PUBLIC_URL or IGRIS_ALLOWED_HOSTS if it should be.')
      }
      const origin = request.headers.get('origin')
      if (origin === null) return ok(undefined)
      if (origins.has(origin.toLowerCase()) || isSameOrigin(origin, host ?? '')) return ok(undefined)
      return refuse('forbidden', 'This Origin may not call here. Set IGRIS_ALLOWED_ORIGINS if it should be.')
    },
  }
}

/** The name in a Host header without its port; null where it is not a plain host. */
function hostName(host: string): string | null {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/i.exec(host.trim())
  return match?.[1]?.toLowerCase().replace(/\.$/, '') ?? null
}

/** The scheme is not compared: behind a TLS-ending proxy ours is http while the page's is https. */
function isSameOrigin(origin: string, host: string): boolean {
  const match = /^https?:\/\/([^/?#@]+)$/i.exec(origin)
  return match?.[1] !== undefined && match[1].toLowerCase() === host.trim().toLowerCase()
}
