import { startIgris } from '../binary.ts'
import type { RunningIgris } from '../binary.ts'
import { startConformanceServer } from './everything/server.ts'
import type { ConformanceServer } from './everything/server.ts'
import { startKeyShim } from './key-shim.ts'
import type { KeyShim } from './key-shim.ts'

/** The executable between the suite and our server. */
export interface ConformanceStage {
  igris: RunningIgris
  server: ConformanceServer
  /** The server's own address. */
  direct: string
  /** The gateway's, which needs no key. */
  through: string
  close(): Promise<void>
}

export async function setConformanceStage(): Promise<ConformanceStage> {
  const igris = await startIgris()
  const server = await startConformanceServer()
  await igris.cli(['connection', 'add', 'conformance', '--url', server.url])
  await allowEverything(igris)
  const { key } = await igris.issueKey('conformance')
  const shim: KeyShim = startKeyShim(igris.mcp('conformance'), key)
  return {
    igris,
    server,
    direct: server.url,
    through: shim.url,
    async close() {
      await shim.stop()
      await server.stop()
      await igris.stop()
    },
  }
}

export async function allowEverything(igris: RunningIgris): Promise<void> {
  await igris.cli(['policy', 'apply', '-'], JSON.stringify({ name: 'everything', connection: null, rules: [{ tool: '*', action: 'allow' }] }))
}
