import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Load } from './load.ts'
import { freePort, startProgram, stopProcess } from './processes.ts'
import type { Running } from './processes.ts'

/** Something that a call can go through, running. */
export interface Contestant extends Running {
  name: string
  load: Pick<Load, 'path' | 'headers' | 'keys' | 'body'>
}

export const CALL_BODY = JSON.stringify({
  jsonrpc: '2.0', id: 4711, method: 'tools/call',
  params: { name: 'search_code', arguments: { query: 'handle every refusal as a value, never as an exception', repository: 'acme/site', limit: 20 } },
})
/** What an agent's runtime sends along: the record keeps it. */
const IGRIS_HEADERS = { 'x-igris-user': 'ann@example.com', 'x-igris-metadata': '{"environment":"production","team":"search"}', 'mcp-protocol-version': '2025-06-18' }
const PLAIN_HEADERS = { 'mcp-protocol-version': '2025-06-18' }

const here = import.meta.dir
const plain = (path: string): Contestant['load'] => ({ path, headers: PLAIN_HEADERS, keys: [], body: CALL_BODY })

export async function startUpstream(): Promise<Running> {
  const port = await freePort()
  return startProgram([process.execPath, join(here, 'upstream.ts'), String(port)], { port })
}

export function direct(upstream: Running, path = '/mcp'): Contestant {
  return { ...upstream, name: 'direct', load: plain(path), stop: async () => {} }
}

export async function startPlainProxy(upstream: Running, path = '/mcp'): Promise<Contestant> {
  const port = await freePort()
  const running = await startProgram([process.execPath, join(here, 'plain-proxy.ts'), String(port), String(upstream.port)], { port, env: { BUN_CONFIG_MAX_HTTP_REQUESTS: '65000' } })
  return { ...running, name: 'bun proxy', load: plain(path) }
}

export async function startNginx(upstream: Running, folder: string): Promise<Contestant> {
  const binary = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/sbin/nginx'].find(existsSync)
  if (binary === undefined) throw new Error('not installed (Debian: nginx-light)')
  const port = await freePort()
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'nginx.conf'), `
daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log /dev/null;
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  keepalive_requests 100000000;
  upstream mcp { server 127.0.0.1:${upstream.port}; keepalive 64; keepalive_requests 100000000; }
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://mcp; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } }
}`)
  const running = await startProgram([binary, '-p', folder, '-c', join(folder, 'nginx.conf')], { port })
  return { ...running, name: 'nginx', load: plain('/mcp') }
}

/** The executable with everything on: key, policies, record with arguments, anomalies. */
export async function startIgris(binary: string, folder: string, options: { name: string; keys: string[]; slug?: string }): Promise<Contestant> {
  const port = await freePort()
  const command = binary.endsWith('.ts') ? [process.execPath, binary] : [binary]
  const running = await startProgram([...command, 'serve', '--data', folder, '--port', String(port), '--log-level', 'warn'], { port, cwd: folder, withinMs: 60_000 })
  return { ...running, name: options.name, load: { path: `/v1/mcp/${options.slug ?? 'bench'}`, headers: IGRIS_HEADERS, keys: options.keys, body: CALL_BODY } }
}

/** How long until the first call was answered, process start included. */
export async function msToFirstAnswer(binary: string, folder: string, key: string): Promise<{ ms: number; running: Running }> {
  const port = await freePort()
  const startedAt = performance.now()
  const child = Bun.spawn([binary, 'serve', '--data', folder, '--port', String(port), '--log-level', 'error'], { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore', cwd: folder })
  const running: Running = { pid: child.pid, port, stop: () => stopProcess(child) }
  const headers = { ...IGRIS_HEADERS, authorization: `Bearer ${key}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  while (performance.now() - startedAt < 60_000) {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/mcp/bench`, { method: 'POST', headers, body: CALL_BODY }).catch(() => null)
    if (answer !== null) {
      const text = await answer.text()
      if (!answer.ok) throw new Error(`the first call was refused: ${text.slice(0, 200)}`)
      return { ms: performance.now() - startedAt, running }
    }
    await Bun.sleep(1)
  }
  await running.stop()
  throw new Error('no answer within a minute')
}
