import { getCACertificates, rootCertificates } from 'node:tls'

const ALPN_HTTP1 = Buffer.from('\x08http/1.1', 'latin1')
const LISTS_MAX = 64

export interface TlsSettings {
  ca: string[]
  rejectUnauthorized: true
  ALPNProtocols: Buffer
  serverName?: string
}

let system: string[] | null = null
const lists = new Map<string, string[]>()

/**
 * Verification by host name against the bundled and the machine's certificate authorities, and the connection's own one.
 * `serverName` is null for an address, which is verified as such and never sent in the handshake.
 */
export function tlsSettings(serverName: string | null, caPem: string | null): TlsSettings {
  return { ca: authorities(caPem), rejectUnauthorized: true, ALPNProtocols: ALPN_HTTP1, ...(serverName === null ? {} : { serverName }) }
}

function authorities(caPem: string | null): string[] {
  system ??= [...new Set([...rootCertificates, ...getCACertificates('system')])]
  if (caPem === null) return system
  const known = lists.get(caPem)
  if (known !== undefined) return known
  const list = [...system, caPem]
  if (lists.size >= LISTS_MAX) lists.clear()
  lists.set(caPem, list)
  return list
}
