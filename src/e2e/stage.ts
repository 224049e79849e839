import { startIgris } from './binary.ts'
import type { RunningIgris } from './binary.ts'
import { startEverythingServer } from './everything-server.ts'
import type { EverythingServer } from './everything-server.ts'

/** The executable with one real MCP server behind the connection `everything`, and a policy over it. */
export interface Stage {
  igris: RunningIgris
  everything: EverythingServer
  close(): Promise<void>
}

export const POLICY = {
  name: 'guard',
  connection: 'everything',
  rules: [
    { tool: 'get-env', action: 'deny', reason: 'the environment stays private' },
    { tool: 'get-sum', action: 'alert' },
    { tool: 'get-annotated-message', action: 'allow', rateLimit: { max: 1, windowSeconds: 3600, per: 'key' } },
    { tool: '*', action: 'allow' },
  ],
}

export async function setStage(owner?: { email: string; password: string }): Promise<Stage> {
  const igris = await startIgris(owner)
  const everything = await startEverythingServer(igris.folder)
  await igris.cli(['connection', 'add', 'everything', '--url', everything.url])
  await igris.cli(['policy', 'apply', '-'], JSON.stringify(POLICY))
  return {
    igris,
    everything,
    async close() {
      await everything.stop()
      await igris.stop()
    },
  }
}
