import type { Ids } from './core/ports.ts'

/** The one-time link with which the first person takes ownership of a fresh installation. Valid for this run of the process. */
export interface SetupLink {
  readonly secret: string
  /** Another secret from now on, for the door that `onRenewal` was told of too: the first one was used, and nobody owns the installation any more. */
  renew(): string
  onRenewal(listener: (secret: string) => void): void
  listeningAt(baseUrl: string): void
  url(): string
}

export function createSetupLink(ids: Ids): SetupLink {
  let secret = ids.randomHex(24)
  let base = ''
  const listeners: ((secret: string) => void)[] = []
  return {
    get secret() {
      return secret
    },
    renew() {
      secret = ids.randomHex(24)
      for (const listener of listeners) listener(secret)
      return `${base}/setup?token=${secret}`
    },
    onRenewal: (listener) => void listeners.push(listener),
    listeningAt(baseUrl) {
      base = baseUrl
    },
    url: () => `${base}/setup?token=${secret}`,
  }
}
