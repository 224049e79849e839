import { Client as ModernClient, StreamableHTTPClientTransport as ModernHttpTransport } from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CAPABILITIES, ELICITED, SAMPLED, textOf, toolAnswer } from './connected-client.ts'
import type { ConnectedClient, Endpoint } from './connected-client.ts'
import { connectCurl } from './curl-client.ts'
import { freshEnvironment, PATIENCE_MS } from './program.ts'

export interface ClientKind {
  name: string
  /** A program it needs that may be missing. */
  needs: string | null
  /** Whether it shows its MCP session, and ends it when asked. */
  ownsSession: boolean
  /** Whether it takes the gateway's offer of 2026-07-28, though the server behind it speaks earlier revisions only. */
  isModern?: boolean
  connect(endpoint: Endpoint, scratch: string): Promise<ConnectedClient>
}

const IMPLEMENTATION = { name: 'igris-e2e', version: '1.0.0' }
const OPTIONS = { timeout: PATIENCE_MS }

export const CLIENT_KINDS: ClientKind[] = [
  { name: 'sdk-1', needs: null, ownsSession: true, connect: connectSdk1 },
  { name: 'sdk-2-legacy', needs: null, ownsSession: true, connect: (endpoint) => connectSdk2(endpoint, 'legacy') },
  { name: 'sdk-2-auto', needs: null, ownsSession: false, isModern: true, connect: (endpoint) => connectSdk2(endpoint, 'auto') },
  { name: 'mcp-remote', needs: null, ownsSession: false, connect: connectMcpRemote },
  { name: 'curl', needs: 'curl', ownsSession: true, connect: connectCurl },
]

export async function connectSdk1({ url, headers }: Endpoint): Promise<ConnectedClient> {
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
  const client = await startSdk1(transport)
  return { ...actionsOfSdk1(client), mcpSessionId: () => transport.sessionId ?? null, endSession: () => transport.terminateSession() }
}

type Sdk1Transport = Parameters<Client['connect']>[0]

async function startSdk1(transport: Sdk1Transport): Promise<Client> {
  const client = new Client(IMPLEMENTATION, { capabilities: CAPABILITIES })
  client.setRequestHandler(CreateMessageRequestSchema, () => SAMPLED)
  client.setRequestHandler(ElicitRequestSchema, () => ELICITED)
  try {
    await client.connect(transport, OPTIONS)
  } catch (error) {
    await client.close()
    throw error
  }
  return client
}

function actionsOfSdk1(client: Client): Omit<ConnectedClient, 'mcpSessionId' | 'endSession'> {
  return {
    serverName: client.getServerVersion()?.name ?? '',
    listTools: async () => (await client.listTools(undefined, OPTIONS)).tools.map(({ name }) => name),
    async callTool(name, args, onProgress) {
      const onprogress = onProgress === undefined ? undefined : ({ progress }: { progress: number }) => onProgress(progress)
      return toolAnswer(await client.callTool({ name, arguments: args }, undefined, { ...OPTIONS, onprogress }))
    },
    listResources: async () => (await client.listResources(undefined, OPTIONS)).resources.map(({ uri }) => uri),
    readResource: async (uri) => textOf((await client.readResource({ uri }, OPTIONS)).contents),
    listPrompts: async () => (await client.listPrompts(undefined, OPTIONS)).prompts.map(({ name }) => name),
    getPrompt: async (name, args) => textOf((await client.getPrompt({ name, arguments: args }, OPTIONS)).messages.map(({ content }) => content)),
    close: () => client.close(),
  }
}

async function connectSdk2({ url, headers }: Endpoint, mode: 'legacy' | 'auto'): Promise<ConnectedClient> {
  const transport = new ModernHttpTransport(new URL(url), { requestInit: { headers } })
  const client = new ModernClient(IMPLEMENTATION, { capabilities: CAPABILITIES, versionNegotiation: { mode } })
  client.setRequestHandler('sampling/createMessage', () => SAMPLED)
  client.setRequestHandler('elicitation/create', () => ELICITED)
  try {
    await client.connect(transport, OPTIONS)
  } catch (error) {
    await client.close()
    throw error
  }
  return {
    serverName: client.getServerVersion()?.name ?? '',
    mcpSessionId: () => transport.sessionId ?? null,
    listTools: async () => (await client.listTools(undefined, OPTIONS)).tools.map(({ name }) => name),
    async callTool(name, args, onProgress) {
      const onprogress = onProgress === undefined ? undefined : ({ progress }: { progress: number }) => onProgress(progress)
      return toolAnswer(await client.callTool({ name, arguments: args }, { ...OPTIONS, onprogress }))
    },
    listResources: async () => (await client.listResources(undefined, OPTIONS)).resources.map(({ uri }) => uri),
    readResource: async (uri) => textOf((await client.readResource({ uri }, OPTIONS)).contents),
    listPrompts: async () => (await client.listPrompts(undefined, OPTIONS)).prompts.map(({ name }) => name),
    getPrompt: async (name, args) => textOf((await client.getPrompt({ name, arguments: args }, OPTIONS)).messages.map(({ content }) => content)),
    endSession: () => transport.terminateSession(),
    close: () => client.close(),
  }
}

function connectMcpRemote({ url, headers }: Endpoint, scratch: string): Promise<ConnectedClient> {
  const words = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`])
  return bridgeMcpRemote([url, '--allow-http', '--transport', 'http-only', ...words], {}, scratch)
}

/** mcp-remote with these arguments, as a client that can only start programs would run it. */
export async function bridgeMcpRemote(args: string[], env: Record<string, string>, scratch: string): Promise<ConnectedClient> {
  const home = join(scratch, `home-${crypto.randomUUID()}`)
  mkdirSync(home, { recursive: true })
  const entry = fileURLToPath(import.meta.resolve('mcp-remote/dist/proxy.js'))
  const transport = new StdioClientTransport({ command: process.execPath, args: [entry, ...args], env: { ...freshEnvironment(home), ...env }, cwd: scratch, stderr: 'pipe' })
  let said = ''
  transport.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  try {
    const client = await startSdk1(transport)
    return { ...actionsOfSdk1(client), mcpSessionId: () => null, endSession: () => Promise.reject(new Error('mcp-remote ends no sessions when asked')) }
  } catch (error) {
    throw new Error(`${String(error)}\n${said}`)
  }
}
