import type { RpcMessage } from '../message.ts'
import { refuse, type Refusal } from '../result.ts'

/** What a client may send to a server in any revision from 2024-11-05 to 2026-07-28, tasks included. The table is closed: what is not in it is not forwarded. */
const METHODS = new Map<string, 'request' | 'notification'>([
  ['initialize', 'request'],
  ['ping', 'request'],
  ['server/discover', 'request'],
  ['tools/list', 'request'],
  ['tools/call', 'request'],
  ['prompts/list', 'request'],
  ['prompts/get', 'request'],
  ['resources/list', 'request'],
  ['resources/templates/list', 'request'],
  ['resources/read', 'request'],
  ['resources/subscribe', 'request'],
  ['resources/unsubscribe', 'request'],
  ['subscriptions/listen', 'request'],
  ['completion/complete', 'request'],
  ['logging/setLevel', 'request'],
  ['tasks/get', 'request'],
  ['tasks/result', 'request'],
  ['tasks/list', 'request'],
  ['tasks/cancel', 'request'],
  ['tasks/update', 'request'],
  ['notifications/initialized', 'notification'],
  ['notifications/cancelled', 'notification'],
  ['notifications/progress', 'notification'],
  ['notifications/roots/list_changed', 'notification'],
  ['notifications/tasks/status', 'notification'],
])

const NEVER_DENIED = new Set(['initialize', 'ping', 'server/discover', 'tools/list', 'prompts/list', 'resources/list', 'resources/templates/list', 'tasks/list'])

/** True for a method or notification that some revision lets a client send. */
export function isKnownMethod(method: string): boolean {
  return METHODS.has(method)
}

const METHOD_NOT_FOUND = -32601

/**
 * The refusal of a request of 2026-07-28 for a method that no revision has, in the form that this revision gives it. Policy denies such
 * methods in every revision; the earlier ones have no form of their own for it.
 */
export function checkModernMethod(message: RpcMessage): Refusal | null {
  if (message.era !== 'modern' || message.kind !== 'request' || message.method === null || isKnownMethod(message.method)) return null
  return refuse('policy_denied', `Denied: "${message.method}" is not an MCP method that this gateway knows.`, { httpStatus: 404, rpcCode: METHOD_NOT_FOUND })
}

/** Whether the specification gives this method an answer; null for a method that is not known. */
export function kindOfMethod(method: string): 'request' | 'notification' | null {
  return METHODS.get(method) ?? null
}

/** True for what no policy denies: the handshake, liveness and lists. */
export function isNeverDenied(method: string): boolean {
  return NEVER_DENIED.has(method)
}
