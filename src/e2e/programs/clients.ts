import { Client as ModernClient, StreamableHTTPClientTransport as ModernHttpTransport } from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Endpoint } from '../connected-client.ts'
import { CAPABILITIES } from '../connected-client.ts'
import { freshEnvironment, PATIENCE_MS, runProgram } from '../program.ts'
import { programFile } from './installed.ts'

export interface Answer {
  content: unknown
  isError: boolean
}

/** What each client of the matrix is asked to do. What it cannot get done it throws, with all that it shows its user. */
export interface MatrixClient {
  listTools(): Promise<string[]>
  callTool(name: string, args: Record<string, string>): Promise<Answer>
  close(): Promise<void>
}

export interface Surroundings {
  /** Where the programs are installed. */
  programs: string
  /** A folder of this client's own. */
  scratch: string
}

export interface MatrixClientKind {
  name: string
  /** As the documents call it. */
  title: string
  /** The revision that it speaks to Igris, whatever stands behind. */
  revision: '2024-11-05' | '2025-11-25' | '2026-07-28'
  /** What it offers to the server, which can lengthen its list of tools. */
  offers: Record<string, object>
  /** Takes a 403 for a login that it lacks, so it asks for denials as results. */
  wantsResults?: boolean
  connect(endpoint: Endpoint, around: Surroundings): Promise<MatrixClient>
}

const IMPLEMENTATION = { name: 'igris-e2e', version: '1.0.0' }
const OPTIONS = { timeout: PATIENCE_MS }
const requestInit = ({ headers }: Endpoint) => ({ requestInit: { headers } })

export const MATRIX_CLIENTS: MatrixClientKind[] = [
  { name: 'sdk-1-sse', title: 'SDK 1.32.2, HTTP+SSE', revision: '2024-11-05', offers: CAPABILITIES, connect: (to) => sdk1(new SSEClientTransport(new URL(to.url), requestInit(to))) },
  { name: 'sdk-1', title: 'SDK 1.32.2', revision: '2025-11-25', offers: CAPABILITIES, connect: (to) => sdk1(new StreamableHTTPClientTransport(new URL(to.url), requestInit(to))) },
  { name: 'sdk-2-legacy', title: 'SDK 2.4.0, legacy', revision: '2025-11-25', offers: CAPABILITIES, connect: (to) => sdk2(to, 'legacy') },
  { name: 'sdk-2-auto', title: 'SDK 2.4.0, auto', revision: '2026-07-28', offers: CAPABILITIES, connect: (to) => sdk2(to, 'auto') },
  { name: 'sdk-2-modern', title: 'SDK 2.4.0, pinned', revision: '2026-07-28', offers: CAPABILITIES, connect: (to) => sdk2(to, { pin: '2026-07-28' }) },
  { name: 'inspector-legacy', title: 'Inspector CLI 2.12.0, legacy', revision: '2025-11-25', offers: { roots: {} }, wantsResults: true, connect: (to, around) => inspector(to, around, 'legacy') },
  { name: 'inspector-auto', title: 'Inspector CLI 2.12.0, auto', revision: '2026-07-28', offers: { roots: {} }, wantsResults: true, connect: (to, around) => inspector(to, around, 'auto') },
  { name: 'inspector-modern', title: 'Inspector CLI 2.12.0, modern', revision: '2026-07-28', offers: { roots: {} }, wantsResults: true, connect: (to, around) => inspector(to, around, 'modern') },
  { name: 'mcp-remote', title: 'mcp-remote 0.15.1', revision: '2025-11-25', offers: CAPABILITIES, connect: mcpRemote },
  { name: 'mcporter', title: 'mcporter 0.12.3', revision: '2025-11-25', offers: {}, wantsResults: true, connect: mcporter },
  { name: 'ai-sdk', title: '@ai-sdk/mcp 2.0.99', revision: '2026-07-28', offers: {}, connect: aiSdk },
]

async function sdk1(transport: Parameters<Client['connect']>[0]): Promise<MatrixClient> {
  const client = new Client(IMPLEMENTATION, { capabilities: CAPABILITIES })
  await client.connect(transport, OPTIONS)
  return {
    listTools: async () => (await client.listTools(undefined, OPTIONS)).tools.map(({ name }) => name),
    callTool: async (name, args) => answerOf(await client.callTool({ name, arguments: args }, undefined, OPTIONS)),
    close: () => client.close(),
  }
}

async function sdk2(to: Endpoint, mode: 'legacy' | 'auto' | { pin: string }): Promise<MatrixClient> {
  const client = new ModernClient(IMPLEMENTATION, { capabilities: CAPABILITIES, versionNegotiation: { mode } })
  await client.connect(new ModernHttpTransport(new URL(to.url), requestInit(to)), OPTIONS)
  return {
    listTools: async () => (await client.listTools(undefined, OPTIONS)).tools.map(({ name }) => name),
    callTool: async (name, args) => answerOf(await client.callTool({ name, arguments: args }, OPTIONS)),
    close: () => client.close(),
  }
}

function answerOf({ content, isError }: Record<string, unknown>): Answer {
  return { content, isError: isError === true }
}

/** One process a request, which shakes hands and ends its session each time. */
async function inspector(to: Endpoint, around: Surroundings, era: string): Promise<MatrixClient> {
  const entry = programFile(around.programs, '@modelcontextprotocol/inspector/clients/launcher/build/index.js')
  const headers = Object.entries(to.headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`])
  const run = async (words: string[]) => JSON.parse(await runToEnd([entry, '--cli', to.url, '--transport', 'http', '--protocol-era', era, ...headers, ...words], around)) as Record<string, unknown>
  return {
    listTools: async () => toolNames(await run(['--method', 'tools/list'])),
    callTool: async (name, args) => answerOf(await run(['--method', 'tools/call', '--tool-name', name, ...Object.entries(args).flatMap(([key, value]) => ['--tool-arg', `${key}=${value}`])])),
    close: async () => {},
  }
}

/** One process a request, with a configuration file. */
async function mcporter(to: Endpoint, around: Surroundings): Promise<MatrixClient> {
  const entry = programFile(around.programs, 'mcporter/dist/cli.js')
  const config = join(around.scratch, 'mcporter.json')
  writeFileSync(config, JSON.stringify({ mcpServers: { here: { baseUrl: to.url, headers: to.headers } } }))
  const run = (words: string[]) => runToEnd([entry, '--config', config, ...words], around)
  return {
    listTools: async () => toolNames(JSON.parse(await run(['list', 'here', '--json'])) as Record<string, unknown>),
    // It prints texts, and tells no failed call from another.
    callTool: async (name, args) => ({ content: [{ type: 'text', text: (await run(['call', `here.${name}`, '--args', JSON.stringify(args), '--output', 'text'])).replace(/\n$/, '') }], isError: false }),
    close: async () => {},
  }
}

async function mcpRemote(to: Endpoint, around: Surroundings): Promise<MatrixClient> {
  const entry = fileURLToPath(import.meta.resolve('mcp-remote/dist/proxy.js'))
  const headers = Object.entries(to.headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`])
  const args = [entry, to.url, '--allow-http', '--transport', 'http-only', ...headers]
  return sdk1(new StdioClientTransport({ command: process.execPath, args, env: freshEnvironment(around.scratch), cwd: around.scratch, stderr: 'ignore' }))
}

interface AiSdkClient {
  listTools(): Promise<{ tools: { name: string }[] }>
  callTool(call: { name: string; arguments: Record<string, string> }): Promise<Record<string, unknown>>
  close(): Promise<void>
}

async function aiSdk(to: Endpoint, around: Surroundings): Promise<MatrixClient> {
  const { createMCPClient } = (await import(programFile(around.programs, '@ai-sdk/mcp/dist/index.js'))) as { createMCPClient(facts: object): Promise<AiSdkClient> }
  const client = await createMCPClient({ transport: { type: 'http', url: to.url, headers: to.headers } })
  return {
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: async (name, args) => answerOf(await client.callTool({ name, arguments: args })),
    close: () => client.close(),
  }
}

/** What it printed. An exit code alone says little: a call that fails in the server's eyes has one of its own. */
async function runToEnd(words: string[], { scratch }: Surroundings): Promise<string> {
  const { exitCode, out, said } = await runProgram([process.execPath, ...words], { cwd: scratch, env: freshEnvironment(scratch) })
  if (out.trim() === '') throw new Error(`ended with ${exitCode}: ${said}`)
  return out
}

function toolNames(listed: Record<string, unknown>): string[] {
  return (listed.tools as { name: string }[]).map(({ name }) => name)
}
