import { createHmac, timingSafeEqual } from 'node:crypto'
import { base32, fromBase32 } from './tokens.ts'

const SECRET_BYTES = 20
const DIGITS = 6

/** Time-based one-time codes (RFC 6238) as every authenticator app makes them: SHA-1, six digits. Time steps are the caller's. */
export const totpCodes = {
  /** 160 random bits in base32. */
  newSecret: (): string => base32(crypto.getRandomValues(new Uint8Array(SECRET_BYTES))),
  codeAt,
  /** In constant time. */
  matches(secret: string, step: number, code: string): boolean {
    const expected = Buffer.from(codeAt(secret, step))
    const given = Buffer.from(code)
    return expected.length === given.length && timingSafeEqual(expected, given)
  },
}

function codeAt(secret: string, step: number): string {
  const key = fromBase32(secret)
  if (key === null) throw new Error('a one-time secret is not base32')
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const digest = createHmac('sha1', key).update(counter).digest()
  const offset = (digest[digest.length - 1] ?? 0) & 15
  const number = digest.readUInt32BE(offset) & 0x7fffffff
  return String(number % 10 ** DIGITS).padStart(DIGITS, '0')
}
