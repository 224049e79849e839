import type { JsonObject } from './exact-json.ts'
import { isJsonObject, numberOf } from './exact-json.ts'
import { readMirroredParams, type MirroredParam } from './tool-headers.ts'

const INDEXES_MAX = 2000
const TOOLS_MAX = 10_000
const PAGES_MAX = 100
/** A list is not asked for more often than this, whatever its hint says: a server tells by its error when a header is missing. */
const FRESH_MS_MIN = 60_000
const FRESH_MS_MAX = 3_600_000

interface Index {
  tools: Map<string, MirroredParam[]>
  freshUntil: number
}

/** Which arguments of which tools are repeated in headers, by whose list it was. Kept with the list's own hints, and bounded. */
export class ToolIndex {
  readonly #now: () => number
  readonly #indexes = new Map<string, Index>()
  /** One look at a time for each owner: calls that come meanwhile wait for it. */
  readonly #running = new Map<string, Promise<Index>>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** `list` fetches one page of `tools/list`; null when the server does not answer it. */
  async paramsOf(owner: string, tool: string, list: (cursor: unknown) => Promise<JsonObject | null>): Promise<MirroredParam[]> {
    const known = this.#indexes.get(owner)
    if (known !== undefined && known.freshUntil > this.#now()) return known.tools.get(tool) ?? []
    const index = await (this.#running.get(owner) ?? this.#fetchFor(owner, list))
    return index.tools.get(tool) ?? []
  }

  forget(owner: string): void {
    this.#indexes.delete(owner)
  }

  clear(ownerPrefix: string): void {
    for (const owner of this.#indexes.keys()) if (owner.startsWith(ownerPrefix)) this.#indexes.delete(owner)
  }

  #fetchFor(owner: string, list: (cursor: unknown) => Promise<JsonObject | null>): Promise<Index> {
    const running = this.#fetch(list)
      .then((index) => (this.#keep(owner, index), index))
      .finally(() => this.#running.delete(owner))
    this.#running.set(owner, running)
    return running
  }

  async #fetch(list: (cursor: unknown) => Promise<JsonObject | null>): Promise<Index> {
    const tools = new Map<string, MirroredParam[]>()
    let ttlMs = 0
    let cursor: unknown
    for (let page = 0; page < PAGES_MAX && tools.size < TOOLS_MAX; page++) {
      const result = await list(cursor)
      if (result === null) break
      for (const tool of Array.isArray(result.tools) ? (result.tools as unknown[]) : []) {
        if (!isJsonObject(tool) || typeof tool.name !== 'string') continue
        const mirrored = readMirroredParams(tool.inputSchema)
        if (typeof mirrored !== 'string' && mirrored.length > 0) tools.set(tool.name, mirrored)
      }
      ttlMs = numberOf(result.ttlMs) ?? 0
      cursor = result.nextCursor
      if (typeof cursor !== 'string') break
    }
    return { tools, freshUntil: this.#now() + Math.min(FRESH_MS_MAX, Math.max(FRESH_MS_MIN, ttlMs)) }
  }

  #keep(owner: string, index: Index): void {
    this.#indexes.delete(owner)
    this.#indexes.set(owner, index)
    const [oldest] = this.#indexes.keys()
    if (this.#indexes.size > INDEXES_MAX && oldest !== undefined) this.#indexes.delete(oldest)
  }
}
