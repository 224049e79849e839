import type { Era, MessageKind, RpcMessage } from '../message.ts'
import { flaw, type Flaw } from './flaw.ts'
import { METHOD_LENGTH_MAX, nameFault } from './names.ts'
import { isObject, paramsFault } from './params.ts'
import { ENVELOPE_CLAIMS, ENVELOPE_KEYS, ENVELOPE_VERSION_KEY, findImpostor, META_KEYS, PARAMS_KEYS } from './protocol-keys.ts'
import { isRequestId } from './recover-id.ts'
import type { ElementSpan } from './scan.ts'

type JsonObject = Record<string, unknown>

/** Reads one scanned and parsed JSON value as a JSON-RPC message of MCP. */
export function readEnvelope(value: unknown, span: ElementSpan, bytes: number, path: string): RpcMessage | Flaw {
  if (!isObject(value)) return flaw(path, 'a message must be a JSON object')
  const impostor = findImpostor(value, ENVELOPE_KEYS, path)
  if (impostor !== null) return impostor
  if (value.jsonrpc !== '2.0') return flaw(`${path}.jsonrpc`, 'it must be exactly "2.0"')
  const hasId = Object.hasOwn(value, 'id')
  if (hasId && (!isRequestId(value.id) || span.idText === null)) {
    return flaw(`${path}.id`, 'an id must be a string of at most 256 characters or an integer that doubles hold exactly')
  }
  const kind = kindOf(value, hasId, path)
  if (typeof kind !== 'string') return kind
  const idText = hasId ? span.idText : null
  if (kind === 'response') return { kind, idText, method: null, params: null, era: 'legacy', envelopeVersion: null, bytes }
  return readCall(value, { kind, idText, bytes, path })
}

function kindOf(value: JsonObject, hasId: boolean, path: string): MessageKind | Flaw {
  const hasResult = Object.hasOwn(value, 'result')
  const hasError = Object.hasOwn(value, 'error')
  if (Object.hasOwn(value, 'method')) {
    return hasResult || hasError ? flaw(path, 'a message has either a method or a result or error, not both') : hasId ? 'request' : 'notification'
  }
  if (hasResult === hasError) return flaw(path, hasResult ? 'a response has either a result or an error, not both' : 'a message needs a method, a result or an error')
  if (!hasId) return flaw(path, 'a response needs an id')
  if (Object.hasOwn(value, 'params')) return flaw(`${path}.params`, 'a response has no params')
  if (!isObject(hasResult ? value.result : value.error)) return flaw(`${path}.${hasResult ? 'result' : 'error'}`, 'it must be an object')
  return 'response'
}

interface CallContext {
  kind: MessageKind
  idText: string | null
  bytes: number
  path: string
}

function readCall(value: JsonObject, { kind, idText, bytes, path }: CallContext): RpcMessage | Flaw {
  const { method } = value
  const fault = nameFault(method, METHOD_LENGTH_MAX)
  if (fault !== null || typeof method !== 'string') return flaw(`${path}.method`, `the method ${fault}`)
  if (Object.hasOwn(value, 'params') && !isObject(value.params)) return flaw(`${path}.params`, 'params must be an object or absent')
  const params = isObject(value.params) ? value.params : null
  const paramsPath = `${path}.params`
  const impostor = params === null ? null : findImpostor(params, PARAMS_KEYS, paramsPath)
  if (impostor !== null) return impostor
  const claim = readClaim(params, paramsPath)
  if ('fault' in claim) return claim
  const wrong = paramsFault({ method, params: params ?? {}, era: claim.era }, paramsPath)
  if (wrong !== null) return wrong
  return { kind, idText, method, params, era: claim.era, envelopeVersion: claim.envelopeVersion, bytes }
}

const VERSION = /^[\x21-\x7e]{1,64}$/

/** Era and version from `params._meta`. A claim without a version is modern too: some readers would take it for a legacy message. */
function readClaim(params: JsonObject | null, path: string): { era: Era; envelopeVersion: string | null } | Flaw {
  if (params === null || !Object.hasOwn(params, '_meta')) return { era: 'legacy', envelopeVersion: null }
  const meta = params._meta
  const metaPath = `${path}._meta`
  if (!isObject(meta)) return flaw(metaPath, '_meta must be an object')
  const impostor = findImpostor(meta, META_KEYS, metaPath)
  if (impostor !== null) return impostor
  const isModern = ENVELOPE_CLAIMS.some((key) => Object.hasOwn(meta, key))
  if (!isModern || !Object.hasOwn(meta, ENVELOPE_VERSION_KEY)) return { era: isModern ? 'modern' : 'legacy', envelopeVersion: null }
  const version = meta[ENVELOPE_VERSION_KEY]
  if (typeof version !== 'string' || !VERSION.test(version)) return flaw(metaPath, 'the protocol version must be a short ASCII string')
  return { era: 'modern', envelopeVersion: version }
}
