/** Where an agent reaches a connection, and with which key. */
export interface Endpoint {
  /** `http://127.0.0.1:3100/v1/mcp/demo` */
  url: string
  key: string
  /** The name under which the client lists it. */
  name: string
}

/** What to paste where, for one client. */
export interface ClientSnippet {
  id: string
  client: string
  /** File or place that takes it. */
  where: string
  language: 'sh' | 'json' | 'toml' | 'python' | 'typescript'
  text: string
}

/** Stands where nobody knows the key any more: it is shown once, when it is made. */
export const KEY_PLACEHOLDER = 'ig_YOUR_KEY'

// Many clients read a 403 as "log in again"; with this header they get the reason as the tool's result.
const DENIALS = { 'X-Igris-Denials': 'result' }
const PROTOCOL_VERSION = '2025-11-25'

/** A line that calls a tool when pasted into a POSIX shell. */
export function curlLine({ url, key }: Endpoint, call: { tool: string; args: Record<string, unknown> }): string {
  const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: call.tool, arguments: call.args } }
  return [
    `curl -sS ${quoted(url)}`,
    `-H ${quoted(`Authorization: Bearer ${key}`)}`,
    `-H ${quoted('Content-Type: application/json')}`,
    `-H ${quoted('Accept: application/json, text/event-stream')}`,
    `-d ${quoted(JSON.stringify(message))}`,
  ].join(' ')
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** What to paste into which client. Each text is complete and valid as it is; files that exist already take its one entry. */
export function clientSnippets(endpoint: Endpoint): ClientSnippet[] {
  const { url, key, name } = endpoint
  const headers = { Authorization: `Bearer ${key}`, ...DENIALS }
  return [
    { id: 'claude-code', client: 'Claude Code', where: 'in a terminal', language: 'sh', text: claudeCode(endpoint, headers) },
    { id: 'cursor', client: 'Cursor', where: '.cursor/mcp.json', language: 'json', text: json({ mcpServers: { [name]: { url, headers } } }) },
    { id: 'vs-code', client: 'VS Code', where: '.vscode/mcp.json', language: 'json', text: json({ servers: { [name]: { type: 'http', url, headers } } }) },
    {
      id: 'opencode', client: 'OpenCode', where: 'opencode.json, version 2', language: 'json',
      // Without this it tries to sign in before it ever sends the header.
      text: json({ $schema: 'https://opencode.ai/config.json', mcp: { servers: { [name]: { type: 'remote', url, oauth: false, headers } } } }),
    },
    {
      id: 'opencode-1', client: 'OpenCode 1', where: 'opencode.json, version 1', language: 'json',
      text: json({ $schema: 'https://opencode.ai/config.json', mcp: { [name]: { type: 'remote', url, enabled: true, oauth: false, headers } } }),
    },
    { id: 'codex', client: 'Codex', where: '~/.codex/config.toml', language: 'toml', text: codex(endpoint, headers) },
    // There, `url` alone would mean the older HTTP+SSE transport.
    { id: 'gemini-cli', client: 'Gemini CLI', where: '~/.gemini/settings.json', language: 'json', text: json({ mcpServers: { [name]: { httpUrl: url, headers } } }) },
    { id: 'python', client: 'Python SDK', where: 'pip install "mcp>=2"', language: 'python', text: python(endpoint, headers) },
    { id: 'typescript', client: 'TypeScript SDK', where: 'npm install @modelcontextprotocol/sdk', language: 'typescript', text: typescript(endpoint, headers) },
    { id: 'curl', client: 'curl', where: 'in a terminal', language: 'sh', text: curlSession(endpoint) },
    {
      id: 'mcp-remote', client: 'Clients that only start programs', where: 'through mcp-remote', language: 'json',
      // The header's value stands in the environment: some clients split arguments at spaces, and others can read arguments.
      text: json({
        mcpServers: {
          [name]: {
            command: 'npx',
            args: ['-y', 'mcp-remote', url, '--header', 'Authorization:${IGRIS_AUTHORIZATION}', '--header', 'X-Igris-Denials:result'],
            env: { IGRIS_AUTHORIZATION: `Bearer ${key}` },
          },
        },
      }),
    },
  ]
}

/** The text on one line, where its language allows it: for terminals. */
export function onOneLine({ language, text }: ClientSnippet): string {
  return language === 'json' ? JSON.stringify(JSON.parse(text)) : text.replaceAll(' \\\n  ', ' ')
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2)
}

function claudeCode({ url, name }: Endpoint, headers: Record<string, string>): string {
  return [`claude mcp add --transport http ${name} ${quoted(url)}`, ...Object.entries(headers).map(([header, value]) => `--header ${quoted(`${header}: ${value}`)}`)].join(' \\\n  ')
}

function codex({ url, name }: Endpoint, headers: Record<string, string>): string {
  const pairs = Object.entries(headers).map(([header, value]) => `${JSON.stringify(header)} = ${JSON.stringify(value)}`)
  return `[mcp_servers.${JSON.stringify(name)}]\nurl = ${JSON.stringify(url)}\nhttp_headers = { ${pairs.join(', ')} }`
}

function python({ url }: Endpoint, headers: Record<string, string>): string {
  return `import asyncio

import httpx2
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

URL = ${JSON.stringify(url)}
HEADERS = {
${Object.entries(headers).map(([header, value]) => `    ${JSON.stringify(header)}: ${JSON.stringify(value)},`).join('\n')}
}


async def main() -> None:
    timeout = httpx2.Timeout(30, read=300)
    async with httpx2.AsyncClient(headers=HEADERS, timeout=timeout) as http:
        async with streamable_http_client(URL, http_client=http) as (read, write):
            async with ClientSession(read, write) as session:
                await session.initialize()
                found = await session.list_tools()
                print([tool.name for tool in found.tools])


asyncio.run(main())`
}

function typescript({ url }: Endpoint, headers: Record<string, string>): string {
  return `import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js"

const client = new Client({ name: "my-agent", version: "1.0.0" })
await client.connect(
  new StreamableHTTPClientTransport(new URL(${JSON.stringify(url)}), {
    requestInit: {
      headers: {
${Object.entries(headers).map(([header, value]) => `        ${JSON.stringify(header)}: ${JSON.stringify(value)},`).join('\n')}
      },
    },
  }),
)
const { tools } = await client.listTools()
console.log(tools.map(({ name }) => name))
await client.close()`
}

/** Says hello, keeps the session that the server may open, and lists the tools. */
function curlSession({ url, key }: Endpoint): string {
  const hello = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: PROTOCOL_VERSION, capabilities: {}, clientInfo: { name: 'curl', version: '1' } } }
  const ready = { jsonrpc: '2.0', method: 'notifications/initialized' }
  const list = { jsonrpc: '2.0', id: 2, method: 'tools/list' }
  const body = (message: object) => `-d ${quoted(JSON.stringify(message))}`
  return [
    `igris() { curl -sS ${quoted(url)} \\`,
    `  -H ${quoted(`Authorization: Bearer ${key}`)} \\`,
    `  -H ${quoted('Content-Type: application/json')} \\`,
    `  -H ${quoted('Accept: application/json, text/event-stream')} \\`,
    `  -H "Mcp-Session-Id: $session" "$@"; }`,
    'session=',
    `session=$(igris -o /dev/null -D - ${body(hello)} | tr -d '\\r' | sed -n 's/^[Mm]cp-[Ss]ession-[Ii]d: //p')`,
    `igris ${body(ready)}`,
    `igris ${body(list)}`,
  ].join('\n')
}
