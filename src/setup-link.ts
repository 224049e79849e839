import type { Ids } from './core/ports.ts'

/** The one-time link with which the first person takes ownership of a fresh installation. Valid for this run of the process. */
export interface SetupLink {
  readonly secret: string
  listeningAt(baseUrl: string): void
  url(): string
}

export function createSetupLink(ids: Ids): SetupLink {
  const secret = ids.randomHex(24)
  let base = ''
  return {
    secret,
    listeningAt(baseUrl) {
      base = baseUrl
    },
    url: () => `${base}/setup?token=${secret}`,
  }
}
