import type { RequestHandler } from './router.ts'

/** Loads the handler at its first request. A failure to load fails the requests that waited for it only: the next one tries again. */
export function lazyHandler(load: () => Promise<RequestHandler>): RequestHandler {
  let loading: Promise<RequestHandler> | null = null
  return {
    async handle(request) {
      loading ??= load().catch((error: unknown) => {
        loading = null
        throw error
      })
      return (await loading).handle(request)
    },
  }
}
