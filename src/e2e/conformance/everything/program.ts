import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { buildServer } from './server.ts'

/* The same server over the pipes of a program; with `--modern-only` it refuses the handshake of the revisions before 2026-07-28. */

serveStdio(({ era }) => {
  const server = buildServer(era, () => ({
    toolsChanged: () => server.sendToolListChanged(),
    promptsChanged: () => server.sendPromptListChanged(),
    resourceUpdated: (uri) => void server.server.sendResourceUpdated({ uri }),
  }))
  return server
}, { legacy: process.argv.includes('--modern-only') ? 'reject' : 'serve' })
