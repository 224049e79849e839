import { LRUCache } from 'lru-cache'
import type { ConnectionId } from '../core/ids.ts'
import type { Log } from '../core/ports.ts'
import type { EpochMs } from '../core/time.ts'
import type { ConnectionTools, KnownTool, ListOutcome, SeenTool, Sighting, ToolBook, ToolChange, ToolStore } from '../core/tools/known-tool.ts'

/** Of one connection. Further tools are not remembered, and none is ever forgotten for a new one: a flood of names frees no name for reuse. */
const TOOLS_MAX = 2000
/** Characters of definitions kept for one connection; beyond this a tool is known by its fingerprint alone. */
const DEFINITION_CHARS_TOTAL_MAX = 4_000_000

export interface ToolBookOptions {
  connectionsMax: number
  log: Log
}

/**
 * What is in memory is the truth; storage follows, in order, and is read again only after a start or when a connection was not used for long.
 * A definition counts as changed from the moment in which it is seen, before the list that has it is passed on.
 */
export function createToolBook(store: ToolStore, { connectionsMax, log }: ToolBookOptions): ToolBook {
  const books = new LRUCache<ConnectionId, ConnectionTools>({ max: connectionsMax })
  const loading = new Map<ConnectionId, Promise<ConnectionTools>>()
  /** The last write of each connection, so that nothing is read before it. */
  const writing = new Map<ConnectionId, Promise<void>>()

  function save(connectionId: ConnectionId, tools: readonly KnownTool[]): Promise<void> {
    const before = writing.get(connectionId)
    const write = (before ?? Promise.resolve()).catch(() => {}).then(() => store.save(connectionId, tools))
    writing.set(connectionId, write)
    const settle = () => {
      if (writing.get(connectionId) === write) writing.delete(connectionId)
    }
    write.then(settle, settle)
    return write
  }

  async function load(connectionId: ConnectionId): Promise<ConnectionTools> {
    await writing.get(connectionId)?.catch(() => {})
    const tools = connectionTools(await store.list(connectionId), {
      save: (changed) => save(connectionId, changed),
      say: (message, fields) => log.write('warn', message, { connectionId, ...fields }),
    })
    books.set(connectionId, tools)
    return tools
  }

  return {
    of(connectionId) {
      const known = books.get(connectionId)
      if (known !== undefined) return known
      let pending = loading.get(connectionId)
      if (pending === undefined) {
        pending = load(connectionId).finally(() => loading.delete(connectionId))
        loading.set(connectionId, pending)
      }
      return pending
    },
    peek: (connectionId) => books.get(connectionId) ?? null,
    forget: (connectionId) => void books.delete(connectionId),
  }
}

interface Written {
  save(tools: readonly KnownTool[]): Promise<void>
  say(message: string, fields: Record<string, unknown>): void
}

function connectionTools(stored: readonly KnownTool[], { save, say }: Written): ConnectionTools {
  const tools = new Map(stored.map((tool) => [tool.name, tool]))
  let chars = 0
  for (const tool of tools.values()) chars += charsOf(tool.definition)
  let lastList: ListOutcome | null = null
  /** A list was seen whole, or read from storage: what joins it now is new. */
  let isSettled = tools.size > 0
  /** What storage refused; tried again with the next write. */
  let unsaved: KnownTool[] = []

  async function keep(changed: readonly KnownTool[]): Promise<void> {
    if (changed.length === 0 && unsaved.length === 0) return
    const tried = [...unsaved, ...changed]
    unsaved = []
    try {
      await save(tried)
    } catch (error) {
      unsaved = [...tried, ...unsaved].slice(-TOOLS_MAX)
      say('the tools of a connection could not be stored', { error: String(error) })
    }
  }

  function bounded(seen: SeenTool): SeenTool {
    const size = charsOf(seen.definition)
    if (chars + size > DEFINITION_CHARS_TOTAL_MAX) return { ...seen, definition: {} }
    chars += size
    return seen
  }

  return {
    get size() {
      return tools.size
    },
    get: (name) => tools.get(name),
    all: () => [...tools.values()].sort((left, right) => (left.name < right.name ? -1 : 1)),
    see(seen, { now }) {
      const changed = new Map<string, KnownTool>()
      const changes: ToolChange[] = []
      const added: string[] = []
      for (const listed of seen) {
        const known = tools.get(listed.name)
        const next = known === undefined ? (tools.size < TOOLS_MAX ? discovered(bounded(listed), { now, isNew: isSettled }) : null) : seenAgain(known, listed, bounded, now)
        if (next === null || next === known) continue
        if (known === undefined && isSettled) added.push(next.name)
        if (known !== undefined && known.fingerprint !== next.fingerprint) changes.push(changeOf(known, next))
        tools.set(next.name, next)
        changed.set(next.name, next)
      }
      const sighting: Sighting = { changes, added, stored: keep([...changed.values()]) }
      return sighting
    },
    seeWhole(names, { now }) {
      const changed: KnownTool[] = []
      isSettled = true
      for (const tool of tools.values()) {
        if (tool.removedAt !== null || names.has(tool.name)) continue
        const next = { ...tool, removedAt: now }
        tools.set(tool.name, next)
        changed.push(next)
      }
      return keep(changed)
    },
    async accept(wanted, { label, now }) {
      const accepted = wanted.map((tool): KnownTool => ({
        ...tool, acceptedFingerprint: tool.fingerprint, acceptedDefinition: tool.definition, isNew: false, isChanged: false, acceptedAt: now, acceptedBy: label,
      }))
      await save(accepted)
      for (const next of accepted) {
        const current = tools.get(next.name)
        // Seen anew while this was stored: what was accepted is what the person saw.
        const isSame = current === undefined || current.fingerprint === next.fingerprint
        tools.set(next.name, isSame ? next : { ...next, fingerprint: current.fingerprint, definition: current.definition, isChanged: true, changedAt: current.changedAt })
      }
      const since = accepted.flatMap(({ name }) => tools.get(name) ?? []).filter(({ isChanged }) => isChanged)
      await keep(since)
      return accepted
    },
    get lastList() {
      return lastList
    },
    set lastList(outcome) {
      lastList = outcome
    },
  }
}

function discovered(seen: SeenTool, { now, isNew }: { now: EpochMs; isNew: boolean }): KnownTool {
  return {
    ...seen, acceptedFingerprint: seen.fingerprint, acceptedDefinition: seen.definition, isNew, isChanged: false, firstSeenAt: now, changedAt: null, removedAt: null,
    acceptedAt: null, acceptedBy: null,
  }
}

/** A change stays one when the upstream takes it back: it may show one face to some and another to others. Only a person ends it. */
function seenAgain(known: KnownTool, seen: SeenTool, bounded: (seen: SeenTool) => SeenTool, now: EpochMs): KnownTool {
  if (known.fingerprint === seen.fingerprint) return known.removedAt === null ? known : { ...known, removedAt: null }
  const { fingerprint, definition } = bounded(seen)
  const isBack = fingerprint === known.acceptedFingerprint
  return { ...known, fingerprint, definition: isBack ? known.acceptedDefinition : definition, isChanged: true, changedAt: now, removedAt: null }
}

function changeOf(before: KnownTool, after: KnownTool): ToolChange {
  return {
    name: after.name,
    before: { fingerprint: before.fingerprint, definition: before.definition },
    after: { fingerprint: after.fingerprint, definition: after.definition },
  }
}

function charsOf(definition: object): number {
  return JSON.stringify(definition).length
}
