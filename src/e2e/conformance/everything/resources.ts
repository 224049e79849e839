import { ResourceTemplate } from '@modelcontextprotocol/server'
import type { McpServer } from '@modelcontextprotocol/server'
import { PNG_BASE64 } from './samples.ts'

const cacheHint = { ttlMs: 1000, cacheScope: 'public' as const }

export function addResources(server: McpServer): void {
  const plain = { description: 'A text that never changes.', mimeType: 'text/plain', cacheHint }
  server.registerResource('static-text', 'test://static-text', plain, ({ href }) => ({
    contents: [{ uri: href, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
  }))
  server.registerResource('static-binary', 'test://static-binary', { description: 'An image that never changes.', mimeType: 'image/png', cacheHint }, ({ href }) => ({
    contents: [{ uri: href, mimeType: 'image/png', blob: PNG_BASE64 }],
  }))
  server.registerResource('watched', 'test://watched-resource', { ...plain, description: 'A text that can be watched.' }, ({ href }) => ({
    contents: [{ uri: href, mimeType: 'text/plain', text: 'Watched.' }],
  }))
  server.registerResource(
    'template', new ResourceTemplate('test://template/{id}/data', { list: undefined }), { description: 'A text for every id.', mimeType: 'application/json', cacheHint },
    ({ href }, { id }) => ({ contents: [{ uri: href, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${String(id)}` }) }] }),
  )
}

/** Subscriptions of the revisions before 2026-07-28. */
export function addSubscriptions({ server }: McpServer): void {
  const watched = new Set<string>()
  server.registerCapabilities({ resources: { subscribe: true } })
  server.setRequestHandler('resources/subscribe', ({ params }) => {
    watched.add(params.uri)
    return {}
  })
  server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    watched.delete(params.uri)
    return {}
  })
}
