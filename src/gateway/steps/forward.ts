import type { Caller } from '../../core/caller.ts'
import type { Connection } from '../../core/connection.ts'
import type { McpSession } from '../../core/session.ts'
import { UpstreamFailure } from '../../core/ports.ts'
import type { HeaderList, UpstreamAnswer, Upstreams, Vault } from '../../core/ports.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'
import type { CallUnderWay } from '../calls-in-flight.ts'
import type { IncomingCall } from '../incoming-call.ts'
import { refusalOfCut, refusalOfFailure } from '../upstream-refusals.ts'

const ACCEPT_ANY = 'application/json, text/event-stream'
/** Passed on where the caller sent them. Everything else (credentials, cookies, forwarding, hop-by-hop) stays here. */
const PASSED_ALWAYS = ['mcp-protocol-version', 'traceparent', 'tracestate', 'baggage']
const PASSED_LEGACY = ['last-event-id']
const PASSED_MODERN = ['mcp-method', 'mcp-name']

/**
 * Step 7, second half. Sends exactly the bytes that were judged, once, with the connection's credential in place of the caller's.
 * Resolves at the head of the answer.
 */
export async function forward(
  vault: Vault, upstreams: Upstreams,
  facts: { call: IncomingCall; caller: Caller; connection: Connection; mcpSession: McpSession | null; underWay: CallUnderWay; isResumable?: boolean },
): Promise<Result<UpstreamAnswer>> {
  const { call, connection, underWay } = facts
  // Between the admission and here lies the wait for the record; a switch thrown meanwhile must still hold.
  if (underWay.signal.aborted) return refusalOfCut(underWay)
  try {
    const answer = await upstreams.send({
      method: call.httpMethod,
      url: connection.upstreamUrl,
      headers: upstreamHeaders(vault, facts),
      body: call.body,
      timeoutMs: connection.timeoutMs,
      caPem: connection.caPem,
      connectionId: connection.id,
      principalId: facts.caller.principal.id,
      ...(facts.mcpSession?.initialize == null ? {} : { client: { initialize: facts.mcpSession.initialize, protocolVersion: facts.mcpSession.protocolVersion } }),
      signal: underWay.signal,
    })
    return ok(answer)
  } catch (error) {
    if (!(error instanceof UpstreamFailure)) throw error
    if (underWay.signal.aborted) return refusalOfCut(underWay)
    return refusalOfFailure(error, connection)
  }
}

function upstreamHeaders(vault: Vault, facts: { call: IncomingCall; connection: Connection; mcpSession: McpSession | null; isResumable?: boolean }): HeaderList {
  const { call, connection, mcpSession } = facts
  const isModern = call.messages[0]?.era === 'modern'
  const headers: HeaderList = [['accept', upstreamAccept(call)]]
  if (call.body !== null) headers.push(['content-type', 'application/json'])
  // An event id is resumed within a session that was proven to be the caller's, or not at all: not in one that was opened anew.
  const passed = isModern ? PASSED_MODERN : mcpSession === null || facts.isResumable === false ? [] : PASSED_LEGACY
  for (const name of [...PASSED_ALWAYS, ...passed]) {
    const value = call.header(name)
    if (value !== null) headers.push([name, value])
  }
  if (isModern) headers.push(...call.mirroredParams())
  if (mcpSession !== null && !isModern) headers.push(['mcp-session-id', mcpSession.upstreamId])
  headers.push(...credentialHeader(vault, connection))
  return headers
}

function upstreamAccept(call: IncomingCall): string {
  return call.httpMethod === 'GET' ? 'text/event-stream' : ACCEPT_ANY
}

export function credentialHeader(vault: Vault, connection: Connection): HeaderList {
  if (connection.authType === 'none' || connection.sealedCredential === null) return []
  const credential = vault.open(connection.sealedCredential, connection.id)
  if (connection.authType === 'bearer') return [['authorization', `Bearer ${credential}`]]
  return connection.authHeaderName === null ? [] : [[connection.authHeaderName.toLowerCase(), credential]]
}

/** A connection that needs a credential but has none never calls the upstream bare. */
export function checkCredential(connection: Connection): Result<void> {
  if (connection.authType === 'none' || connection.sealedCredential !== null) return ok(undefined)
  return refuse('upstream_unreachable', `Connection "${connection.slug}" has no credential. Ask the operator of the gateway to set one.`)
}
