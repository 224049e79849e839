// A client for the suite's client scenarios, which its servers judge by what arrives at them:
//   bun judged-client.ts [GATEWAY FULL_KEY KEY] ADDRESS
// Does what the scenario (in the environment) wants seen, straight at the address or through the gateway, and ends.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { z } from 'zod'

const Context = z.object({ toolCalls: z.array(z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()) })).optional() })

const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? ''
const version = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION ?? ''
const context = Context.parse(JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}'))

const client = new Client({ name: 'judged-client', version: '1.0.0' }, {
  capabilities: { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} },
  versionNegotiation: { mode: version >= '2026-07-28' ? { pin: version } : 'legacy' },
})
const answers: Record<string, string | boolean> = scenario.includes('defaults') ? {} : { confirmed: true, name: 'somebody', ok: true }
client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: answers }))
client.setRequestHandler('sampling/createMessage', () => ({ role: 'assistant', model: 'none', content: { type: 'text', text: 'something' } }))
client.setRequestHandler('roots/list', () => ({ roots: [] }))

const { url, headers } = await endpoint(process.argv.slice(2))
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }))
const { tools } = await client.listTools()
const capabilities = client.getServerCapabilities()
if (capabilities?.resources !== undefined) {
  const { resources } = await client.listResources()
  for (const { uri } of resources) await client.readResource({ uri })
}
if (capabilities?.prompts !== undefined) {
  const { prompts } = await client.listPrompts()
  for (const { name } of prompts) await client.getPrompt({ name })
}
for (const call of context.toolCalls ?? tools.map(({ name, inputSchema }) => ({ name, arguments: argumentsFor(inputSchema) }))) {
  // Some scenarios answer with what no client may take; they judge what it does then.
  await client.callTool(call).catch((error: unknown) => console.error(call.name, String(error)))
}
await client.close()

async function endpoint(words: string[]): Promise<{ url: string; headers: Record<string, string> }> {
  const address = words.at(-1) ?? ''
  if (words.length === 1) return { url: address, headers: {} }
  const [gateway = '', fullKey = '', key = ''] = words
  const slug = `judged-${process.pid}`
  const made = await fetch(`${gateway}/api/v1/connections`, {
    method: 'POST',
    headers: { authorization: `Bearer ${fullKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ slug, upstreamUrl: address, authType: 'none' }),
  })
  if (!made.ok) throw new Error(`no connection to ${address}: ${made.status} ${await made.text()}`)
  return { url: `${gateway}/v1/mcp/${slug}`, headers: { authorization: `Bearer ${key}` } }
}

/** Something of the right type for every argument that a tool names; for one called `schema`, the schema of another tool as it arrived here. */
function argumentsFor(schema: { properties?: Record<string, unknown> }): Record<string, unknown> {
  const samples: Record<string, unknown> = { string: 'text', number: 5, integer: 5, boolean: true, array: [], object: {} }
  const other = tools.find(({ inputSchema }) => inputSchema !== schema)?.inputSchema
  return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, property]) => [name, name === 'schema' ? other : samples[String((property as { type?: unknown }).type)]]))
}
