import type { CancelSignal } from '../../../core/cancel-signal.ts'
import type { HeaderList, UpstreamRequest } from '../../../core/ports.ts'
import { objectOr, type JsonObject } from './exact-json.ts'

/** The revision that the bridge speaks to the server. */
export const MODERN_VERSION = '2026-07-28'

const META = 'io.modelcontextprotocol/'
export const SERVER_INFO = `${META}serverInfo`
export const SUBSCRIPTION_ID = `${META}subscriptionId`
const TASKS_EXTENSION = `${META}tasks`

/** Who speaks, in the words of `initialize`. */
export interface LegacyClient {
  protocolVersion: string
  capabilities: JsonObject
  clientInfo: JsonObject
}

/** Headers of the caller's request that the bridge writes anew or that mean nothing in this revision. The rest is the connection's credential and the trace. */
const REWRITTEN = /^(?:accept|content-type|content-length|mcp-.*|last-event-id)$/

/** Which field of `params` the header `Mcp-Name` repeats. */
const NAME_FIELDS: Readonly<Record<string, string>> = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' }

/** A request of revision 2026-07-28 to the server behind `from`, in the name of the client. */
export function modernRequest(from: UpstreamRequest, facts: {
  id: number; method: string; params: JsonObject; client: LegacyClient; logLevel: string | null; paramHeaders?: HeaderList; signal: CancelSignal
}): UpstreamRequest {
  const { id, method, client, logLevel, signal } = facts
  const _meta: JsonObject = {
    ...withoutProtocolKeys(objectOr(facts.params._meta)),
    [`${META}protocolVersion`]: MODERN_VERSION,
    [`${META}clientCapabilities`]: modernCapabilities(client.capabilities),
    [`${META}clientInfo`]: client.clientInfo,
  }
  if (logLevel !== null) _meta[`${META}logLevel`] = logLevel
  const params = { ...facts.params, _meta }
  const headers: HeaderList = [
    ...from.headers.filter(([name]) => !REWRITTEN.test(name)),
    ['accept', 'application/json, text/event-stream'],
    ['content-type', 'application/json'],
    ['mcp-protocol-version', MODERN_VERSION],
    ['mcp-method', method],
  ]
  const name = params[NAME_FIELDS[method] as keyof typeof params] as unknown
  if (typeof name === 'string') headers.push(['mcp-name', headerText(name)])
  headers.push(...(facts.paramHeaders ?? []))
  return { ...from, method: 'POST', headers, body: new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', id, method, params })), signal }
}

/** What the client offers, without what this revision names otherwise: tasks became an extension that no legacy client can follow. */
export function modernCapabilities(offered: JsonObject): JsonObject {
  const { tasks: _tasks, roots, extensions, ...kept } = offered
  const capabilities: JsonObject = kept
  if (roots !== undefined) capabilities.roots = {}
  if (extensions !== undefined) {
    const { [TASKS_EXTENSION]: _extension, ...others } = objectOr(extensions)
    capabilities.extensions = others
  }
  return capabilities
}

/** What the protocol reserves is ours to say; a client's own keys, its progress token and trace stay. */
function withoutProtocolKeys(meta: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(meta).filter(([key]) => !key.startsWith(META)))
}

const PLAIN = /^(?! )[\x20-\x7e]*(?<! )$/
const LOOKS_ENCODED = /^=\?base64\?.*\?=$/i

/** The value of a mirrored header: itself where that is safe, else its base64 form. */
export function headerText(value: string): string {
  if (value !== '' && PLAIN.test(value) && !LOOKS_ENCODED.test(value)) return value
  return `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`
}
