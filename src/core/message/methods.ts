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

/** Whether the specification gives this method an answer; null for a method that is not known. */
export function kindOfMethod(method: string): 'request' | 'notification' | null {
  return METHODS.get(method) ?? null
}

/** True for what no policy denies: the handshake, liveness and lists. */
export function isNeverDenied(method: string): boolean {
  return NEVER_DENIED.has(method)
}
