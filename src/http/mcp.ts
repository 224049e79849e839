import type { Server } from 'bun'
import { ANONYMOUS } from '../core/caller.ts'
import { API_KEY_PATTERN } from '../core/key.ts'
import { readMessage } from '../core/message/read.ts'
import { checkModernMethod } from '../core/message/methods.ts'
import { checkMirroredHeaders } from '../core/message/mirrored-headers.ts'
import type { HeaderList, Ids } from '../core/ports.ts'
import { refuse } from '../core/result.ts'
import type { Refusal } from '../core/result.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { IncomingCall, McpHttpMethod } from '../gateway/incoming-call.ts'
import { refused } from '../gateway/outcome.ts'
import type { Outcome } from '../gateway/outcome.ts'
import { handleCall } from '../gateway/pipeline.ts'
import { shapeRefusal } from '../gateway/refusal-shape.ts'
import type { Trail } from '../gateway/trail.ts'
import { headerText } from './header-text.ts'
import type { HostGuard } from './host-guard.ts'
import { hasOwnOrigin } from './same-origin.ts'
import { readSessionToken } from './session-cookie.ts'
import { createOldTransport, sessionIdIn } from './old-transport/old-transport.ts'
import type { OldTransport } from './old-transport/old-transport.ts'
import { baseHeaders, refusalResponse } from './reply.ts'
import { ByteBudget, checkContentType, isAccepted, readBody } from './request-body.ts'

export const MCP_PREFIX = '/v1/mcp/'

export interface McpDoor {
  /** Answers a request whose path starts with `/v1/mcp/`. Never throws. */
  handle(request: Request, path: string, server: Server<unknown> | null): Promise<Response>
}

export interface McpDoorOptions {
  requestBytesMax: number
  depthMax: number
  batchMax: number
  /** Of a socket that neither sends a request nor waits for an upstream. */
  idleTimeoutSeconds: number
  /** Where people reach Igris: the origin from which a session cookie is accepted, besides the request's own host. */
  publicUrl?: string | undefined
}

const BEARER = /^bearer +([^\s,]+)$/i
/** Headers whose text may hold more than ASCII. */
const UTF8_HEADERS = new Set(['x-igris-user', 'x-igris-metadata'])

/** What was read of one request; its bytes count against the budget until they are given back. */
interface ReadCall {
  call: IncomingCall
  /** For a refusal where no message could be read. */
  idText: string | null
  held: number
}

/** Enough for the id of a stranger's request, which is all that its answer needs. */
const STRANGER_BYTES_MAX = 64 * 1024
/** How many requests of the largest size may be held at one time. */
const LARGEST_REQUESTS_HELD = 16

/** The HTTP side of the MCP path: bytes in, one call to the pipeline, bytes out. Decides nothing. */
export function createMcpDoor(gw: Gateway, guard: HostGuard, ids: Ids, options: McpDoorOptions): McpDoor {
  const limits: ReadLimits = { ...options, budget: new ByteBudget(LARGEST_REQUESTS_HELD * options.requestBytesMax) }
  const old = createOldTransport(gw)
  return {
    async handle(request, path, server) {
      const requestId = ids.next('req')
      const method = request.method
      const isMcpMethod = method === 'POST' || method === 'GET' || method === 'DELETE'
      const foreign = guard.check(request)
      if (!foreign.ok) return refuseForeigner(gw, foreign, request, requestId, limits)
      if (!isMcpMethod) return plainRefusal(refuse('method_not_allowed', 'Use POST, GET or DELETE on the MCP path.'), requestId, null)
      const { call, idText, held } = await readCall(request, method, path.slice(MCP_PREFIX.length), requestId, limits)
      const endpointId = method === 'POST' ? sessionIdIn(request.url) : null
      if (endpointId !== null) return answerOldPost(gw, old, endpointId, { call, idText, giveBack: () => limits.budget.give(held) })
      if (server !== null) governTimeout(call, request, server, options.idleTimeoutSeconds)
      const { outcome, trail } = await handleCall(old.isOpening(call) ? old.opening(call) : gw, call).finally(() => limits.budget.give(held))
      return answerOf(call, outcome, trail, idText)
    },
  }
}

function answerOf(call: IncomingCall, outcome: Outcome, trail: Trail, idText: string | null): Response {
  const headers = baseHeaders(call.requestId, trail.assertions?.traceId ?? null)
  if (outcome.kind === 'refused') return refusalResponse(outcome, shapeRefusal(outcome.refusal, call, trail.connection), call, { idText, headers })
  headers.push(...outcome.headers)
  if (outcome.kind === 'streamed') return new Response(outcome.stream, { status: outcome.httpStatus, headers })
  return new Response(outcome.body as Uint8Array<ArrayBuffer> | null, { status: outcome.httpStatus, headers })
}

/**
 * A POST to an endpoint of the old transport: what holds a request is accepted, and answered on the stream. What is wrong with the POST
 * itself, and what became of a notification or a response, its status says.
 */
async function answerOldPost(gw: Gateway, old: OldTransport, endpointId: string, posted: { call: IncomingCall; idText: string | null; giveBack(): void }): Promise<Response> {
  const { idText, giveBack } = posted
  const session = old.find(endpointId, posted.call)
  if (session === null) posted.call.problem = refuse('session_not_found', 'There is no such endpoint for this key. Open the event stream again.')
  const call = session === null ? posted.call : session.callOf(posted.call)
  const handled = handleCall(gw, call).finally(giveBack)
  if (session !== null && call.problem === null && call.messages.some(({ kind }) => kind === 'request')) {
    session.deliver(call, handled)
    return new Response(null, { status: 202, headers: baseHeaders(call.requestId, null) })
  }
  const { outcome, trail } = await handled
  session?.noteTold(call, outcome)
  if (outcome.kind !== 'refused') outcome.headers = outcome.headers.filter(([name]) => name !== 'mcp-session-id')
  return answerOf(call, outcome, trail, idText)
}

/**
 * While the upstream works, only the pipeline's own limits end a call, however long it is silent; before and after, a socket that
 * does nothing is closed. The runtime keeps the setting for the socket, so it must be set back.
 */
function governTimeout(call: IncomingCall, request: Request, server: Server<unknown>, idleTimeoutSeconds: number): void {
  call.holdSocket = () => server.timeout(request, 0)
  call.releaseSocket = () => server.timeout(request, idleTimeoutSeconds)
}

interface ReadLimits extends McpDoorOptions {
  budget: ByteBudget
}

/** Reads the request without believing it: what is wrong with it is told in step order, after who is calling. */
async function readCall(request: Request, httpMethod: McpHttpMethod, slug: string, requestId: string, limits: ReadLimits): Promise<ReadCall> {
  const call: IncomingCall = {
    httpMethod,
    slug,
    requestId,
    credential: BEARER.exec(request.headers.get('authorization') ?? '')?.[1] ?? null,
    sessionToken: request.headers.has('authorization') || !hasOwnOrigin(request, limits.publicUrl) ? null : readSessionToken(request.headers),
    header: (name) => (UTF8_HEADERS.has(name) ? headerText(request.headers.get(name)) : request.headers.get(name)),
    mirroredParams: () => mirroredParams(request.headers),
    body: null,
    isBatch: false,
    messages: [],
    problem: acceptProblem(httpMethod, request),
    signal: request.signal,
    holdSocket: () => {},
    releaseSocket: () => {},
  }
  if (httpMethod !== 'POST') return { call, idText: null, held: 0 }
  const typed = checkContentType(request.headers)
  if (!typed.ok) call.problem = typed
  const isStranger = call.sessionToken == null && (call.credential === null || !API_KEY_PATTERN.test(call.credential))
  const { body, held, idText } = await readBody(request, { budget: limits.budget, bytesMax: isStranger ? Math.min(STRANGER_BYTES_MAX, limits.requestBytesMax) : limits.requestBytesMax })
  if (!body.ok) {
    if (typed.ok) call.problem = body
    return { call, idText, held }
  }
  const read = readMessage(body.value, limits)
  if (!read.ok) {
    call.problem ??= refuse('invalid_request', read.message, { issues: read.issues })
    return { call, idText: read.idText, held }
  }
  call.body = body.value
  call.isBatch = read.body.isBatch
  call.messages = read.body.messages
  for (const message of read.body.messages) call.problem ??= checkMirroredHeaders(message, (name) => request.headers.get(name)) ?? checkModernMethod(message)
  return { call, idText: null, held }
}

function acceptProblem(method: McpHttpMethod, request: Request): Refusal | null {
  // In the old transport the answer to a POST comes elsewhere.
  if (method === 'DELETE' || (method === 'POST' && sessionIdIn(request.url) !== null)) return null
  const accept = request.headers.get('accept')
  const isEnough = isAccepted(accept, 'text/event-stream') && (method === 'GET' || isAccepted(accept, 'application/json'))
  return isEnough ? null : refuse('not_acceptable', method === 'GET' ? 'The Accept header must allow text/event-stream.' : undefined)
}

function mirroredParams(headers: Headers): HeaderList {
  const mirrored: HeaderList = []
  for (const [name, value] of headers) if (name.startsWith('mcp-param-')) mirrored.push([name, value])
  return mirrored
}

async function refuseForeigner(gw: Gateway, refusal: Refusal, request: Request, requestId: string, limits: ReadLimits): Promise<Response> {
  const { body, held, idText } = await readBody(request, { budget: limits.budget, bytesMax: STRANGER_BYTES_MAX })
  const read = body.ok ? readMessage(body.value, limits) : null
  limits.budget.give(held)
  await gw.authFailures.note({ reason: 'A foreign Host or Origin came to the MCP path.', status: 'forbidden', organizationId: null, principal: ANONYMOUS, requestId })
  return plainRefusal(refusal, requestId, read === null ? idText : read.ok ? (read.body.messages[0]?.idText ?? null) : read.idText)
}

function plainRefusal(refusal: Refusal, requestId: string, idText: string | null): Response {
  const call = { messages: [], isBatch: false, requestId }
  return refusalResponse(refused(refusal), { form: 'error', httpStatus: shapeStatus(refusal) }, call, { idText, headers: baseHeaders(requestId, null) })
}

function shapeStatus(refusal: Refusal): number {
  return shapeRefusal(refusal, EMPTY_CALL, null).httpStatus
}

const EMPTY_CALL: IncomingCall = {
  httpMethod: 'GET', slug: '', requestId: '', credential: null, header: () => null, mirroredParams: () => [], body: null, isBatch: false, messages: [], problem: null, signal: new AbortController().signal, holdSocket: () => {}, releaseSocket: () => {},
}
