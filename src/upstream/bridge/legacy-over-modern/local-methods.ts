import { objectOr, type JsonObject } from './exact-json.ts'
import { INVALID_PARAMS, METHOD_NOT_FOUND, type RpcError } from './messages.ts'
import type { BridgedSession } from './session.ts'

type Outcome = { result: JsonObject } | { error: RpcError }

const LOG_LEVELS = new Set(['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'])
const WATCHED_MAX = 1000
const URI_CHARS_MAX = 8192

/** Requests that 2026-07-28 has no counterpart for: the session answers them itself, or says that they cannot be carried. */
export async function answerHere(session: BridgedSession, method: string, params: JsonObject): Promise<Outcome> {
  switch (method) {
    case 'ping':
      return { result: {} }
    case 'logging/setLevel':
      return setLevel(session, params.level)
    case 'resources/subscribe':
      return subscribe(session, params.uri)
    case 'resources/unsubscribe':
      return unsubscribe(session, params.uri)
    case 'tasks/get':
    case 'tasks/result':
    case 'tasks/list':
    case 'tasks/cancel':
      return { error: { code: METHOD_NOT_FOUND, message: 'The MCP server behind this connection speaks 2026-07-28, whose tasks differ from those of 2025-11-25: they cannot be bridged.' } }
    default:
      return { error: { code: METHOD_NOT_FOUND, message: 'Method not found' } }
  }
}

function setLevel(session: BridgedSession, level: unknown): Outcome {
  if (session.server.capabilities.logging === undefined) return { error: { code: METHOD_NOT_FOUND, message: 'The MCP server has no log messages to send.' } }
  if (typeof level !== 'string' || !LOG_LEVELS.has(level)) return { error: { code: INVALID_PARAMS, message: 'level: expected one of the levels of syslog.' } }
  session.logLevel = level
  return { result: {} }
}

async function subscribe(session: BridgedSession, uri: unknown): Promise<Outcome> {
  if (objectOr(session.server.capabilities.resources).subscribe !== true) return { error: { code: METHOD_NOT_FOUND, message: 'The MCP server does not let resources be subscribed to.' } }
  if (typeof uri !== 'string' || uri.length > URI_CHARS_MAX) return { error: { code: INVALID_PARAMS, message: 'uri: expected the address of a resource.' } }
  if (session.watched.has(uri)) return { result: {} }
  if (session.watched.size >= WATCHED_MAX) return { error: { code: INVALID_PARAMS, message: `A session subscribes to at most ${WATCHED_MAX} resources.` } }
  session.watched.add(uri)
  // Nobody listens yet: it is among what is asked for when somebody does.
  if (session.listening === null) return { result: {} }
  try {
    const { resourceSubscriptions } = await session.listening.update()
    if (Array.isArray(resourceSubscriptions) && resourceSubscriptions.includes(uri)) return { result: {} }
  } catch (error) {
    session.watched.delete(uri)
    throw error
  }
  session.watched.delete(uri)
  return { error: { code: INVALID_PARAMS, message: 'The MCP server does not let this resource be subscribed to.' } }
}

async function unsubscribe(session: BridgedSession, uri: unknown): Promise<Outcome> {
  if (typeof uri === 'string' && session.watched.delete(uri)) await session.listening?.update()
  return { result: {} }
}
