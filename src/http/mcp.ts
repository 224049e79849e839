import type { Server } from 'bun'
import { ANONYMOUS } from '../core/caller.ts'
import { readMessage } from '../core/message/read.ts'
import { checkModernMethod } from '../core/message/methods.ts'
import { checkMirroredHeaders } from '../core/message/mirrored-headers.ts'
import type { HeaderList, Ids } from '../core/ports.ts'
import { refuse } from '../core/result.ts'
import type { Refusal } from '../core/result.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { IncomingCall, McpHttpMethod } from '../gateway/incoming-call.ts'
import { refused } from '../gateway/outcome.ts'
import { handleCall } from '../gateway/pipeline.ts'
import { shapeRefusal } from '../gateway/refusal-shape.ts'
import { headerText } from './header-text.ts'
import type { HostGuard } from './host-guard.ts'
import { baseHeaders, refusalResponse } from './reply.ts'
import { checkContentType, isAccepted, readBody } from './request-body.ts'

export const MCP_PREFIX = '/v1/mcp/'

export interface McpDoor {
  /** Answers a request whose path starts with `/v1/mcp/`. Never throws. */
  handle(request: Request, path: string, server: Server<unknown> | null): Promise<Response>
}

export interface McpDoorOptions {
  requestBytesMax: number
  depthMax: number
  batchMax: number
}

const BEARER = /^bearer +([^\s,]+)$/i
/** Headers whose text may hold more than ASCII. */
const UTF8_HEADERS = new Set(['x-igris-user', 'x-igris-metadata'])

/** The HTTP side of the MCP path: bytes in, one call to the pipeline, bytes out. Decides nothing. */
export function createMcpDoor(gw: Gateway, guard: HostGuard, ids: Ids, options: McpDoorOptions): McpDoor {
  return {
    async handle(request, path, server) {
      const requestId = ids.next('req')
      const method = request.method
      const isMcpMethod = method === 'POST' || method === 'GET' || method === 'DELETE'
      const foreign = guard.check(request)
      if (!foreign.ok) return refuseForeigner(gw, foreign, requestId)
      if (!isMcpMethod) return plainRefusal(refuse('method_not_allowed', 'Use POST, GET or DELETE on the MCP path.'), requestId)
      const { call, idText } = await readCall(request, method, path.slice(MCP_PREFIX.length), requestId, options)
      // The whole request is here: from now on only the pipeline's own limits end it, however long the upstream is silent.
      server?.timeout(request, 0)
      const { outcome, trail } = await handleCall(gw, call)
      const headers = baseHeaders(requestId, trail.assertions?.traceId ?? null)
      if (outcome.kind === 'refused') return refusalResponse(outcome, shapeRefusal(outcome.refusal, call, trail.connection), call, { idText, headers })
      headers.push(...outcome.headers)
      if (outcome.kind === 'streamed') return new Response(outcome.stream, { status: outcome.httpStatus, headers })
      return new Response(outcome.body as Uint8Array<ArrayBuffer> | null, { status: outcome.httpStatus, headers })
    },
  }
}

/** Reads the request without believing it: what is wrong with it is told in step order, after who is calling. */
async function readCall(request: Request, httpMethod: McpHttpMethod, slug: string, requestId: string, options: McpDoorOptions): Promise<{ call: IncomingCall; idText: string | null }> {
  const call: IncomingCall = {
    httpMethod,
    slug,
    requestId,
    credential: BEARER.exec(request.headers.get('authorization') ?? '')?.[1] ?? null,
    header: (name) => (UTF8_HEADERS.has(name) ? headerText(request.headers.get(name)) : request.headers.get(name)),
    mirroredParams: () => mirroredParams(request.headers),
    body: null,
    isBatch: false,
    messages: [],
    problem: acceptProblem(httpMethod, request.headers.get('accept')),
    signal: request.signal,
  }
  if (httpMethod !== 'POST') return { call, idText: null }
  const typed = checkContentType(request.headers)
  const body = await readBody(request, options.requestBytesMax).catch(() => refuse('invalid_request', 'The request body ended early.'))
  if (!body.ok || !typed.ok) {
    call.problem = typed.ok ? (body.ok ? null : body) : typed
    return { call, idText: body.ok && typed.ok ? null : body.ok ? idTextOf(body.value, options) : null }
  }
  const read = readMessage(body.value, options)
  if (!read.ok) {
    call.problem ??= refuse('invalid_request', read.message, { issues: read.issues })
    return { call, idText: read.idText }
  }
  call.body = body.value
  call.isBatch = read.body.isBatch
  call.messages = read.body.messages
  for (const message of read.body.messages) call.problem ??= checkMirroredHeaders(message, (name) => request.headers.get(name)) ?? checkModernMethod(message)
  return { call, idText: null }
}

function idTextOf(body: Uint8Array, options: McpDoorOptions): string | null {
  const read = readMessage(body, options)
  return read.ok ? (read.body.isBatch ? null : (read.body.messages[0]?.idText ?? null)) : read.idText
}

function acceptProblem(method: McpHttpMethod, accept: string | null): Refusal | null {
  if (method === 'DELETE') return null
  const isEnough = isAccepted(accept, 'text/event-stream') && (method === 'GET' || isAccepted(accept, 'application/json'))
  return isEnough ? null : refuse('not_acceptable', method === 'GET' ? 'The Accept header must allow text/event-stream.' : undefined)
}

function mirroredParams(headers: Headers): HeaderList {
  const mirrored: HeaderList = []
  for (const [name, value] of headers) if (name.startsWith('mcp-param-')) mirrored.push([name, value])
  return mirrored
}

async function refuseForeigner(gw: Gateway, refusal: Refusal, requestId: string): Promise<Response> {
  await gw.authFailures.note({ reason: 'A foreign Host or Origin came to the MCP path.', status: 'forbidden', organizationId: null, principal: ANONYMOUS, requestId })
  return plainRefusal(refusal, requestId)
}

function plainRefusal(refusal: Refusal, requestId: string): Response {
  const call = { messages: [], isBatch: false, requestId }
  return refusalResponse(refused(refusal), { form: 'error', httpStatus: shapeStatus(refusal) }, call, { idText: null, headers: baseHeaders(requestId, null) })
}

function shapeStatus(refusal: Refusal): number {
  return shapeRefusal(refusal, EMPTY_CALL, null).httpStatus
}

const EMPTY_CALL: IncomingCall = {
  httpMethod: 'GET', slug: '', requestId: '', credential: null, header: () => null, mirroredParams: () => [], body: null, isBatch: false, messages: [], problem: null, signal: new AbortController().signal,
}
