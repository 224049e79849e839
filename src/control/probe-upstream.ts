import type { CancelSignal } from '../core/cancel-signal.ts'
import type { Connection } from '../core/connection.ts'
import { UpstreamFailure, type Clock, type HeaderList, type UpstreamAnswer, type UpstreamBody, type UpstreamFailureKind, type Upstreams, type Vault } from '../core/ports.ts'

/** What a client would find behind a connection. Text in it comes from the upstream: cut, and with the credential taken out should it be echoed. */
export interface ProbeReport {
  ok: boolean
  latencyMs: number
  protocolVersion: string | null
  server: { name: string; version: string } | null
  capabilities: Record<string, unknown> | null
  tools: { name: string; description: string | null }[]
  /** One sentence on what went wrong; never an address, credential or stack. */
  error?: string
}

/** What the upstream listed, to the letter, for whoever keeps a book of it. */
export interface ProbedTools {
  tools: unknown[]
  /** The list came to its end. */
  isWhole: boolean
  /** What must not be kept of it. */
  secrets: string[]
}

interface ProbePorts {
  clock: Clock
  upstreams: Upstreams
  vault: Vault
}

/** In place of a caller: no key and no person. */
const PROBE = 'probe'
const PROTOCOL_VERSION = '2025-11-25'
const CLIENT = { name: 'igris', version: '1' }
/** The first revision without a handshake: each request says itself what `initialize` used to. */
const MODERN_VERSION = '2026-07-28'
const ENVELOPE = { 'io.modelcontextprotocol/protocolVersion': MODERN_VERSION, 'io.modelcontextprotocol/clientCapabilities': {}, 'io.modelcontextprotocol/clientInfo': CLIENT }
const SERVER_INFO = 'io.modelcontextprotocol/serverInfo'
/** How a server refuses `initialize` that does not have it: by these statuses, or by an error. */
const UNSPOKEN = new Set([400, 404, 405, 501])
const PROBE_MS_MAX = 15_000
const ANSWER_BYTES_MAX = 2 * 1024 * 1024
const TOOL_PAGES_MAX = 10
const TOOLS_MAX = 1000
const TEXT_LENGTH_MAX = 2000
const CAPABILITIES_LENGTH_MAX = 16_384

/** Why the probe ended, as a sentence for people. */
class ProbeFailure extends Error {
  override name = 'ProbeFailure'
  /** The server understood us and said no: it may speak another revision. */
  readonly isRefusal: boolean
  constructor(sentence: string, isRefusal = false) {
    super(sentence)
    this.isRefusal = isRefusal
  }
}

interface Probe {
  ports: ProbePorts
  connection: Connection
  credential: string | null
  sessionId: string | null
  protocolVersion: string | null
  isModern: boolean
  signal: AbortSignal
}

/**
 * `initialize`, `notifications/initialized`, `tools/list`, and the upstream session ended again; of a server that has no `initialize` any more,
 * `server/discover` and `tools/list`. All within fifteen seconds. Never throws for what
 * an upstream does. Once it is cut, nothing more is sent.
 */
export async function probeUpstream(ports: ProbePorts, connection: Connection, cut: CancelSignal): Promise<{ report: ProbeReport; probed: ProbedTools }> {
  const startedAt = ports.clock.elapsed()
  const report: ProbeReport = { ok: false, latencyMs: 0, protocolVersion: null, server: null, capabilities: null, tools: [] }
  const probed: ProbedTools = { tools: [], isWhole: false, secrets: [] }
  const controller = new AbortController()
  const abort = () => controller.abort()
  const timer = setTimeout(abort, PROBE_MS_MAX)
  if (cut.aborted) abort()
  cut.addEventListener('abort', abort)
  try {
    const credential = connection.sealedCredential === null ? null : ports.vault.open(connection.sealedCredential, connection.id)
    const probe: Probe = { ports, connection, credential, sessionId: null, protocolVersion: null, isModern: false, signal: controller.signal }
    try {
      probed.secrets = secretsOf(probe)
      await converse(probe, report, probed)
      report.ok = true
    } finally {
      await endSession(probe)
    }
  } catch (error) {
    report.error = cut.aborted ? FAILURES.aborted : controller.signal.aborted ? FAILURES.timeout : sentenceOf(error)
  } finally {
    clearTimeout(timer)
    cut.removeEventListener('abort', abort)
  }
  report.latencyMs = Math.round((ports.clock.elapsed() - startedAt) * 100) / 100
  return { report, probed }
}

async function converse(probe: Probe, report: ProbeReport, probed: ProbedTools): Promise<void> {
  const capabilities = await greet(probe, report).catch(async (error: unknown) => {
    if (!(error instanceof ProbeFailure) || !error.isRefusal) throw error
    // Where it does not know this either, what it said first tells more.
    return discover(probe, report).catch(() => Promise.reject(error))
  })
  if (!('tools' in objectOf(capabilities))) return
  let cursor: unknown
  for (let page = 0; page < TOOL_PAGES_MAX && report.tools.length < TOOLS_MAX; page++) {
    const listed = await request(probe, 3 + page, 'tools/list', typeof cursor === 'string' ? { cursor } : {})
    if (!Array.isArray(listed.tools)) throw new ProbeFailure('The upstream answers "tools/list" with something that is not MCP.')
    for (const tool of listed.tools.slice(0, TOOLS_MAX - report.tools.length)) {
      probed.tools.push(tool)
      const { name, description } = objectOf(tool)
      report.tools.push({ name: textOf(probe, name), description: typeof description === 'string' ? cut(probe, description) : null })
    }
    cursor = listed.nextCursor
    probed.isWhole = typeof cursor !== 'string' && probed.tools.length < TOOLS_MAX
    if (typeof cursor !== 'string') return
  }
}

/** The handshake of the revisions up to 2025-11-25. Resolves to the server's capabilities. */
async function greet(probe: Probe, report: ProbeReport): Promise<unknown> {
  const hello = await request(probe, 1, 'initialize', { protocolVersion: PROTOCOL_VERSION, capabilities: {}, clientInfo: CLIENT })
  if (typeof hello.protocolVersion !== 'string') throw new ProbeFailure('The upstream answers "initialize" with something that is not MCP.')
  probe.protocolVersion = cut(probe, hello.protocolVersion)
  describe(probe, report, hello.serverInfo, hello.capabilities)
  const accepted = await post(probe, { jsonrpc: '2.0', method: 'notifications/initialized' })
  accepted.body.cancel()
  return hello.capabilities
}

/** What a server that begins with revision 2026-07-28 says of itself. */
async function discover(probe: Probe, report: ProbeReport): Promise<unknown> {
  probe.isModern = true
  probe.sessionId = null
  probe.protocolVersion = MODERN_VERSION
  const found = await request(probe, 2, 'server/discover', {})
  if (!Array.isArray(found.supportedVersions)) throw new ProbeFailure('The upstream answers "server/discover" with something that is not MCP.')
  describe(probe, report, objectOf(found._meta)[SERVER_INFO], found.capabilities)
  return found.capabilities
}

function describe(probe: Probe, report: ProbeReport, serverInfo: unknown, capabilities: unknown): void {
  const server = objectOf(serverInfo)
  report.protocolVersion = probe.protocolVersion
  report.server = { name: textOf(probe, server.name), version: textOf(probe, server.version) }
  report.capabilities = capabilitiesOf(probe, capabilities)
}

async function request(probe: Probe, id: number, method: string, params: object): Promise<Record<string, unknown>> {
  const answer = await post(probe, { jsonrpc: '2.0', id, method, params: probe.isModern ? { ...params, _meta: ENVELOPE } : params })
  try {
    if (answer.status < 200 || answer.status > 299) throw new ProbeFailure(statusSentence(answer.status, method), UNSPOKEN.has(answer.status))
    if (id === 1) probe.sessionId = headerOf(answer, 'mcp-session-id')
    const message = await readAnswer(answer, id)
    if (message === null) throw new ProbeFailure(`The upstream answers "${method}" with something that is not MCP.`)
    if (message.error !== undefined) throw new ProbeFailure(`The upstream answers "${method}" with an error: ${textOf(probe, objectOf(message.error).message)}`, true)
    return objectOf(message.result)
  } finally {
    answer.body.cancel()
  }
}

function post(probe: Probe, message: { method: string; [field: string]: unknown }): Promise<UpstreamAnswer> {
  return send(probe, 'POST', new TextEncoder().encode(JSON.stringify(message)), probe.isModern ? message.method : null)
}

async function send(probe: Probe, method: 'POST' | 'DELETE', body: Uint8Array | null, mirroredMethod: string | null = null): Promise<UpstreamAnswer> {
  const { connection, credential } = probe
  if (probe.signal.aborted) throw new ProbeFailure(FAILURES.aborted)
  const headers: HeaderList = [['accept', 'application/json, text/event-stream']]
  if (body !== null) headers.push(['content-type', 'application/json'])
  if (probe.sessionId !== null) headers.push(['mcp-session-id', probe.sessionId])
  if (probe.protocolVersion !== null) headers.push(['mcp-protocol-version', probe.protocolVersion])
  if (mirroredMethod !== null) headers.push(['mcp-method', mirroredMethod])
  if (credential !== null && connection.authType === 'bearer') headers.push(['authorization', `Bearer ${credential}`])
  if (credential !== null && connection.authType === 'header') headers.push([(connection.authHeaderName ?? '').toLowerCase(), credential])
  const timeoutMs = Math.min(connection.timeoutMs, PROBE_MS_MAX)
  return probe.ports.upstreams.send({ method, url: connection.upstreamUrl, headers, body, timeoutMs, caPem: connection.caPem, connectionId: connection.id, principalId: PROBE, signal: probe.signal })
}

async function endSession(probe: Probe): Promise<void> {
  if (probe.sessionId === null || probe.signal.aborted) return
  // Servers may refuse to end sessions on request; they forget them in time.
  await send(probe, 'DELETE', null).then((answer) => answer.body.cancel(), () => undefined)
}

/** The response with this id, from a JSON body or the first event that carries it; null when there is none. */
async function readAnswer(answer: UpstreamAnswer, id: number): Promise<Record<string, unknown> | null> {
  const isStream = (headerOf(answer, 'content-type') ?? '').toLowerCase().startsWith('text/event-stream')
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of chunksOf(answer.body)) {
    text += decoder.decode(chunk, { stream: true })
    if (!isStream) continue
    const events = text.split(/\r\n\r\n|\n\n|\r\r/)
    text = events.pop() ?? ''
    for (const event of events) {
      const message = responseIn(dataOf(event), id)
      if (message !== null) return message
    }
  }
  return responseIn(isStream ? dataOf(text) : text, id)
}

async function* chunksOf(body: UpstreamBody): AsyncIterable<Uint8Array> {
  let bytes = 0
  for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) {
    bytes += chunk.byteLength
    if (bytes > ANSWER_BYTES_MAX) throw new ProbeFailure('The upstream\'s answer is too large.')
    yield chunk
  }
}

function dataOf(event: string): string {
  const lines = event.split(/\r\n|\n|\r/).filter((line) => line.startsWith('data:'))
  return lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n')
}

function responseIn(text: string, id: number): Record<string, unknown> | null {
  try {
    const message = objectOf(JSON.parse(text))
    return message.id === id && message.method === undefined ? message : null
  } catch {
    return null // Not JSON is not an answer; the caller says so.
  }
}

function statusSentence(status: number, method: string): string {
  if (status === 401 || status === 403) return `The upstream refuses the credential (HTTP ${status}).`
  if (status >= 300 && status < 400) return `The upstream answers with a redirect (HTTP ${status}), which is not followed.`
  return `The upstream answers "${method}" with HTTP ${status}.`
}

const FAILURES: Record<UpstreamFailureKind, string> = {
  unreachable: 'The MCP server cannot be reached.',
  timeout: 'The MCP server took too long.',
  invalid: 'The upstream\'s answer is not valid HTTP.',
  aborted: 'The test was stopped.',
  forbidden_address: 'The upstream\'s address is not allowed.',
  too_large: 'The upstream\'s answer is too large.',
  reset: 'The MCP server closed the connection in mid-answer.',
}

function sentenceOf(error: unknown): string {
  if (error instanceof ProbeFailure) return error.message
  if (error instanceof UpstreamFailure) return FAILURES[error.kind]
  return 'The test failed.'
}

function headerOf(answer: UpstreamAnswer, name: string): string | null {
  return answer.headers.find(([header]) => header === name)?.[1] ?? null
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

function textOf(probe: Probe, value: unknown): string {
  return typeof value === 'string' ? cut(probe, value) : ''
}

/** The credential; of a program, the values of its environment. Values as short as `1` are no secrets, and stand in too much else. */
function secretsOf({ connection, credential }: Probe): string[] {
  if (credential === null) return []
  if (connection.program === null) return [credential]
  return Object.values(JSON.parse(credential) as Record<string, string>).filter((value) => value.length >= 4)
}

/** Bounded, and without the credential: an upstream may echo what it was sent. */
function cut(probe: Probe, text: string): string {
  const sealed = secretsOf(probe).reduce((shown, secret) => shown.replaceAll(secret, '[sealed]'), text)
  return sealed.length > TEXT_LENGTH_MAX ? `${sealed.slice(0, TEXT_LENGTH_MAX)}…` : sealed
}

function capabilitiesOf(probe: Probe, value: unknown): Record<string, unknown> {
  const text = JSON.stringify(objectOf(value), (_key, inner: unknown) => (typeof inner === 'string' ? cut(probe, inner) : inner))
  return text.length > CAPABILITIES_LENGTH_MAX ? {} : objectOf(JSON.parse(text))
}
