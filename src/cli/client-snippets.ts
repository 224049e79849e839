/** Where an agent reaches a connection, and with which key. */
export interface Endpoint {
  /** `http://127.0.0.1:3100/v1/mcp/demo` */
  url: string
  key: string
  /** The name under which the client lists it. */
  name: string
}

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

// Many clients read a 403 as "log in again"; with this header they get the reason as the tool's result.
const DENIALS = { 'X-Igris-Denials': 'result' }

/** What to paste into which client. */
export function clientSnippets({ url, key, name }: Endpoint): { client: string; where: string; text: string }[] {
  const headers = { Authorization: `Bearer ${key}`, ...DENIALS }
  return [
    {
      client: 'Claude Code',
      where: 'in a terminal',
      text: `claude mcp add --transport http ${name} ${quoted(url)} ${Object.entries(headers).map(([header, value]) => `--header ${quoted(`${header}: ${value}`)}`).join(' ')}`,
    },
    { client: 'Cursor', where: '.cursor/mcp.json', text: JSON.stringify({ mcpServers: { [name]: { url, headers } } }) },
    { client: 'VS Code', where: '.vscode/mcp.json', text: JSON.stringify({ servers: { [name]: { type: 'http', url, headers } } }) },
    {
      client: 'Clients that only start programs',
      where: 'through mcp-remote',
      // The header's value stands in the environment: some clients split arguments at spaces, and others can read arguments.
      text: JSON.stringify({
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
