import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freshEnvironment, startProgram } from './program.ts'

export interface EverythingServer {
  url: string
  /** Ends its process; calls after that find nobody. */
  stop(): Promise<void>
}

/** The reference server that has one of everything, over Streamable HTTP (or the HTTP+SSE before it) and on the loopback only. */
export async function startEverythingServer(folder: string, transport: 'streamableHttp' | 'sse' = 'streamableHttp', port = 0): Promise<EverythingServer> {
  const entry = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))
  const program = startProgram([process.execPath, '--preload', join(import.meta.dir, 'loopback.mjs'), entry, transport], {
    cwd: folder,
    env: { ...freshEnvironment(folder), PORT: String(port) },
  })
  const [, listening] = await program.line(/^loopback port (\d+)$/m)
  return {
    url: `http://127.0.0.1:${listening}/${transport === 'sse' ? 'sse' : 'mcp'}`,
    async stop() {
      // It ends its own way on SIGINT only; nothing of it is worth waiting for.
      await program.stop('SIGKILL')
    },
  }
}
