import type { UpstreamRequest } from '../../../core/ports.ts'
import { isJsonObject, objectOr, type JsonObject } from '../legacy-over-modern/exact-json.ts'
import { INVALID_PARAMS, METHOD_NOT_FOUND, readBody, type RpcError } from '../legacy-over-modern/messages.ts'
import { MODERN_VERSION } from '../probe.ts'

const META = 'io.modelcontextprotocol/'
const ENVELOPE_KEYS = ['protocolVersion', 'clientCapabilities', 'clientInfo', 'logLevel', 'subscriptionId', 'related-task'].map((key) => META + key)
export const SERVER_INFO = `${META}serverInfo`
export const SUBSCRIPTION_ID = `${META}subscriptionId`
export const TASKS_EXTENSION = `${META}tasks`

export const MISSING_CAPABILITY = -32021
const UNSUPPORTED_VERSION = -32022

/** From the most to the least talkative. */
export const LOG_LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']

/** Methods that this revision has and that earlier ones know by the same name. The rest is answered by the bridge. */
const CARRIED = new Set(['tools/list', 'tools/call', 'prompts/list', 'prompts/get', 'resources/list', 'resources/templates/list', 'resources/read', 'completion/complete'])
const ANSWERED_HERE = new Set(['server/discover', 'subscriptions/listen'])
/** Calls that may ask back before they are answered. */
const ASKING = new Set(['tools/call', 'prompts/get', 'resources/read'])

/** Who calls, in the words of every one of its requests. */
export interface ModernClient {
  capabilities: JsonObject
  info: JsonObject
}

/** A request of revision 2026-07-28, taken apart. */
export interface ModernRequest {
  id: unknown
  method: string
  params: JsonObject
  client: ModernClient
  /** Null where the client wants no log. */
  logLevel: string | null
  /** Undefined where it wants no progress. */
  progressToken: unknown
  mayBeAsked: boolean
}

/** What a request is, or the error that a server of this revision gives it, with the status that belongs to it. Null for a notification. */
export function readRequest(request: UpstreamRequest): ModernRequest | { id: unknown; status: number; error: RpcError } | null {
  const message = readBody(request.body)?.messages[0]
  if (message === undefined || typeof message.method !== 'string' || message.id === undefined) return null
  const { id, method } = message
  const params = objectOr(message.params)
  const meta = objectOr(params._meta)
  const refuse = (status: number, error: RpcError) => ({ id, status, error })
  const version = meta[`${META}protocolVersion`]
  if (version !== MODERN_VERSION) {
    const error = { code: UNSUPPORTED_VERSION, message: 'Unsupported protocol version', data: { supported: [MODERN_VERSION], requested: version ?? null } }
    return refuse(400, error)
  }
  const capabilities = meta[`${META}clientCapabilities`]
  if (!isJsonObject(capabilities)) return refuse(400, { code: INVALID_PARAMS, message: `params._meta lacks ${META}clientCapabilities.` })
  if (!CARRIED.has(method) && !ANSWERED_HERE.has(method)) return refuse(404, { code: METHOD_NOT_FOUND, message: whyNot(method) })
  const logLevel = meta[`${META}logLevel`] ?? null
  if (logLevel !== null && !LOG_LEVELS.includes(logLevel as string)) return refuse(200, { code: INVALID_PARAMS, message: `params._meta["${META}logLevel"] is no log level.` })
  return {
    id, method, params,
    client: { capabilities, info: objectOr(meta[`${META}clientInfo`]) },
    logLevel: logLevel as string | null,
    progressToken: meta.progressToken,
    mayBeAsked: ASKING.has(method),
  }
}

function whyNot(method: string): string {
  if (!method.startsWith('tasks/')) return `Method not found: ${method}`
  return `Method not found: ${method}. The MCP server behind this connection speaks a revision before ${MODERN_VERSION}, which has no ${TASKS_EXTENSION} extension.`
}

/** The same request in the form of earlier revisions. */
export function legacyRequest(request: ModernRequest, wireId: number): JsonObject {
  const { _meta, inputResponses: _responses, requestState: _state, ...params } = request.params
  const meta = Object.fromEntries(Object.entries(objectOr(_meta)).filter(([key]) => !ENVELOPE_KEYS.includes(key)))
  // Another request of the same session may have chosen the same token.
  if (request.progressToken !== undefined) meta.progressToken = wireId
  if (Object.keys(meta).length > 0) params._meta = meta
  return { jsonrpc: '2.0', id: wireId, method: request.method, ...(Object.keys(params).length > 0 ? { params } : {}) }
}

/** What the client offers, in the words of `initialize`. */
export function legacyCapabilities({ capabilities }: ModernClient): JsonObject {
  const { roots, extensions, ...kept } = capabilities
  if (roots !== undefined) kept.roots = {}
  return withoutTasks(kept, extensions)
}

/** What the server offers, as far as it can be carried. */
export function modernCapabilities(offered: JsonObject): JsonObject {
  // Tasks of 2025-11-25 are another thing than the extension that followed them.
  const { tasks: _tasks, extensions, ...kept } = offered
  return withoutTasks(kept, extensions)
}

function withoutTasks(capabilities: JsonObject, extensions: unknown): JsonObject {
  if (extensions === undefined) return capabilities
  const { [TASKS_EXTENSION]: _tasks, ...others } = objectOr(extensions)
  return { ...capabilities, extensions: others }
}

/** The capability that a client lacks to answer a question of the server; null where it has it. */
export function missingCapability({ capabilities }: ModernClient, method: string, params: JsonObject): JsonObject | null {
  const { roots, sampling, elicitation } = capabilities
  if (method === 'roots/list') return isJsonObject(roots) ? null : { roots: {} }
  if (method === 'sampling/createMessage') {
    const needsTools = params.tools !== undefined || params.toolChoice !== undefined
    if (!isJsonObject(sampling)) return { sampling: {} }
    return needsTools && !isJsonObject(sampling.tools) ? { sampling: { tools: {} } } : null
  }
  const mode = params.mode === 'url' ? 'url' : 'form'
  if (!isJsonObject(elicitation)) return { elicitation: mode === 'url' ? { url: {} } : {} }
  // An empty object means forms.
  const hasMode = isJsonObject(elicitation[mode]) || (mode === 'form' && elicitation.url === undefined)
  return hasMode ? null : { elicitation: { [mode]: {} } }
}

/** True for a client that any server may have something to ask. */
export function canAnswer({ capabilities }: ModernClient): boolean {
  return [capabilities.roots, capabilities.sampling, capabilities.elicitation].some(isJsonObject)
}
