import type { Log } from '../core/ports.ts'
import type { Result } from '../core/result.ts'
import { refuse } from '../core/result.ts'
import { restData, restRefusal } from './rest-reply.ts'
import type { RequestHandler } from './router.ts'

/** What only the local operator may do: whoever can open the socket file owns the installation anyway. */
export interface LocalOperations {
  status(): Promise<Record<string, unknown>>
  init(input: unknown): Promise<Result<unknown>>
  rotateMasterKey(newKey: string | undefined): Promise<Result<unknown>>
  resetPassword(input: unknown): Promise<Result<unknown>>
  backup(path: string): Promise<Result<void>>
}

/** The control socket: the REST API as the local operator, and the operations that no key may ask for. A fault is logged and answered as one. */
export function createControlSocket(deps: { api: RequestHandler; operations: LocalOperations; log: Log; nextRequestId(): string }): (request: Request) => Promise<Response> {
  return async (request) => {
    const { pathname } = new URL(request.url)
    const requestId = deps.nextRequestId()
    try {
      if (!pathname.startsWith('/control/')) return await deps.api.handle(request)
      const result = await runOperation(deps.operations, request, pathname)
      return result.ok ? restData({ data: result.value ?? {} }, { status: 200, requestId }) : restRefusal(result, requestId)
    } catch (error) {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
      deps.log.write('error', 'a request to the control socket failed', { requestId, error: detail })
      return restRefusal(refuse('internal', 'Igris failed on this request. Its log has the details under this request id.'), requestId)
    }
  }
}

async function runOperation(operations: LocalOperations, request: Request, pathname: string): Promise<Result<unknown>> {
  if (request.method === 'GET' && pathname === '/control/status') return { ok: true, value: await operations.status() }
  if (request.method !== 'POST') return refuse('method_not_allowed')
  const input: unknown = await request.json().catch(() => null)
  const fields = typeof input === 'object' && input !== null ? (input as Record<string, unknown>) : {}
  switch (pathname) {
    case '/control/init':
      return operations.init(input)
    case '/control/rotate-master-key':
      return operations.rotateMasterKey(typeof fields.newKey === 'string' ? fields.newKey : undefined)
    case '/control/reset-password':
      return operations.resetPassword(input)
    case '/control/backup':
      return typeof fields.path === 'string' ? operations.backup(fields.path) : refuse('invalid_request', 'path is needed.', { issues: [{ path: 'path', message: 'is needed' }] })
    default:
      return refuse('not_found')
  }
}
