import { chmodSync, rmSync } from 'node:fs'
import type { Server } from 'bun'

export interface ListenOptions {
  host: string
  port: number
  /** Longest silence of a caller who has not sent its whole request. */
  requestTimeoutMs: number
  handle(request: Request, server: Server<unknown>): Promise<Response>
}

/** The runtime's own bound lies above ours, so that ours can answer in JSON-RPC. */
const RUNTIME_BODY_BYTES_MAX = 2 ** 40
/** The runtime's idle timeout is at most 255 s. */
const IDLE_SECONDS_MAX = 255

export function idleTimeoutSeconds(requestTimeoutMs: number): number {
  return Math.min(IDLE_SECONDS_MAX, Math.ceil(requestTimeoutMs / 1000))
}

/** Listens on TCP. Throws when the address is taken, and says in `address` which one. */
export function listenTcp(options: ListenOptions): Server<unknown> {
  try {
    return listen(options)
  } catch (error) {
    throw Object.assign(error as Error, { address: `${options.host}:${options.port}` })
  }
}

function listen(options: ListenOptions): Server<unknown> {
  return Bun.serve({
    hostname: options.host,
    port: options.port,
    idleTimeout: idleTimeoutSeconds(options.requestTimeoutMs),
    maxRequestBodySize: RUNTIME_BODY_BYTES_MAX,
    development: false,
    // Outside of development the runtime shares ports: a second gateway would start on a taken one and get half of its callers.
    reusePort: false,
    fetch: (request, server) => options.handle(request, server),
    error: () => new Response('internal error\n', { status: 500 }),
  })
}

/** Listens on a socket file that only this user may open: who can write to it acts as the local operator. */
export function listenControl(path: string, handle: (request: Request) => Promise<Response>): Server<unknown> {
  rmSync(path, { force: true })
  const before = process.umask(0o177)
  try {
    // The runtime's silence limit of 10 s would end what takes longer: the test of a slow upstream, a backup. Who may connect here needs no limit.
    const server = Bun.serve({
      unix: path, development: false, fetch: handle, error: () => new Response('internal error\n', { status: 500 }),
      // The types do not know it beside `unix`.
      ...({ idleTimeout: 0 } as object),
    })
    chmodSync(path, 0o600)
    return server as Server<unknown>
  } finally {
    process.umask(before)
  }
}
