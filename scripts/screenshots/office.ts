/* A small office for the pictures: three MCP servers, the agents that call them, the policies over them. The calls are real, the servers are made up. */

export interface OfficeServer {
  slug: string
  name: string
  url: string
  credential: string
  /** From now on one of its tools says something else of itself. */
  changeTool(name: string, description: string): void
  stop(): Promise<void>
}

interface Tool {
  name: string
  description: string
}

const SERVERS: { slug: string; name: string; tookMs: number; tools: Record<string, string> }[] = [
  {
    slug: 'github', name: 'GitHub', tookMs: 38,
    tools: {
      search_code: 'Search code across repositories', get_issue: 'Read an issue with its comments', list_pull_requests: 'List pull requests of a repository',
      create_issue: 'Open an issue', merge_pull_request: 'Merge a pull request', delete_branch: 'Delete a branch',
    },
  },
  {
    slug: 'warehouse-db', name: 'Warehouse database', tookMs: 12,
    tools: { query: 'Run a read-only SQL query', describe_table: 'Columns and keys of a table', list_tables: 'List tables', update_stock: 'Set the stock of an article', drop_table: 'Drop a table' },
  },
  {
    slug: 'support-desk', name: 'Support desk', tookMs: 61,
    tools: { search_tickets: 'Find tickets', get_ticket: 'Read a ticket', reply_to_ticket: 'Answer the customer', refund_order: 'Refund an order', delete_customer: 'Delete a customer' },
  },
]

export const POLICIES = [
  { name: 'no-destruction', connection: null, rules: [
    { tool: 'delete_*', action: 'deny', reason: 'deleting is for people' },
    { tool: 'drop_*', action: 'deny', reason: 'deleting is for people' },
  ] },
  { name: 'github-guard', connection: 'github', description: 'Merging needs a person in the loop.', rules: [
    { tool: 'merge_pull_request', action: 'deny', conditions: { 'metadata.environment': 'production' }, reason: 'merges to production go through review' },
    { tool: 'search_*', action: 'allow', rateLimit: { max: 600, windowSeconds: 60, per: 'key' } },
    { tool: 'create_issue', action: 'alert' },
    { tool: '*', action: 'allow' },
  ] },
  { name: 'warehouse-readers', connection: 'warehouse-db', rules: [
    { tool: 'update_stock', action: 'deny', conditions: { 'args.quantity': { $gt: 1000 } }, reason: 'large corrections are counted by hand first' },
    { tool: '*', action: 'allow' },
  ] },
  { name: 'support-limits', connection: 'support-desk', rules: [
    { tool: 'refund_order', action: 'allow', when: 'args.amount <= 100.0', rateLimit: { max: 20, windowSeconds: 3600, per: 'user' } },
    { tool: 'refund_order', action: 'deny', reason: 'refunds above 100 need a person' },
    { tool: '*', action: 'allow' },
  ] },
]

export interface Call {
  agent: string
  slug: string
  user: string
  tool: string
  args: Record<string, unknown>
  metadata: Record<string, string>
}

/** Of each agent: where it works, for whom, and which tools it calls, the first ones more often. */
const AGENTS: { label: string; slug: string; users: string[]; tools: [string, (n: number) => Record<string, unknown>][] }[] = [
  { label: 'claude-code-ci', slug: 'github', users: ['grace@example.com', 'linus@example.com'], tools: [
    ['search_code', (n) => ({ q: `handler${n % 9} language:ts` })], ['get_issue', (n) => ({ repo: 'acme/shop', number: 400 + (n % 60) })], ['list_pull_requests', () => ({ repo: 'acme/shop' })],
    ['create_issue', (n) => ({ repo: 'acme/shop', title: `Flaky test ${n}` })], ['merge_pull_request', (n) => ({ repo: 'acme/shop', number: n })], ['delete_branch', (n) => ({ repo: 'acme/shop', branch: `old-${n}` })],
  ] },
  { label: 'cursor-backend', slug: 'warehouse-db', users: ['ada@example.com'], tools: [
    ['query', (n) => ({ sql: `select * from orders where id = ${n}` })], ['describe_table', () => ({ table: 'orders' })], ['list_tables', () => ({})],
    ['update_stock', (n) => ({ sku: 'LAMP-H', quantity: n % 4 === 0 ? 5000 : n % 90 })], ['drop_table', () => ({ table: 'orders_old' })],
  ] },
  { label: 'support-bot', slug: 'support-desk', users: ['jun@example.com', 'mira@example.com', 'sam@example.com'], tools: [
    ['search_tickets', (n) => ({ status: 'open', page: n % 5 })], ['get_ticket', (n) => ({ id: `T-${1000 + n}` })], ['reply_to_ticket', (n) => ({ id: `T-${1000 + n}`, text: 'It is on its way.' })],
    ['refund_order', (n) => ({ order: `A-${1000 + n}`, amount: n % 3 === 0 ? 250 : 30 })], ['delete_customer', (n) => ({ id: `C-${n % 30}` })],
  ] },
  { label: 'nightly-report', slug: 'warehouse-db', users: ['ops@example.com'], tools: [['query', (n) => ({ sql: `select sum(total) from orders where day = ${n % 31}` })], ['list_tables', () => ({})]] },
]

export const AGENT_LABELS = AGENTS.map(({ label }) => label)
export const connectionOf = (label: string): string => AGENTS.find((agent) => agent.label === label)?.slug ?? ''

/** The n-th call of the day. Always the same, so that two runs show the same picture. */
export function callOfDay(n: number): Call {
  const spread = Math.abs(Math.sin(n * 12.9898) * 43_758.5453) % 1
  const agent = AGENTS[[0, 1, 2, 0, 1, 0, 2, 3][n % 8] ?? 0] ?? AGENTS[0]
  if (agent === undefined) throw new Error('nobody works here')
  const [tool, args] = agent.tools[Math.floor(spread ** 4 * agent.tools.length)] ?? ['', () => ({})]
  return { agent: agent.label, slug: agent.slug, user: agent.users[n % agent.users.length] ?? '', tool, args: args(n), metadata: { environment: n % 3 === 0 ? 'production' : 'staging' } }
}

export function openOffice(): OfficeServer[] {
  return SERVERS.map(({ slug, name, tookMs, tools }) => {
    const listed: Tool[] = Object.entries(tools).map(([tool, description]) => ({ name: tool, description }))
    const credential = `office-${slug}`
    let calls = 0
    const server = Bun.serve({
      hostname: '127.0.0.1', port: 0, idleTimeout: 0,
      fetch: async (request) => {
        if (request.headers.get('authorization') !== `Bearer ${credential}`) return new Response('Unauthorized', { status: 401 })
        if (request.method !== 'POST') return new Response('Method not allowed', { status: 405, headers: { allow: 'POST' } })
        const { id, method } = (await request.json()) as { id?: unknown; method: string }
        if (id === undefined) return new Response(null, { status: 202 })
        if (method === 'tools/call') {
          calls++
          await Bun.sleep(tookMs * (0.4 + (calls * 37 % 100) / 80 + (calls % 90 === 0 ? 6 : 0)))
          if (calls % 71 === 0) return new Response('Bad gateway', { status: 502 })
        }
        return Response.json({ jsonrpc: '2.0', id, result: resultOf(method, { name, isTired: calls % 47 === 0, listed }) })
      },
    })
    return {
      slug, name, credential, url: `http://127.0.0.1:${server.port}/mcp`,
      changeTool(tool, description) {
        for (const each of listed) if (each.name === tool) each.description = description
      },
      stop: () => server.stop(true),
    }
  })
}

function resultOf(method: string, { name, isTired, listed }: { name: string; isTired: boolean; listed: Tool[] }): object {
  if (method === 'initialize') return { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name, version: '3.2.0' } }
  if (method === 'tools/list') return { tools: listed.map((tool) => ({ ...tool, inputSchema: { type: 'object' } })) }
  if (method === 'tools/call') return isTired ? { isError: true, content: [{ type: 'text', text: 'try again later' }] } : { content: [{ type: 'text', text: 'done' }] }
  return {}
}
