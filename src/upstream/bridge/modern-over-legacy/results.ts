import { isJsonObject, objectOr, type JsonObject } from '../legacy-over-modern/exact-json.ts'
import { INVALID_PARAMS, METHOD_NOT_FOUND } from '../legacy-over-modern/messages.ts'
import { MISSING_CAPABILITY, SERVER_INFO } from './envelope.ts'

/** Not there any more in this revision: a resource that does not exist is a wrong parameter. */
const RESOURCE_NOT_FOUND = -32002
/** Carries the pages that a user must visit before the call can go on. */
export const URL_ELICITATION_REQUIRED = -32042

const CACHEABLE = new Set(['server/discover', 'tools/list', 'prompts/list', 'resources/list', 'resources/templates/list', 'resources/read'])

/** The response of a server of earlier revisions to a client's request, as this revision has it. */
export function modernResponse(response: JsonObject, facts: { id: unknown; method: string; serverInfo: unknown }): JsonObject {
  const { id, method, serverInfo } = facts
  if (!('result' in response)) return { jsonrpc: '2.0', id, error: modernError(response.error) }
  return { jsonrpc: '2.0', id, result: modernResult(objectOr(response.result), { method, serverInfo }) }
}

/** Whatever came from a session of one caller's own is for that caller, and nobody said how long it holds. */
export function modernResult(result: JsonObject, { method, serverInfo }: { method: string; serverInfo: unknown }): JsonObject {
  const hints = CACHEABLE.has(method) ? { ttlMs: 0, cacheScope: 'private' } : {}
  const meta = isJsonObject(serverInfo) ? { [SERVER_INFO]: serverInfo, ...objectOr(result._meta) } : result._meta
  return { ...result, ...hints, resultType: 'complete', ...(meta === undefined ? {} : { _meta: meta }) }
}

function modernError(value: unknown): JsonObject {
  const error = objectOr(value)
  return error.code === RESOURCE_NOT_FOUND ? { ...error, code: INVALID_PARAMS } : error
}

/** The HTTP status under which this revision gives a response. */
export function statusOf(response: JsonObject): number {
  const { code } = objectOr(response.error)
  return code === METHOD_NOT_FOUND ? 404 : code === MISSING_CAPABILITY ? 400 : 200
}
