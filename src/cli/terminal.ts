import { writeSync } from 'node:fs'
import { processEnvironment } from '../config.ts'
import type { Terminal } from './command.ts'

/** The real streams, signals and product. */
export function processTerminal(): Terminal {
  return {
    out: (text) => writeAll(1, Buffer.from(`${text}\n`)),
    write: (bytes) => writeAll(1, bytes),
    say: (text) => writeAll(2, Buffer.from(`${text}\n`)),
    readStdin: () => Bun.stdin.text(),
    environment: processEnvironment(),
    compose: async (config, options) => (await import('../compose.ts')).composeIgris(config, options),
    onSignal: (callback) => {
      const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
      for (const signal of signals) process.on(signal, callback)
      return () => {
        for (const signal of signals) process.off(signal, callback)
      }
    },
    exit: (code) => process.exit(code),
  }
}

/** Writes everything before it returns, so that an exit right behind it loses nothing. */
function writeAll(descriptor: number, bytes: Uint8Array): void {
  let written = 0
  while (written < bytes.length) {
    try {
      written += writeSync(descriptor, bytes, written)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      // The reader is slow: the pipe takes more in a moment.
      if (code === 'EAGAIN') Bun.sleepSync(1)
      // The reader has left, e.g. `igris audit export | head`; it wants no more, and nobody is left to tell.
      else if (code === 'EPIPE') process.exit(0)
      else throw error
    }
  }
}
