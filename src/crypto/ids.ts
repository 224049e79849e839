import type { Ids } from '../core/ports.ts'

/** 48 bits of time in hex, then 80 random bits: sorts by when it was made, and cannot be guessed from another. */
export function systemIds(): Ids {
  let lastMs = 0
  return {
    next(prefix) {
      // Never falls, even when the system's clock is set back.
      lastMs = Math.max(lastMs, Date.now())
      return `${prefix}_${lastMs.toString(16).padStart(12, '0')}${randomHex(10)}`
    },
    randomHex,
  }
}

function randomHex(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString('hex')
}
