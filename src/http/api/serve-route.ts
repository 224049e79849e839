import type { Actor } from '../../core/caller.ts'
import type { Log } from '../../core/ports.ts'
import { refuse, type Result } from '../../core/result.ts'
import { restData, restRefusal } from '../rest-reply.ts'
import { readBody, readQuery } from './read-input.ts'
import type { AnyRoute } from './route.ts'

/** Tells who is asking, or refuses. One for the network (key, later cookie), another for the control socket. */
export type ResolveActor = (request: Request, requestId: string) => Promise<Result<Actor>>

export interface ServePorts {
  log: Log
  nextRequestId(): string
  resolveActor: ResolveActor
}

/** Who is asking comes first, before a byte of the body is read; then query and body; then the one operation. Never throws. */
export async function serveRoute(ports: ServePorts, route: AnyRoute, request: Request, params: Record<string, string>): Promise<Response> {
  return answered(ports, request, async (actor, requestId) => {
    const query = readQuery(request.url, route.query)
    if (!query.ok) return restRefusal(query, requestId)
    const body = await readBody(request, route.body, route.isBodyOptional ?? false, route.bodyBytesMax)
    if (!body.ok) return restRefusal(body, requestId)
    const resolveAgain = () => ports.resolveActor(request, requestId)
    const result = await route.run({ actor, params, query: query.value, body: body.value, request, requestId, resolveAgain })
    if (result instanceof Response) return result
    if (!result.ok) return restRefusal(result, requestId)
    return restData(result.value, { status: route.answer.kind === 'json' ? route.answer.status : 200, requestId })
  })
}

/** A path that exists, with a verb that it does not have. */
export function serveWrongMethod(ports: ServePorts, allowed: string[], request: Request): Promise<Response> {
  const allow = allowed.join(', ')
  return answered(ports, request, async (_actor, requestId) =>
    restRefusal(refuse('method_not_allowed', `This path answers ${allow} only.`), requestId, { allow }))
}

export function serveUnknownPath(ports: ServePorts, request: Request): Promise<Response> {
  return answered(ports, request, async (_actor, requestId) => restRefusal(refuse('not_found', 'The API has no such path.'), requestId))
}

async function answered(ports: ServePorts, request: Request, work: (actor: Actor, requestId: string) => Promise<Response>): Promise<Response> {
  const requestId = ports.nextRequestId()
  try {
    const actor = await ports.resolveActor(request, requestId)
    if (!actor.ok) return restRefusal(actor, requestId)
    return await work({ ...actor.value, requestId }, requestId)
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    ports.log.write('error', 'a request to the API failed', { requestId, error: detail })
    return restRefusal(refuse('internal', 'Igris failed on this request. Its log has the details under this request id.'), requestId)
  }
}
