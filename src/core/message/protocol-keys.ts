import { below, flaw, quote, type Flaw } from './flaw.ts'
import { isStreamSafe, skeleton } from './fold.ts'

/** Far more than any revision names; content belongs below `arguments`. */
const LEVEL_KEYS_MAX = 256

/** The keys that mean something at one level of a message, and what each looks like with its disguise off. */
export interface ProtocolKeys {
  names: Set<string>
  bySkeleton: Map<string, string>
}

function protocolKeys(...names: string[]): ProtocolKeys {
  return { names: new Set(names), bySkeleton: new Map(names.map((name) => [skeleton(name), name])) }
}

export const ENVELOPE_KEYS = protocolKeys('jsonrpc', 'id', 'method', 'params', 'result', 'error')

export const PARAMS_KEYS = protocolKeys(
  'name', 'arguments', 'uri', 'cursor', 'ref', 'argument', 'context', 'level', 'requestId', 'taskId', 'task', '_meta', 'protocolVersion', 'capabilities', 'clientInfo',
  'inputResponses', 'requestState', 'progressToken', 'progress', 'total', 'message', 'reason', 'notifications', 'resourceSubscriptions', 'ttl', 'status', 'statusMessage',
)

const META = 'io.modelcontextprotocol/'
export const ENVELOPE_VERSION_KEY = `${META}protocolVersion`
/** Any of these in `_meta` makes a message modern. */
export const ENVELOPE_CLAIMS = [ENVELOPE_VERSION_KEY, `${META}clientCapabilities`, `${META}clientInfo`] as const

export const META_KEYS = protocolKeys(
  ...ENVELOPE_CLAIMS, `${META}logLevel`, `${META}related-task`, `${META}subscriptionId`, `${META}serverInfo`, 'progressToken', 'traceparent', 'tracestate', 'baggage',
)
export const REF_KEYS = protocolKeys('type', 'name', 'uri')
export const LISTEN_KEYS = protocolKeys('toolsListChanged', 'promptsListChanged', 'resourcesListChanged', 'resourceSubscriptions', 'taskIds')

/** Finds a key that some reader, or some person, takes for a protocol key though it is not written as one. */
export function findImpostor(level: Record<string, unknown>, protocol: ProtocolKeys, path: string): Flaw | null {
  const keys = Object.keys(level)
  if (keys.length > LEVEL_KEYS_MAX) return flaw(path, `it has more than ${LEVEL_KEYS_MAX} keys`, true)
  for (const key of keys) {
    if (protocol.names.has(key)) continue
    if (!isStreamSafe(key)) return flaw(below(path, key), 'a key holds a run of more than 30 combining marks')
    const meant = protocol.bySkeleton.get(skeleton(key))
    if (meant !== undefined) return flaw(below(path, key), `the key ${quote(key)} can be taken for ${quote(meant)} but is not written that way`)
  }
  return null
}
