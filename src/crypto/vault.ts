import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { Vault } from '../core/ports.ts'

export const MASTER_KEY_BYTES = 32
const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + NONCE_BYTES

/**
 * AES-256-GCM. Envelope: version (1), nonce (12), ciphertext, tag (16). The version is part of what is authenticated.
 * A fresh random nonce each time: safe for far more seals under one key than an installation will ever make.
 */
export function createVault(masterKey: Uint8Array): Vault {
  if (masterKey.length !== MASTER_KEY_BYTES) throw new Error(`a master key has ${MASTER_KEY_BYTES} bytes`)
  const key = Uint8Array.from(masterKey)
  return {
    seal(plain, associated) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(associatedBytes(associated))
      const body = cipher.update(plain, 'utf8')
      const end = cipher.final()
      return Uint8Array.from(Buffer.concat([Uint8Array.of(VERSION), nonce, body, end, cipher.getAuthTag()]))
    },
    open(sealed, associated) {
      if (sealed.length < HEAD_BYTES + TAG_BYTES || sealed[0] !== VERSION) throw new Error('a sealed value is not readable')
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, HEAD_BYTES), { authTagLength: TAG_BYTES })
      decipher.setAAD(associatedBytes(associated))
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES))
      try {
        const body = decipher.update(sealed.subarray(HEAD_BYTES, sealed.length - TAG_BYTES))
        return Buffer.concat([body, decipher.final()]).toString('utf8')
      } catch (error) {
        throw new Error('a sealed value does not open with this master key in this place', { cause: error })
      }
    },
  }
}

export interface SwappableVault extends Vault {
  /** From now on seals with the next vault. What the ones before sealed still opens. */
  adopt(next: Vault): void
}

/** A vault whose key can be rotated while calls go on. */
export function swappableVault(initial: Vault): SwappableVault {
  let current = initial
  let previous: Vault | null = null
  return {
    adopt(next) {
      previous = current
      current = next
    },
    seal: (plain, associated) => current.seal(plain, associated),
    open(sealed, associated) {
      if (previous === null) return current.open(sealed, associated)
      try {
        return current.open(sealed, associated)
      } catch {
        // A call that read the connection just before the rotation; anything else fails here as well.
        return previous.open(sealed, associated)
      }
    },
  }
}

function associatedBytes(associated: string): Uint8Array {
  return Buffer.from(`igris\u0000${VERSION}\u0000${associated}`, 'utf8')
}
