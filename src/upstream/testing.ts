import type { ConnectionId } from '../core/ids.ts'
import type { Log, UpstreamAnswer, UpstreamBody, UpstreamRequest } from '../core/ports.ts'
import type { Socket } from 'bun'
import { createUpstreams, type UpstreamOptions } from './http.ts'

/* Fixtures for the tests of this folder: raw servers on loopback that behave as badly as a test wants. */

export const silentLog: Log = { write() {} }

export function testUpstreams(overrides: Partial<UpstreamOptions> = {}) {
  return createUpstreams({
    allowLinkLocal: false,
    responseBytesMax: 1024 * 1024,
    connectTimeoutMs: 2000,
    idleSocketMs: 4000,
    socketsPerOriginIdleMax: 64,
    bodyStallMs: 5000,
    headBytesMax: 16 * 1024,
    log: silentLog,
    ...overrides,
  })
}

export function post(url: string, overrides: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return { method: 'POST', url, headers: [['content-type', 'application/json']], body: Buffer.from('{"id":1}'), timeoutMs: 5000, caPem: null, connectionId: 'con_test' as ConnectionId, principalId: 'key_test', signal: new AbortController().signal, ...overrides }
}

export async function textOf(body: UpstreamBody): Promise<string> {
  const chunks: Uint8Array[] = []
  for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

export async function outcomeOf(answer: Promise<UpstreamAnswer>): Promise<string> {
  try {
    const { status, body } = await answer
    return `${status} ${await textOf(body)}`
  } catch (error) {
    const { kind, mayHaveBeenSent } = error as { kind?: string; mayHaveBeenSent?: boolean }
    return `${kind ?? String(error)}${mayHaveBeenSent === true ? '' : ' unsent'}`
  }
}

export interface RawPeer {
  socket: Socket<RawPeer>
  /** Everything received and not yet taken as a whole request. */
  received: string
  /** Whole requests on this connection. */
  requests: number
  isClosed: boolean
}

export interface RawServer {
  port: number
  url: string
  /** Whole requests on all connections. */
  requests: string[]
  peers: RawPeer[]
  open(): number
  stop(): void
}

/** Calls `answer` for each whole request (head and Content-Length body). */
export function rawServer(answer: (peer: RawPeer, request: string) => void, options: { tls?: Bun.TLSOptions; onOpen?: (peer: RawPeer) => void } = {}): RawServer {
  const requests: string[] = []
  const peers: RawPeer[] = []
  const listener = Bun.listen<RawPeer>({
    hostname: '127.0.0.1',
    port: 0,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    socket: {
      open(socket) {
        socket.data = { socket, received: '', requests: 0, isClosed: false }
        peers.push(socket.data)
        options.onOpen?.(socket.data)
      },
      data(socket, bytes) {
        const peer = socket.data
        peer.received += bytes.toString('latin1')
        for (;;) {
          const end = peer.received.indexOf('\r\n\r\n')
          const length = Number(/content-length: (\d+)/.exec(peer.received)?.[1] ?? 0)
          if (end === -1 || peer.received.length < end + 4 + length) return
          const request = peer.received.slice(0, end + 4 + length)
          peer.received = peer.received.slice(end + 4 + length)
          peer.requests += 1
          requests.push(request)
          answer(peer, request)
        }
      },
      close(socket) {
        socket.data.isClosed = true
      },
      error() {},
    },
  })
  return {
    port: listener.port,
    url: `http://127.0.0.1:${listener.port}/mcp`,
    requests,
    peers,
    open: () => peers.filter((peer) => !peer.isClosed).length,
    stop: () => listener.stop(true),
  }
}

/** Waits, turn by turn, for something that other sockets bring about. */
export async function until(claim: () => boolean): Promise<void> {
  for (const end = performance.now() + 5000; !claim(); ) {
    if (performance.now() > end) throw new Error(`never came true: ${claim.toString()}`)
    await Bun.sleep(1)
  }
}

export function jsonAnswer(text: string, headers = ''): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n${headers}\r\n${text}`
}

/* A private authority and a certificate of it for mcp.test and 127.0.0.1. Used nowhere but here. */

export const TEST_CA_PEM = `-----BEGIN CERTIFICATE-----
MIIBiDCCAS2gAwIBAgIUViLNGqANUrMy57KZDmtqZXYMybEwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNaWdyaXMtdGVzdC1jYTAgFw0yNjExMjIxODM1NTlaGA8yMTI2
MTAyOTE4MzU1OVowGDEWMBQGA1UEAwwNaWdyaXMtdGVzdC1jYTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABJZh3JUqCP3J3wdtD3imAJtJXbcPO809ZBi8dudncCS/
+INPkt8ohba2WkN5lxBavVx/nK4mVlwDFdPJOGdqin2jUzBRMB0GA1UdDgQWBBQq
wfHXCsDngnWQ8gLf1kbavFxovzAfBgNVHSMEGDAWgBQqwfHXCsDngnWQ8gLf1kba
vFxovzAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCKgsSTK4mC
YSAdIz18dPKdRU70KabfvFrnxd6LNcgRoQIhAOa7xUdHkYuz4QBgaB3wofEZt1uS
ttm1cNAtSW/oALhO
-----END CERTIFICATE-----
`

export const TEST_CERT_PEM = `-----BEGIN CERTIFICATE-----
MIIBjDCCATKgAwIBAgIUGlcH/xwDTGTPh54RA11KjJ5nZAUwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNaWdyaXMtdGVzdC1jYTAgFw0yNjExMjIxODM1NTlaGA8yMTI2
MTAyOTE4MzU1OVowEzERMA8GA1UEAwwIbWNwLnRlc3QwWTATBgcqhkjOPQIBBggq
hkjOPQMBBwNCAARUGMl4sfdfgFEcq4yW8roaADfx3rmKjLiugzq4/npNTIKetw5p
BM3yMdDRZuGuU9MXstpgDuAsS4/cD8GtfiMqo10wWzAZBgNVHREEEjAQgghtY3Au
dGVzdIcEfwAAATAdBgNVHQ4EFgQUGZxOQh5bXatF+85vdK5I+0swoGAwHwYDVR0j
BBgwFoAUKsHx1wrA54J1kPIC39ZG2rxcaL8wCgYIKoZIzj0EAwIDSAAwRQIgYV1o
rCelUHn3S8FtiOxeuuocLYgI4yuvfzABh3JV2gQCIQDRmbBHY7yNhDjDESd8lIm6
RzY5F6pqG7tzBSOhS+Z5eQ==
-----END CERTIFICATE-----
`

export const TEST_KEY_PEM = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgLuR2Q/y0oQvy30Li
VJKTXBNfuwoNI2urIGsPYBOKOG2hRANCAARUGMl4sfdfgFEcq4yW8roaADfx3rmK
jLiugzq4/npNTIKetw5pBM3yMdDRZuGuU9MXstpgDuAsS4/cD8GtfiMq
-----END PRIVATE KEY-----
`
