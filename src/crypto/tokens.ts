/** 256 random bits as 43 characters that need no escaping in a cookie or a link. */
export const TOKEN_PATTERN = /^[A-Za-z0-9_-]{43}$/

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const RECOVERY_BYTES = 10

/** A token and what is stored of it. With 256 random bits a plain SHA-256 is a sound way to store it. */
export function mintToken(): { token: string; hash: string } {
  const token = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64url')
  return { token, hash: hashToken(token) }
}

/** Hex SHA-256. */
export function hashToken(token: string): string {
  return new Bun.CryptoHasher('sha256').update(token).digest('hex')
}

/** 80 random bits, for people to write down: `k3d7-…`, four groups of four. */
export function mintRecoveryCode(): string {
  return base32(crypto.getRandomValues(new Uint8Array(RECOVERY_BYTES))).toLowerCase().replace(/(.{4})(?=.)/g, '$1-')
}

/** RFC 4648 without padding. */
export function base32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += BASE32.charAt((held >> bits) & 31)
    }
  }
  return bits === 0 ? text : text + BASE32.charAt((held << (5 - bits)) & 31)
}

/** Null where a character is none of the alphabet. */
export function fromBase32(text: string): Uint8Array | null {
  const bytes: number[] = []
  let bits = 0
  let held = 0
  for (const character of text) {
    const value = BASE32.indexOf(character)
    if (value === -1) return null
    held = ((held << 5) | value) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    bytes.push((held >> bits) & 0xff)
  }
  return Uint8Array.from(bytes)
}
