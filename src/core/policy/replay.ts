import type { AuditAction, AuditEvent } from '../audit.ts'
import type { CompiledPolicies } from './compile.ts'
import { decide } from './decide.ts'
import type { CallFacts, PolicyTarget } from './decision.ts'

/** A call as it is on record, ready to be judged again. */
export interface RecordedCall {
  /** Of the audit event. */
  id: string
  facts: CallFacts
  /** What was decided then. */
  action: AuditAction
  /** False where the record holds no arguments, or only part of them: then rules on `args` may come out otherwise than they would have. */
  hasArguments: boolean
}

/** Calls of one tool by one caller that the draft decides otherwise in the same way. */
export interface ReplayGroup {
  connection: string
  kind: PolicyTarget['kind']
  name: string
  /** Label of the key. */
  caller: string
  from: AuditAction
  to: AuditAction
  count: number
  /** How many of them were judged without their arguments. */
  withoutArguments: number
  /** The draft's reason for the first of them. */
  reason: string
  /** Ids of the first few audit events. */
  examples: string[]
}

export interface ReplayReport {
  calls: number
  changed: number
  /** Each pair of old and new decision with its count, unchanged ones too, e.g. `allow → deny`. */
  transitions: Record<string, number>
  /** Largest first. */
  groups: ReplayGroup[]
  /** Changed calls that found no room in the groups. */
  ungrouped: number
}

const GROUPS_MAX = 1000
const EXAMPLES_MAX = 3

/**
 * What a draft would have decided on calls that happened. Fed call by call, so that any number of them streams through; rate limits are
 * not played again.
 */
export class Replay {
  readonly #draft: CompiledPolicies
  readonly #groups = new Map<string, ReplayGroup>()
  readonly #transitions = new Map<string, number>()
  #calls = 0
  #changed = 0
  #ungrouped = 0

  constructor(draft: CompiledPolicies) {
    this.#draft = draft
  }

  add(call: RecordedCall): void {
    const decision = decide(this.#draft, call.facts)
    const transition = `${call.action} → ${decision.action}`
    this.#calls += 1
    this.#transitions.set(transition, (this.#transitions.get(transition) ?? 0) + 1)
    if (decision.action === call.action) return
    this.#changed += 1
    const { connection, target: { kind, name }, key: { label: caller } } = call.facts
    const id = JSON.stringify([connection, kind, name, caller, transition])
    let group = this.#groups.get(id)
    if (group === undefined) {
      if (this.#groups.size >= GROUPS_MAX) {
        this.#ungrouped += 1
        return
      }
      group = { connection, kind, name, caller, from: call.action, to: decision.action, count: 0, withoutArguments: 0, reason: decision.reason, examples: [] }
      this.#groups.set(id, group)
    }
    group.count += 1
    if (!call.hasArguments) group.withoutArguments += 1
    if (group.examples.length < EXAMPLES_MAX) group.examples.push(call.id)
  }

  /** May be asked at any time, for progress too. */
  report(): ReplayReport {
    const groups = [...this.#groups.values()].sort((left, right) => right.count - left.count || (left.name < right.name ? -1 : 1))
    return { calls: this.#calls, changed: this.#changed, transitions: Object.fromEntries(this.#transitions), groups: groups.map((group) => ({ ...group, examples: [...group.examples] })), ungrouped: this.#ungrouped }
  }
}

const KINDS = new Set<unknown>(['tool', 'resource', 'prompt'])

/**
 * The facts of a recorded call; null for an event that no policy judged, for one that named several targets, and for a call that
 * something else refused (a rate limit, a kill switch, a bound): its row says `deny`, which no rule meant. Masked and cut values stand
 * as they are on record. `sessionCalls` is not, and comes from the caller.
 */
export function recordedCall(event: AuditEvent, sessionCalls = 0): RecordedCall | null {
  // An anomaly names the tool that it is about.
  if (event.type !== 'tool_call' && event.type !== 'mcp_message') return null
  const target = recordedTarget(event)
  if (target === null || event.connection === null || event.action === null) return null
  if (event.action === 'deny' && event.status !== 'denied') return null
  const { arguments: args } = event
  const isObject = typeof args === 'object' && args !== null && !Array.isArray(args)
  return {
    id: event.id,
    action: event.action,
    hasArguments: isObject,
    facts: {
      connection: event.connection,
      target,
      user: event.user,
      metadata: event.metadata,
      args: isObject ? (args as Record<string, unknown>) : undefined,
      key: { id: event.principal.id, label: event.principal.label },
      session: { id: event.sessionId ?? '', calls: sessionCalls },
      now: event.timestamp,
    },
  }
}

/** Tools have a column of their own; resources and prompts stand in the details. */
function recordedTarget(event: AuditEvent): PolicyTarget | null {
  if (event.toolName !== null) return { kind: 'tool', name: event.toolName }
  const targets = event.details?.targets
  if (!Array.isArray(targets) || targets.length !== 1) return null
  const target = targets[0] as Partial<PolicyTarget> | null
  if (typeof target !== 'object' || target === null || !KINDS.has(target.kind) || typeof target.name !== 'string') return null
  return target as PolicyTarget
}
