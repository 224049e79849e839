import { rawUpstream, type RawUpstream, type Received, type Reply, type Script } from './raw-upstream.ts'

/** An MCP server of the session eras that loses its sessions when a test says so. */
export interface ForgetfulUpstream extends RawUpstream {
  sessions: Set<string>
  /** Names of the tools that were carried out, in order. */
  executed: string[]
  initialized: Received[]
  /** How it answers within a session that it does not know; 404 unless set. */
  unknown: Script
  /** What it negotiates from now on. */
  hello: { protocolVersion: string; capabilities: object }
  /** Answers before all else where it returns true. */
  before: (request: Received, reply: Reply) => boolean
  forget(): void
}

export async function forgetfulUpstream(): Promise<ForgetfulUpstream> {
  const sessions = new Set<string>()
  let made = 0
  const upstream: ForgetfulUpstream = Object.assign(await rawUpstream(), {
    sessions,
    executed: [] as string[],
    initialized: [] as Received[],
    unknown: sessionNotFound,
    hello: { protocolVersion: '2025-11-25', capabilities: { tools: {}, resources: { subscribe: true }, logging: {} } },
    before: () => false,
    forget: () => sessions.clear(),
  })
  upstream.script = (request, reply) => {
    if (upstream.before(request, reply)) return
    const { method, message } = request
    if (message.method === 'initialize') {
      const id = `up-${++made}`
      sessions.add(id)
      upstream.initialized.push(request)
      return reply.result({ ...upstream.hello, serverInfo: { name: 'forgetful', version: '1' } }, { 'mcp-session-id': id })
    }
    const id = request.header('mcp-session-id')
    if (id === null || !sessions.has(id)) return upstream.unknown(request, reply)
    if (method === 'DELETE') {
      sessions.delete(id)
      return reply.answer(200, {})
    }
    if (method === 'GET') return reply.answer(200, { 'content-type': 'text/event-stream' }, ': hello\n\n')
    if (message.id === undefined || message.method === undefined) return reply.answer(202, {})
    if (message.method === 'tools/call') upstream.executed.push(String(message.params?.name))
    return reply.result(message.method === 'tools/call' ? { content: [{ type: 'text', text: id }] } : {})
  }
  return upstream
}

export const sessionNotFound: Script = ({ message }, reply) => said(reply, 404, { id: null, code: -32001, message: 'Session not found' }, message)

/** As server-everything does. */
export const noValidSession: Script = ({ message }, reply) => said(reply, 400, { code: -32000, message: 'Bad Request: No valid session ID provided' }, message)

function said(reply: Reply, status: number, { id, ...error }: { id?: unknown; code: number; message: string }, _message: unknown): void {
  reply.answer(status, { 'content-type': 'application/json' }, JSON.stringify({ jsonrpc: '2.0', ...(id === undefined ? {} : { id }), error }))
}
