// Other MCP proxies of the npm registry, installed into a temporary folder for the time of the bench. None is a dependency.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CALL_BODY } from './contestants.ts'
import type { Contestant } from './contestants.ts'
import { freePort, startProgram } from './processes.ts'
import type { Running } from './processes.ts'

const INSTALL_MS = 60_000

export interface Peer {
  name: string
  version: string
  start(folder: string, upstream: Running): Promise<Contestant>
}

export const PEERS: Peer[] = [
  // Passes every message through the SDK's server and client; no policy, no record.
  { name: '@civic/passthrough-mcp-server', version: '0.12.1', start: startPassthrough },
  // Keeps one client per server and takes calls over its own REST path; no policy, no record.
  { name: 'mcp-hub', version: '4.2.1', start: startHub },
]

/** Throws where the package cannot be had in reasonable time: the caller shows the reason. */
export async function startPeer(peer: Peer, root: string, upstream: Running): Promise<Contestant> {
  const folder = join(root, peer.name.replaceAll('/', '-'))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"private":true}')
  if (Bun.which('npm') === null) throw new Error('npm is not installed')
  const child = Bun.spawn(['npm', 'install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', `${peer.name}@${peer.version}`], { cwd: folder, stdout: 'ignore', stderr: 'ignore' })
  const killer = setTimeout(() => child.kill(), INSTALL_MS)
  const exitCode = await child.exited
  clearTimeout(killer)
  if (exitCode !== 0) throw new Error('npm could not install it')
  return peer.start(folder, upstream)
}

async function startPassthrough(folder: string, upstream: Running): Promise<Contestant> {
  const port = await freePort()
  const running = await startProgram([node(), join(folder, 'node_modules/@civic/passthrough-mcp-server/dist/cli.js')], {
    port, cwd: folder, env: { PORT: String(port), TARGET_SERVER_URL: `http://127.0.0.1:${upstream.port}/mcp`, TARGET_SERVER_TRANSPORT: 'httpStream', LOG_LEVEL: 'error', NODE_ENV: 'production' },
  })
  const session = await initialize(`http://127.0.0.1:${port}/mcp`)
  return { ...running, name: 'civic passthrough', load: { path: '/mcp', headers: { 'mcp-protocol-version': '2025-06-18', ...session }, keys: [], body: CALL_BODY } }
}

async function startHub(folder: string, upstream: Running): Promise<Contestant> {
  const port = await freePort()
  writeFileSync(join(folder, 'servers.json'), JSON.stringify({ mcpServers: { bench: { url: `http://127.0.0.1:${upstream.port}/mcp` } } }))
  const running = await startProgram([node(), join(folder, 'node_modules/mcp-hub/dist/cli.js'), '--port', String(port), '--config', join(folder, 'servers.json')], { port, cwd: folder, env: { HOME: folder, XDG_CONFIG_HOME: folder, XDG_STATE_HOME: folder, XDG_DATA_HOME: folder } })
  const { params } = JSON.parse(CALL_BODY) as { params: { name: string; arguments: unknown } }
  const body = JSON.stringify({ server_name: 'bench', tool: params.name, arguments: params.arguments })
  const contestant: Contestant = { ...running, name: 'mcp-hub', load: { path: '/api/servers/tools', headers: {}, keys: [], body } }
  for (let tries = 0; tries < 50; tries++) {
    const answer = await fetch(`http://127.0.0.1:${port}/api/servers/tools`, { method: 'POST', headers: { 'content-type': 'application/json' }, body }).catch(() => null)
    await answer?.arrayBuffer()
    if (answer?.ok === true) return contestant
    await Bun.sleep(200)
  }
  await running.stop()
  throw new Error('it never answered a call')
}

function node(): string {
  const found = Bun.which('node')
  if (found === null) throw new Error('it needs Node')
  return found
}

async function initialize(url: string): Promise<Record<string, string>> {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '1' } } })
  const answer = await fetch(url, { method: 'POST', headers, body })
  await answer.text()
  const id = answer.headers.get('mcp-session-id')
  const session: Record<string, string> = id === null ? {} : { 'mcp-session-id': id }
  await (await fetch(url, { method: 'POST', headers: { ...headers, ...session }, body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }) })).text()
  return session
}
