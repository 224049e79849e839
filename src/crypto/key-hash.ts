const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SECRET_CHARS = 32
/** The largest multiple of 62 that fits a byte: bytes from here on are thrown away, so that every character is as likely as another. */
const BYTE_LIMIT = 256 - (256 % ALPHABET.length)

/** Hex SHA-256. A key has 190 random bits, so a slow hash would protect nothing more. */
export function hashApiKey(key: string): string {
  return Bun.SHA256.hash(key, 'hex')
}

/** `prefix` is what may be shown afterwards, e.g. `ig_k1a2…`. */
export function generateApiKey(): { key: string; hash: string; prefix: string } {
  const key = `ig_${randomBase62(SECRET_CHARS)}`
  return { key, hash: hashApiKey(key), prefix: `${key.slice(0, 7)}…` }
}

function randomBase62(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of crypto.getRandomValues(new Uint8Array(length * 2))) {
      if (byte < BYTE_LIMIT && text.length < length) text += ALPHABET.charAt(byte % ALPHABET.length)
    }
  }
  return text
}
