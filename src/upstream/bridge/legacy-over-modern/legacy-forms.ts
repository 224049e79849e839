import { SERVER_INFO } from './envelope.ts'
import { isJsonObject, objectOr, type JsonObject } from './exact-json.ts'
import { INTERNAL_ERROR, INVALID_REQUEST, type RpcError } from './messages.ts'
import { readMirroredParams } from './tool-headers.ts'

/** What the server says of itself in `server/discover`. */
export interface ModernServer {
  capabilities: JsonObject
  serverInfo: JsonObject
  instructions: unknown
}

export const LEGACY_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const

/** The version that the client asked for where it is one before 2026-07-28, else the last of those. */
export function negotiatedVersion(asked: unknown): string {
  return LEGACY_VERSIONS.find((version) => version === asked) ?? LEGACY_VERSIONS[0]
}

export function readDiscovery(result: JsonObject): ModernServer {
  return { capabilities: objectOr(result.capabilities), serverInfo: objectOr(objectOr(result._meta)[SERVER_INFO]), instructions: result.instructions }
}

/** The result of `initialize` in the words of a legacy server. */
export function initializeResult(server: ModernServer, protocolVersion: string): JsonObject {
  const { name, version } = server.serverInfo
  return {
    protocolVersion,
    capabilities: legacyCapabilities(server.capabilities),
    // Both are required of a legacy server, and may be missing here.
    serverInfo: { ...server.serverInfo, name: typeof name === 'string' ? name : 'unknown', version: typeof version === 'string' ? version : 'unknown' },
    ...(typeof server.instructions === 'string' ? { instructions: server.instructions } : {}),
  }
}

/** Tasks became an extension with methods of its own, which a legacy client cannot follow. */
function legacyCapabilities({ tasks: _tasks, extensions, ...capabilities }: JsonObject): JsonObject {
  const { 'io.modelcontextprotocol/tasks': _extension, ...others } = objectOr(extensions)
  return Object.keys(others).length === 0 ? capabilities : { ...capabilities, extensions: others }
}

/** A complete result as a legacy server would give it. `onDropped` learns of tools that are left out, and why. */
export function legacyResult(method: string, result: JsonObject, options: { hasHeaders: boolean; onDropped(tool: string, why: string): void }): JsonObject {
  const { resultType: _resultType, ...legacy } = result
  if (method === 'tools/list' && Array.isArray(legacy.tools)) return { ...legacy, tools: (legacy.tools as unknown[]).flatMap((tool) => legacyTool(tool, options)) }
  if (method === 'tools/call' && legacy.structuredContent !== undefined && !isJsonObject(legacy.structuredContent)) return withoutStructure(legacy)
  return legacy
}

/** Where arguments go into headers, tools whose schema does it wrongly must be left out by the client, which is the bridge. */
function legacyTool(tool: unknown, { hasHeaders, onDropped }: { hasHeaders: boolean; onDropped(tool: string, why: string): void }): unknown[] {
  if (!isJsonObject(tool)) return [tool]
  const mirrored = hasHeaders ? readMirroredParams(tool.inputSchema) : []
  if (typeof mirrored === 'string') {
    onDropped(String(tool.name), mirrored)
    return []
  }
  const { outputSchema, ...rest } = tool
  // Before 2026-07-28 it describes an object, and clients refuse the whole list where it does not.
  return outputSchema === undefined || objectOr(outputSchema).type === 'object' ? [tool] : [rest]
}

/** Structured content that is no object is unknown to legacy clients: it becomes text where there is none. */
function withoutStructure({ structuredContent, ...legacy }: JsonObject): JsonObject {
  if (Array.isArray(legacy.content) && legacy.content.length > 0) return legacy
  return { ...legacy, content: [{ type: 'text', text: JSON.stringify(structuredContent) }] }
}

export const HEADER_MISMATCH = -32020
const MISSING_CAPABILITY = -32021
const UNSUPPORTED_VERSION = -32022

/** Errors that only 2026-07-28 knows, in words and codes that a legacy client can make sense of. */
export function legacyError(error: unknown): RpcError {
  const { code, message, data } = objectOr(error)
  const kept = data === undefined ? {} : { data }
  const said = typeof message === 'string' ? message : 'no reason given'
  switch (code) {
    case HEADER_MISMATCH:
      return { code: INTERNAL_ERROR, message: `The MCP server did not accept the headers that this gateway made of the call: ${said}`, ...kept }
    case MISSING_CAPABILITY:
      return { code: INVALID_REQUEST, message: `The MCP server needs a capability that this client did not offer when it initialized: ${said}`, ...kept }
    case UNSUPPORTED_VERSION:
      return { code: INTERNAL_ERROR, message: `The MCP server speaks neither 2026-07-28 nor an earlier revision: ${said}`, ...kept }
    default:
      return { code: typeof code === 'number' ? code : INTERNAL_ERROR, message: said, ...kept }
  }
}
