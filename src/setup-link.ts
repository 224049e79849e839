import { timingSafeEqual } from 'node:crypto'
import type { Ids } from './core/ports.ts'

/** The one-time link with which the first person takes ownership of a fresh installation. Valid for this run of the process. */
export interface SetupLink {
  listeningAt(baseUrl: string): void
  url(): string
  isToken(given: string): boolean
}

export function createSetupLink(ids: Ids): SetupLink {
  const token = ids.randomHex(24)
  let base = ''
  return {
    listeningAt(baseUrl) {
      base = baseUrl
    },
    url: () => `${base}/setup?token=${token}`,
    isToken(given) {
      const a = Buffer.from(given)
      const b = Buffer.from(token)
      return a.length === b.length && timingSafeEqual(a, b)
    },
  }
}
