import {
  createMcpHandler, hostHeaderValidationResponse, isLegacyRequest, localhostAllowedHostnames, localhostAllowedOrigins, McpServer, originValidationResponse,
} from '@modelcontextprotocol/server'
import { addAskingTools } from './asking-tools.ts'
import { addListChangingTools } from './changing-lists.ts'
import type { ListChanges } from './changing-lists.ts'
import { addInputRequiredTools, stateCodec } from './input-required.ts'
import { addPlainTools } from './plain-tools.ts'
import { addPrompts } from './prompts.ts'
import { addResources, addSubscriptions } from './resources.ts'
import { addSchemaTools } from './schema-tools.ts'
import { createSessions } from './sessions.ts'
import { addStreamingTools } from './streaming-tools.ts'

export interface ConformanceServer {
  url: string
  /** MCP sessions of the older revisions that are open. */
  sessions(): number
  stop(): Promise<void>
}

/**
 * A server with everything that the official conformance suite asks for, in all revisions from 2025-03-26 to 2026-07-28 at one address
 * on the loopback. With one era alone it knows nothing of the other.
 */
export async function startConformanceServer({ eras = 'both' }: { eras?: 'both' | 'modern' | 'legacy' } = {}): Promise<ConformanceServer> {
  const modern = createMcpHandler(() => buildServer('modern', () => modern.notify), { legacy: 'reject' })
  const sessions = createSessions(buildLegacyServer)
  const listener = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    development: false,
    async fetch(request) {
      const foreign = hostHeaderValidationResponse(request, localhostAllowedHostnames()) ?? originValidationResponse(request, localhostAllowedOrigins())
      if (foreign !== undefined) return foreign
      const isLegacy = eras === 'both' ? await isLegacyRequest(request) : eras === 'legacy'
      return isLegacy ? sessions.handle(request) : modern.fetch(request)
    },
  })
  return {
    url: `http://localhost:${listener.port}/mcp`,
    sessions: () => sessions.count(),
    async stop() {
      await Promise.all([modern.close(), sessions.close()])
      await listener.stop(true)
    },
  }
}

export function buildLegacyServer(): McpServer {
  const server = buildServer('legacy', () => ({
    toolsChanged: () => server.sendToolListChanged(),
    promptsChanged: () => server.sendPromptListChanged(),
    resourceUpdated: (uri) => void server.server.sendResourceUpdated({ uri }),
  }))
  return server
}

export function buildServer(era: 'modern' | 'legacy', changes: () => ListChanges): McpServer {
  const list = { ttlMs: 1000, cacheScope: 'public' as const }
  const server = new McpServer({ name: 'conformance-everything', version: '1.0.0' }, {
    capabilities: { logging: {}, completions: {}, tools: { listChanged: true }, prompts: { listChanged: true }, resources: { listChanged: true, subscribe: true } },
    requestState: { verify: (state, ctx) => stateCodec.verify(state, ctx) },
    cacheHints: { 'tools/list': list, 'prompts/list': list, 'resources/list': list, 'resources/templates/list': list, 'server/discover': list },
  })
  addPlainTools(server)
  addStreamingTools(server)
  addAskingTools(server, era)
  addInputRequiredTools(server)
  addSchemaTools(server)
  addListChangingTools(server, changes)
  addPrompts(server)
  addResources(server)
  if (era === 'legacy') addSubscriptions(server)
  return server
}
