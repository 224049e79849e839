import { Client as ModernClient, SSEClientTransport as ModernSseTransport } from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { CreateMessageRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { CAPABILITIES, SAMPLED, toolAnswer } from './connected-client.ts'
import type { ConnectedClient, Endpoint } from './connected-client.ts'
import { bridgeMcpRemote, connectSdk1 } from './mcp-clients.ts'
import { PATIENCE_MS } from './program.ts'

/** What a client of either transport is asked to do here. */
export type OldClient = Pick<ConnectedClient, 'serverName' | 'listTools' | 'callTool' | 'close'>

const IMPLEMENTATION = { name: 'igris-e2e', version: '1.0.0' }
const OPTIONS = { timeout: PATIENCE_MS }

export const OLD_CLIENTS: { name: string; connect(endpoint: Endpoint, scratch: string): Promise<OldClient> }[] = [
  { name: 'sdk-1-sse', connect: connectSdk1Sse },
  { name: 'sdk-2-sse', connect: connectSdk2Sse },
  { name: 'mcp-remote-sse', connect: connectMcpRemoteSse },
]

export const STREAMABLE_CLIENT = { name: 'sdk-1', connect: connectSdk1 }

async function connectSdk1Sse({ url, headers }: Endpoint): Promise<OldClient> {
  const client = new Client(IMPLEMENTATION, { capabilities: CAPABILITIES })
  client.setRequestHandler(CreateMessageRequestSchema, () => SAMPLED)
  await client.connect(new SSEClientTransport(new URL(url), { requestInit: { headers } }), OPTIONS)
  return {
    serverName: client.getServerVersion()?.name ?? '',
    listTools: async () => (await client.listTools(undefined, OPTIONS)).tools.map(({ name }) => name),
    async callTool(name, args, onProgress) {
      const onprogress = onProgress === undefined ? undefined : ({ progress }: { progress: number }) => onProgress(progress)
      return toolAnswer(await client.callTool({ name, arguments: args }, undefined, { ...OPTIONS, onprogress }))
    },
    close: () => client.close(),
  }
}

async function connectSdk2Sse({ url, headers }: Endpoint): Promise<OldClient> {
  const client = new ModernClient(IMPLEMENTATION, { capabilities: CAPABILITIES })
  client.setRequestHandler('sampling/createMessage', () => SAMPLED)
  await client.connect(new ModernSseTransport(new URL(url), { requestInit: { headers } }), OPTIONS)
  return {
    serverName: client.getServerVersion()?.name ?? '',
    listTools: async () => (await client.listTools(undefined, OPTIONS)).tools.map(({ name }) => name),
    async callTool(name, args, onProgress) {
      const onprogress = onProgress === undefined ? undefined : ({ progress }: { progress: number }) => onProgress(progress)
      return toolAnswer(await client.callTool({ name, arguments: args }, { ...OPTIONS, onprogress }))
    },
    close: () => client.close(),
  }
}

function connectMcpRemoteSse({ url, headers }: Endpoint, scratch: string): Promise<OldClient> {
  const words = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`])
  return bridgeMcpRemote([url, '--allow-http', '--transport', 'sse-only', ...words], {}, scratch)
}
