import { PAGE_HEADERS } from '../../../views/layout.tsx'
import { ApiDocsPage } from '../../../views/pages/api-docs.tsx'
import { openApiDocument } from '../openapi.ts'
import { restHeaders } from '../rest-reply.ts'
import { route, type AnyRoute } from './route.ts'

/** `openapi.json` and the page made from it. They describe the routes given, and themselves. */
export function descriptionRoutes(routes: AnyRoute[], version: string): AnyRoute[] {
  const tag = 'Description'
  // Made at the first request: turning a hundred schemas into JSON would slow every start.
  let made: Record<string, unknown> | null = null
  const document = () => (made ??= openApiDocument([...routes, ...own], version))
  const own: AnyRoute[] = [
    route({
      method: 'GET', path: '/openapi.json', id: 'getOpenApi', tag, summary: 'This description, as OpenAPI 3.1', permission: null,
      answer: { kind: 'document', mediaTypes: ['application/json'], description: 'An OpenAPI document.' },
      run: async ({ requestId }) =>
        new Response(JSON.stringify(document()), { headers: { ...restHeaders(requestId), 'content-type': 'application/json; charset=utf-8' } }),
    }),
    route({
      method: 'GET', path: '/docs', id: 'getDocs', tag, summary: 'This description, as a page', permission: null,
      answer: { kind: 'document', mediaTypes: ['text/html'], description: 'A page that loads nothing else.' },
      run: async ({ requestId }) => {
        const page = await ApiDocsPage({ document: document() })
        return new Response(page, { headers: { ...restHeaders(requestId), ...PAGE_HEADERS } })
      },
    }),
  ]
  return own
}

