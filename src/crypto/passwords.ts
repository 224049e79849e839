/** Argon2id runs on the runtime's threads and takes 64 MiB each: one at a time leaves the event loop and the other cores to the calls. */
export interface PasswordLimits {
  runningMax: number
  waitingMax: number
}

export interface Passwords {
  hash(plain: string): Promise<string>
  /**
   * As much work where there is no hash (an unknown account) as where there is one. Null when too many are waiting: then nothing was
   * verified.
   */
  verify(plain: string, hash: string | null): Promise<boolean | null>
}

const DEFAULT_LIMITS: PasswordLimits = { runningMax: 1, waitingMax: 64 }

export function createPasswords(limits: PasswordLimits = DEFAULT_LIMITS): Passwords {
  const waiting: (() => void)[] = []
  let running = 0
  let verifying = 0
  let decoy: Promise<string> | null = null

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= limits.runningMax) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await work()
    } finally {
      // The slot goes from hand to hand, so that nobody who comes now overtakes those who wait.
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }

  const argon2id = (plain: string) => Bun.password.hash(plain, { algorithm: 'argon2id' })

  return {
    hash: (plain) => inTurn(() => argon2id(plain)),
    async verify(plain, hash) {
      // Counted before the first wait, so that a burst cannot slip past the bound.
      if (verifying >= limits.runningMax + limits.waitingMax) return null
      verifying += 1
      try {
        // With the same parameters as real ones, and made before anybody's time is taken.
        decoy ??= inTurn(() => argon2id(crypto.randomUUID()))
        const fallback = await decoy
        const isReal = hash !== null && hash !== '' && plain !== ''
        const isRight = await inTurn(() => Bun.password.verify(plain === '' ? ' ' : plain, isReal ? hash : fallback))
        return isReal && isRight
      } finally {
        verifying -= 1
      }
    },
  }
}
