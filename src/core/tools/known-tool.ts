import type { ConnectionId } from '../ids.ts'
import type { EpochMs } from '../time.ts'

/** What an upstream says about a tool besides its name: all that a model reads of it. Fields that it left out are left out here. */
export interface ToolDefinition {
  title?: unknown
  description?: unknown
  inputSchema?: unknown
  outputSchema?: unknown
  annotations?: unknown
}

export const DEFINITION_FIELDS = ['title', 'description', 'inputSchema', 'outputSchema', 'annotations'] as const

/** One tool of one connection as it is remembered. Never changed in place. */
export interface KnownTool {
  name: string
  /** SHA-256 over the canonical form of the whole definition, as the upstream listed it last. */
  fingerprint: string
  /** The same definition, bounded: parts of one that is too large to keep are cut. */
  definition: ToolDefinition
  /** What a change is told from: the definition that a person accepted, else the first one that was seen. */
  acceptedFingerprint: string
  acceptedDefinition: ToolDefinition
  /** It joined a list that was known before, and nobody has accepted it yet. */
  isNew: boolean
  /** Its definition differed from the accepted one at some time, and nobody has accepted that yet. */
  isChanged: boolean
  firstSeenAt: EpochMs
  changedAt: EpochMs | null
  /** Since when whole lists lack it; null while they have it. */
  removedAt: EpochMs | null
  acceptedAt: EpochMs | null
  /** Label of the person; null while nobody accepted it by hand. */
  acceptedBy: string | null
}

export type ToolState = 'known' | 'new' | 'changed' | 'removed'

/** What asks for a person's eye comes first. */
export function stateOf(tool: KnownTool): ToolState {
  if (tool.isChanged) return 'changed'
  if (tool.removedAt !== null) return 'removed'
  return tool.isNew ? 'new' : 'known'
}

/** The tools of each connection; they go with it. */
export interface ToolStore {
  /** By name. */
  list(connectionId: ConnectionId): Promise<KnownTool[]>
  /** One transaction: inserts or replaces by name. Does nothing for a connection that is gone. */
  save(connectionId: ConnectionId, tools: readonly KnownTool[]): Promise<void>
}

/** A tool as a list that just passed has it, read and measured. */
export interface SeenTool {
  name: string
  fingerprint: string
  definition: ToolDefinition
}

/** How the last list of a connection ended. */
export interface ListOutcome {
  at: EpochMs
  outcome: 'listed' | 'empty' | 'all_hidden' | 'failed'
  /** In the last answer, as it was sent to the caller. */
  tools: number
  hidden: number
  /** One sentence where something is to be said about it. */
  notice: string | null
}

/** A tool whose definition is another one than the last list had, with the two definitions. */
export interface ToolChange {
  name: string
  before: { fingerprint: string; definition: ToolDefinition }
  after: { fingerprint: string; definition: ToolDefinition }
}

export interface Sighting {
  /** Told apart from the definition that was seen last, so that each change is found once. */
  changes: ToolChange[]
  /** Names that joined a list which was known before. */
  added: string[]
  /** Resolves once what is new is stored; never rejects: what could not be stored is still held in memory. */
  stored: Promise<void>
}

/** The tools of one connection in memory: the truth while the process runs. */
export interface ConnectionTools {
  readonly size: number
  get(name: string): KnownTool | undefined
  all(): KnownTool[]
  /** Takes a list, or one page of it, into account. At once; only the storing takes time. Until a list was seen whole, no tool counts as new. */
  see(seen: readonly SeenTool[], facts: { now: EpochMs }): Sighting
  /** A whole list had these names and no others. Resolves when it is stored; never rejects. */
  seeWhole(names: ReadonlySet<string>, facts: { now: EpochMs }): Promise<void>
  /** What is listed now counts as accepted from here on. Resolves when it is stored, and rejects when it cannot be. */
  accept(tools: readonly KnownTool[], by: { label: string; now: EpochMs }): Promise<KnownTool[]>
  lastList: ListOutcome | null
}

/** The tools of every connection, loaded when first asked for. */
export interface ToolBook {
  of(connectionId: ConnectionId): ConnectionTools | Promise<ConnectionTools>
  /** The connection's tools where they are in memory already. */
  peek(connectionId: ConnectionId): ConnectionTools | null
  /** The connection is gone. */
  forget(connectionId: ConnectionId): void
}
