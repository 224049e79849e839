import { decodeHeaderText } from '../../../core/message/mirrored-headers.ts'
import type { UpstreamRequest } from '../../../core/ports.ts'
import { isJsonObject, numberOf, objectOr, type JsonObject } from '../legacy-over-modern/exact-json.ts'
import type { RpcError } from '../legacy-over-modern/messages.ts'
import { readMirroredParams, type MirroredParam } from '../legacy-over-modern/tool-headers.ts'
import type { ModernRequest } from './envelope.ts'

const HEADER_MISMATCH = -32020
const TOOLS_MAX = 10_000

/**
 * Which arguments of which tools are repeated in headers, as far as lists that went by have said. Servers of earlier revisions do not look at such
 * headers, so it falls to the bridge to hold them against the body.
 */
export class ParamHeaders {
  readonly #tools = new Map<string, MirroredParam[]>()

  /** Reads a response to `tools/list` that goes by. */
  note(response: JsonObject): void {
    const { tools } = objectOr(response.result)
    if (!Array.isArray(tools)) return
    for (const tool of tools as unknown[]) {
      if (!isJsonObject(tool) || typeof tool.name !== 'string') continue
      const mirrored = readMirroredParams(tool.inputSchema)
      // A tool that asks in a wrong way is one that clients must not call; the headers of one that does not ask mean nothing.
      if (typeof mirrored === 'string' || mirrored.length === 0) this.#tools.delete(tool.name)
      else if (this.#tools.size < TOOLS_MAX) this.#tools.set(tool.name, mirrored)
    }
  }

  /** What is wrong with the headers of a call; null where they agree with its arguments. */
  faultOf({ method, params }: Pick<ModernRequest, 'method' | 'params'>, request: Pick<UpstreamRequest, 'headers'>): RpcError | null {
    const mirrored = method === 'tools/call' ? this.#tools.get(String(params.name)) : undefined
    for (const { header, path } of mirrored ?? []) {
      const name = `mcp-param-${header.toLowerCase()}`
      const written = request.headers.find(([known]) => known === name)?.[1] ?? null
      const value = path.reduce<unknown>((level, key) => (isJsonObject(level) && Object.hasOwn(level, key) ? level[key] : undefined), params.arguments)
      const fault = headerFault(written, value)
      if (fault !== null) return { code: HEADER_MISMATCH, message: `The header Mcp-Param-${header} ${fault}.` }
    }
    return null
  }
}

function headerFault(written: string | null, value: unknown): string | null {
  const isThere = value !== undefined && value !== null
  if (written === null) return isThere ? 'is missing' : null
  if (!isThere) return 'repeats an argument that is not there'
  const text = textOf(written.trim())
  if (text === null) return 'is neither visible ASCII nor valid =?base64?...?='
  const number = numberOf(value)
  const agrees = number === null ? text === String(value) : text.trim() !== '' && Number(text) === number
  return agrees ? null : 'does not agree with the body'
}

/** What only begins like an encoded value is meant as it is written. */
function textOf(written: string): string | null {
  return written.startsWith('=?base64?') && !written.endsWith('?=') ? written : decodeHeaderText(written)
}
