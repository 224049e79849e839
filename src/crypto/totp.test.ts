import { describe, expect, test } from 'bun:test'
import { base32, fromBase32, hashToken, mintRecoveryCode, mintToken, TOKEN_PATTERN } from './tokens.ts'
import { totpCodes } from './totp.ts'

describe('one-time codes', () => {
  // Appendix B of RFC 6238, SHA-1, the last six of its eight digits.
  const secret = base32(new TextEncoder().encode('12345678901234567890'))
  test.each([[59, '287082'], [1111111109, '081804'], [1111111111, '050471'], [1234567890, '005924'], [2000000000, '279037'], [20000000000, '353130']])(
    'at %d seconds is %s', (seconds, code) => {
      const step = Math.floor(seconds / 30)
      expect(totpCodes.codeAt(secret, step)).toBe(code)
      expect(totpCodes.matches(secret, step, code)).toBe(true)
      expect([totpCodes.matches(secret, step + 1, code), totpCodes.matches(secret, step, `${code}0`), totpCodes.matches(secret, step, '')]).toEqual([false, false, false])
    })

  test('a secret has 160 bits that an app can read', () => {
    expect(fromBase32(totpCodes.newSecret())).toHaveLength(20)
    expect(totpCodes.newSecret()).not.toBe(totpCodes.newSecret())
  })
})

describe('tokens', () => {
  test('have 256 bits, and only their hash is kept', () => {
    const { token, hash } = mintToken()
    expect(token).toMatch(TOKEN_PATTERN)
    expect(Buffer.from(token, 'base64url')).toHaveLength(32)
    expect(hash).toBe(hashToken(token))
    expect(mintToken().token).not.toBe(token)
  })

  test('recovery codes are four groups of four', () => {
    expect(mintRecoveryCode()).toMatch(/^[a-z2-7]{4}(-[a-z2-7]{4}){3}$/)
  })

  test('base32 gives back what it was given, and refuses other letters', () => {
    for (const text of ['', 'f', 'fo', 'foo', 'foob', 'fooba', 'foobar']) expect(Buffer.from(fromBase32(base32(Buffer.from(text))) ?? []).toString()).toBe(text)
    expect(base32(Buffer.from('foobar'))).toBe('MZXW6YTBOI')
    expect(fromBase32('MZXW1')).toBeNull()
  })
})
