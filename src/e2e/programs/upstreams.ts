import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startEverythingServer } from '../everything-server.ts'
import { freshEnvironment, PATIENCE_MS, startProgram } from '../program.ts'
import { programFile } from './installed.ts'

/** What a server is asked for in each cell. The denied call would leave a trace in `folder` if it were carried out, where that can be. */
export interface Probe {
  call: { name: string; args: Record<string, string> }
  denied: { name: string; args: Record<string, string> }
}

type Place = { transport: 'http' | 'sse'; url: string } | { transport: 'stdio'; command: string; args: string[]; env: Record<string, string> }

export interface MatrixUpstream {
  slug: string
  /** As the documents call it. */
  title: string
  place: Place
  probe: Probe
}

export interface Upstreams {
  all: MatrixUpstream[]
  /** What no denied call may have made. */
  forbidden: string
  /** What no denied call may have changed. */
  memoryFile: string
  stop(): Promise<void>
}

/** The connections of the matrix, known before anything runs. */
export const UPSTREAM_SLUGS = ['everything-http', 'everything-sse', 'everything-stdio', 'filesystem-stdio', 'memory-stdio', 'mcp-proxy-http', 'mcp-proxy-sse', 'supergateway-http', 'supergateway-sse']

/** Ada, as server-memory keeps her. */
export const MEMORY = `${JSON.stringify({ type: 'entity', name: 'Ada', entityType: 'person', observations: ['wrote the first program'] })}\n`

/** Starts all servers of the matrix: nine ways to three programs. */
export async function startUpstreams(programs: string, folder: string): Promise<Upstreams> {
  const files = join(folder, 'files')
  mkdirSync(files)
  writeFileSync(join(files, 'hello.txt'), 'hello from a file\n')
  const memoryFile = join(folder, 'memory.jsonl')
  writeFileSync(memoryFile, MEMORY)
  const forbidden = join(files, 'forbidden.txt')
  const bun = process.execPath
  const entry = (name: string) => fileURLToPath(import.meta.resolve(`@modelcontextprotocol/${name}/dist/index.js`))
  const filesystem = [entry('server-filesystem'), files]
  const memory = [programFile(programs, '@modelcontextprotocol/server-memory/dist/index.js')]
  const memoryEnv = { MEMORY_FILE_PATH: memoryFile }
  const ECHO: Probe = { call: { name: 'echo', args: { message: 'hello' } }, denied: { name: 'get-env', args: {} } }
  const FILES: Probe = { call: { name: 'read_text_file', args: { path: join(files, 'hello.txt') } }, denied: { name: 'write_file', args: { path: forbidden, content: 'x' } } }
  const GRAPH: Probe = { call: { name: 'search_nodes', args: { query: 'Ada' } }, denied: { name: 'read_graph', args: {} } }

  const started: { stop(): Promise<unknown> }[] = []
  async function serve(file: string, words: string[], env: Record<string, string> = {}): Promise<string> {
    const program = startProgram([bun, '--preload', join(import.meta.dir, '..', 'loopback.mjs'), programFile(programs, file), ...words], {
      cwd: folder,
      env: { ...freshEnvironment(folder), ...env },
      // One of them ends when nobody holds its stdin.
      stdin: 'pipe',
    })
    started.push(program)
    const [, port] = await program.line(/^loopback port (\d+)$/m)
    return `http://127.0.0.1:${port}`
  }
  async function everything(transport: 'streamableHttp' | 'sse'): Promise<string> {
    const server = await startEverythingServer(folder, transport)
    started.push(server)
    return server.url
  }
  const [newer, older, proxy, streamable, sse] = await Promise.all([
    everything('streamableHttp'),
    everything('sse'),
    serve('mcp-proxy/dist/bin/mcp-proxy.mjs', ['--host', '127.0.0.1', '--port', '0', '--', bun, ...filesystem]),
    serve('supergateway/dist/index.js', ['--stdio', [bun, ...filesystem].join(' '), '--outputTransport', 'streamableHttp', '--stateful', '--port', '0']),
    serve('supergateway/dist/index.js', ['--stdio', [bun, ...memory].join(' '), '--outputTransport', 'sse', '--port', '0'], memoryEnv),
  ])
  const http = (url: string): Place => ({ transport: 'http', url })
  const old = (url: string): Place => ({ transport: 'sse', url })
  const stdio = (args: string[], env: Record<string, string> = {}): Place => ({ transport: 'stdio', command: bun, args, env })
  return {
    all: [
      { slug: 'everything-http', title: 'everything, HTTP', place: http(newer), probe: ECHO },
      { slug: 'everything-sse', title: 'everything, HTTP+SSE', place: old(older), probe: ECHO },
      { slug: 'everything-stdio', title: 'everything, stdio', place: stdio([entry('server-everything'), 'stdio']), probe: ECHO },
      { slug: 'filesystem-stdio', title: 'filesystem, stdio', place: stdio(filesystem), probe: FILES },
      { slug: 'memory-stdio', title: 'memory, stdio', place: stdio(memory, memoryEnv), probe: GRAPH },
      { slug: 'mcp-proxy-http', title: 'mcp-proxy, HTTP', place: http(`${proxy}/mcp`), probe: FILES },
      { slug: 'mcp-proxy-sse', title: 'mcp-proxy, HTTP+SSE', place: old(`${proxy}/sse`), probe: FILES },
      { slug: 'supergateway-http', title: 'supergateway, HTTP', place: http(`${streamable}/mcp`), probe: FILES },
      { slug: 'supergateway-sse', title: 'supergateway, HTTP+SSE', place: old(`${sse}/sse`), probe: GRAPH },
    ],
    forbidden,
    memoryFile,
    async stop() {
      await Promise.all(started.map((program) => program.stop()))
    },
  }
}

export interface DirectAnswers {
  tools: string[]
  content: unknown
}

/** What a server answers to whom nothing stands between. What it lists can depend on what its client offers. */
export async function askDirectly({ place, probe }: MatrixUpstream, offers: Record<string, object>, folder: string): Promise<DirectAnswers> {
  const client = new Client({ name: 'igris-e2e', version: '1.0.0' }, { capabilities: offers })
  const options = { timeout: PATIENCE_MS }
  await client.connect(transportTo(place, folder), options)
  try {
    const { tools } = await client.listTools(undefined, options)
    const { content } = await client.callTool({ name: probe.call.name, arguments: probe.call.args }, undefined, options)
    return { tools: tools.map(({ name }) => name), content }
  } finally {
    await client.close()
  }
}

function transportTo(place: Place, folder: string) {
  if (place.transport === 'stdio') return new StdioClientTransport({ ...place, env: { ...freshEnvironment(folder), ...place.env }, cwd: folder, stderr: 'ignore' })
  return place.transport === 'sse' ? new SSEClientTransport(new URL(place.url)) : new StreamableHTTPClientTransport(new URL(place.url))
}
