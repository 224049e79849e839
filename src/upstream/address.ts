import { ok, refuse, type Result } from '../core/result.ts'

/*
 * Which upstream addresses may be called. A URL is judged when it is saved and again at each call; what its host resolves to is
 * judged before the connection is made, and the judged address is the one connected to.
 */

export interface AddressOptions {
  allowLinkLocal: boolean
}

/** Why an upstream URL is not usable: its form, or where it points. */
export type UrlVerdict = { ok: true; url: URL } | { ok: false; kind: 'invalid' | 'forbidden_address'; message: string }

const URL_LENGTH_MAX = 4096
const METADATA_NAMES = new Set(['metadata', 'metadata.google.internal', 'metadata.goog', 'metadata.azure.internal', 'metadata.tencentyun.com', 'instance-data', 'instance-data.ec2.internal'])
const METADATA_ADDRESSES = new Set(['100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd00:0ec2:0000:0000:0000:0000:0000:0254', 'fd20:00ce:0000:0000:0000:0000:0000:0254'])

/** Accepts an absolute http(s) URL that may be an upstream; refuses everything else with a sentence for its author. */
export function checkUpstreamUrl(text: string, options: AddressOptions): Result<URL> {
  const verdict = judgeUrl(text, options)
  return verdict.ok ? ok(verdict.url) : refuse('invalid_request', verdict.message, { issues: [{ path: 'upstreamUrl', message: verdict.message }] })
}

export function judgeUrl(text: string, options: AddressOptions): UrlVerdict {
  const invalid = (message: string): UrlVerdict => ({ ok: false, kind: 'invalid', message })
  if (text.length > URL_LENGTH_MAX) return invalid(`The upstream URL is longer than ${URL_LENGTH_MAX} characters.`)
  // The URL parser removes or turns these silently, so two readers could disagree about the host.
  if (/[\u0000-\u0020\u007f\\]/.test(text)) return invalid('The upstream URL must not contain spaces, control characters or backslashes.')
  if (!/^https?:\/\//i.test(text)) return invalid('The upstream URL must start with http:// or https://.')
  if (text.includes('#')) return invalid('The upstream URL must not have a fragment (#…).')
  if (/^https?:\/\/[^/?]*@/i.test(text)) return invalid('The upstream URL must not hold a user name or password; store the credential with the connection.')
  const url = URL.parse(text)
  if (url === null || url.hostname === '') return invalid('The upstream URL is not a valid URL.')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return invalid('The upstream URL must start with http:// or https://.')
  if (url.username !== '' || url.password !== '') return invalid('The upstream URL must not hold a user name or password; store the credential with the connection.')
  if (url.port === '0') return invalid('The upstream URL must not use port 0.')
  const host = hostOf(url)
  if (host === '') return invalid('The upstream URL has no host.')
  const reason = parseAddress(host) === null ? judgeName(host, options) : judgeAddress(host, options)
  return reason === null ? { ok: true, url } : { ok: false, kind: 'forbidden_address', message: `The upstream ${url.hostname} is refused: ${reason}.` }
}

/** Host without the brackets of IPv6 and without the dot that ends a fully qualified name. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
}

function judgeName(host: string, options: AddressOptions): string | null {
  return !options.allowLinkLocal && METADATA_NAMES.has(host.toLowerCase()) ? 'it names a cloud metadata service' : null
}

/** Why this address must not be called, or null. Text that is no address is refused. */
export function judgeAddress(address: string, options: AddressOptions): string | null {
  const bytes = parseAddress(address)
  if (bytes === null) return 'it is not an IP address'
  const embedded = bytes.length === 16 ? embeddedIpv4(bytes) : null
  const reason = bytes.length === 4 ? judgeIpv4(bytes, options) : embedded === null ? judgeIpv6(bytes, options) : null
  return reason ?? (embedded === null ? null : judgeIpv4(embedded, options))
}

function judgeIpv4(bytes: number[], options: AddressOptions): string | null {
  const [a = 0, b = 0] = bytes
  if (a === 0) return 'it is an unspecified address'
  if (a >= 224 && a < 240) return 'it is a multicast address'
  if (a >= 240) return 'it is a broadcast or reserved address'
  if (options.allowLinkLocal) return null
  if (METADATA_ADDRESSES.has(bytes.join('.'))) return 'it is a cloud metadata address'
  if (a === 169 && b === 254) return 'it is a link-local address'
  return null
}

function judgeIpv6(bytes: number[], options: AddressOptions): string | null {
  const [a = 0, b = 0] = bytes
  if (bytes.every((byte) => byte === 0)) return 'it is an unspecified address'
  if (a === 0xff) return 'it is a multicast address'
  if (options.allowLinkLocal) return null
  if (a === 0xfe && (b & 0xc0) === 0x80) return 'it is a link-local address'
  const text = Array.from({ length: 8 }, (_, group) => hex(bytes[2 * group]) + hex(bytes[2 * group + 1])).join(':')
  return METADATA_ADDRESSES.has(text) ? 'it is a cloud metadata address' : null
}

function hex(byte = 0): string {
  return byte.toString(16).padStart(2, '0')
}

/** The IPv4 address that a translator or tunnel would take out of this IPv6 address: it is judged in its place. */
function embeddedIpv4(bytes: number[]): number[] | null {
  const starts = (...prefix: number[]) => prefix.every((byte, index) => bytes[index] === byte)
  const zeroes = (from: number, to: number) => bytes.slice(from, to).every((byte) => byte === 0)
  // ::ffff:a.b.c.d (mapped), ::ffff:0:a.b.c.d (translated), 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64).
  if (zeroes(0, 10) && bytes[10] === 0xff && bytes[11] === 0xff) return bytes.slice(12)
  if (zeroes(0, 8) && bytes[8] === 0xff && bytes[9] === 0xff && zeroes(10, 12)) return bytes.slice(12)
  if (starts(0, 0x64, 0xff, 0x9b) && (zeroes(4, 12) || starts(0, 0x64, 0xff, 0x9b, 0, 1))) return bytes.slice(12)
  // 2002::/16 (6to4) and 2001::/32 (Teredo, where the address is inverted).
  if (starts(0x20, 0x02)) return bytes.slice(2, 6)
  if (starts(0x20, 0x01, 0, 0)) return bytes.slice(12).map((byte) => byte ^ 0xff)
  // ::a.b.c.d (compatible, deprecated), but not :: and ::1.
  if (zeroes(0, 12) && !(zeroes(12, 15) && (bytes[15] ?? 0) <= 1)) return bytes.slice(12)
  return null
}

/** Four or sixteen bytes of an address in canonical or any RFC 4291 notation; null when the text is no address. */
export function parseAddress(text: string): number[] | null {
  const address = text.replace(/%.*$/, '')
  return address.includes(':') ? parseIpv6(address) : parseIpv4(address)
}

function parseIpv4(text: string): number[] | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (match === null) return null
  const bytes = match.slice(1).map(Number)
  return bytes.every((byte) => byte <= 255) ? bytes : null
}

function parseIpv6(text: string): number[] | null {
  let hexText = text
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (dotted !== null) {
    const tail = parseIpv4(dotted[2] ?? '')
    if (tail === null) return null
    hexText = `${dotted[1]}${hex(tail[0])}${hex(tail[1])}:${hex(tail[2])}${hex(tail[3])}`
  }
  const halves = hexText.split('::')
  if (halves.length > 2) return null
  const groupsOf = (half: string | undefined) => (half === undefined || half === '' ? [] : half.split(':'))
  const left = groupsOf(halves[0])
  const right = groupsOf(halves[1])
  const missing = 8 - left.length - right.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null
  const groups = [...left, ...Array.from({ length: missing }, () => '0'), ...right]
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null
  return groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff])
}
