const PORTS_TRIED_MAX = 50

/** Whether a server could listen here now. */
export function isFree(host: string, port: number): boolean {
  try {
    Bun.listen({ hostname: host, port, exclusive: true, socket: { data() {} } }).stop(true)
    return true
  } catch {
    return false
  }
}

/** The first port from this one on that a server could listen on; 0 (any) stays 0. Null when none of the next is free. */
export function nextFreePort(host: string, port: number): number | null {
  if (port === 0) return 0
  for (let candidate = port; candidate < Math.min(65_536, port + PORTS_TRIED_MAX); candidate++) if (isFree(host, candidate)) return candidate
  return null
}
