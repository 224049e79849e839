import type { Era } from '../message.ts'
import { flaw, type Flaw } from './flaw.ts'
import { NAME_LENGTH_MAX, nameFault, URI_LENGTH_MAX } from './names.ts'
import { findImpostor, LISTEN_KEYS, REF_KEYS } from './protocol-keys.ts'

type JsonObject = Record<string, unknown>

/** Subscriptions in one message: each of them is judged. */
const SUBSCRIPTIONS_MAX = 1000

/** Checks the parts of `params` that policies judge, that headers mirror, or that choose what is meant. Everything else is the callee's own business. */
export function paramsFault({ method, params, era }: { method: string; params: JsonObject; era: Era }, path: string): Flaw | null {
  switch (method) {
    case 'tools/call':
    case 'prompts/get':
      return textFault(params.name, `${path}.name`, NAME_LENGTH_MAX) ?? objectFault(params, 'arguments', path)
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      // 2026-07-28 has these methods no more, so it is the server's to say so, whatever params are missing. Naming nothing, they reach nothing.
      if (era === 'modern' && !Object.hasOwn(params, 'uri')) return null
      return textFault(params.uri, `${path}.uri`, URI_LENGTH_MAX)
    case 'resources/read':
      return textFault(params.uri, `${path}.uri`, URI_LENGTH_MAX)
    case 'tasks/get':
    case 'tasks/result':
    case 'tasks/cancel':
    case 'tasks/update':
      return textFault(params.taskId, `${path}.taskId`, NAME_LENGTH_MAX)
    case 'completion/complete':
      return refFault(params.ref, `${path}.ref`)
    case 'subscriptions/listen':
      return listenFault(params, path)
    default:
      return null
  }
}

function textFault(value: unknown, path: string, lengthMax: number): Flaw | null {
  const fault = nameFault(value, lengthMax)
  return fault === null ? null : flaw(path, `it ${fault}`)
}

/** Absent is fine; null, a list or a scalar is taken for "none" by some readers and for an error by others. */
function objectFault(params: JsonObject, key: string, path: string): Flaw | null {
  return !Object.hasOwn(params, key) || isObject(params[key]) ? null : flaw(`${path}.${key}`, 'it must be an object or absent')
}

function refFault(ref: unknown, path: string): Flaw | null {
  if (!isObject(ref)) return flaw(path, 'it must be an object')
  const impostor = findImpostor(ref, REF_KEYS, path)
  if (impostor !== null) return impostor
  if (ref.type !== 'ref/prompt' && ref.type !== 'ref/resource') return flaw(`${path}.type`, 'it must be "ref/prompt" or "ref/resource"')
  const [field, other, lengthMax] = ref.type === 'ref/prompt' ? ['name', 'uri', NAME_LENGTH_MAX] as const : ['uri', 'name', URI_LENGTH_MAX] as const
  if (Object.hasOwn(ref, other)) return flaw(`${path}.${other}`, `a ${ref.type} has no ${other}`)
  return textFault(ref[field], `${path}.${field}`, lengthMax)
}

function listenFault(params: JsonObject, path: string): Flaw | null {
  if (Object.hasOwn(params, 'resourceSubscriptions')) return flaw(`${path}.resourceSubscriptions`, 'resourceSubscriptions belong under params.notifications')
  const wrong = objectFault(params, 'notifications', path)
  if (wrong !== null || !isObject(params.notifications)) return wrong
  const listenPath = `${path}.notifications`
  const impostor = findImpostor(params.notifications, LISTEN_KEYS, listenPath)
  if (impostor !== null || !Object.hasOwn(params.notifications, 'resourceSubscriptions')) return impostor
  const uris = params.notifications.resourceSubscriptions
  const urisPath = `${listenPath}.resourceSubscriptions`
  if (!Array.isArray(uris)) return flaw(urisPath, 'it must be a list or absent')
  if (uris.length > SUBSCRIPTIONS_MAX) return flaw(urisPath, `the list has more than ${SUBSCRIPTIONS_MAX} entries`, true)
  for (let i = 0; i < uris.length; i += 1) {
    const fault = textFault(uris[i], `${urisPath}[${i}]`, URI_LENGTH_MAX)
    if (fault !== null) return fault
  }
  return null
}

/** True for a JSON object: not null, not a list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
