import type { AuditEvent } from '../core/audit.ts'
import type { Actor } from '../core/caller.ts'
import { compilePolicies } from '../core/policy/compile.ts'
import { draftPolicies } from '../core/policy/policy-cases.ts'
import { recordedCall, Replay, type RecordedCall, type ReplayReport } from '../core/policy/replay.ts'
import { NewPolicy, Rule } from '../core/policy/schema.ts'
import { PolicySuggester } from '../core/policy/suggest.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import { isoTime, type EpochMs } from '../core/time.ts'
import { isReachable, narrower, requireReach, wrongField } from './access.ts'
import { isOwn, ownSince } from './audit.ts'
import { reachDraftChange, withChange, type DraftChange } from './policy-placing.ts'
import type { ControlPorts } from './ports.ts'

export type RehearsalPorts = Pick<ControlPorts, 'clock' | 'connections' | 'auditLog' | 'policies'>

/** Left out: up to now, and a week back from there. */
export interface Period {
  from?: EpochMs
  to?: EpochMs
}

export interface ReplayRequest extends Period {
  /** The draft; it alone judges. */
  policies: NewPolicy[]
  /** Instead: the stored policies with this one saved judge. */
  change?: DraftChange
  /** Slug; without one, all connections within reach. */
  connection?: string
  /** The newest calls suffice, this many of them. */
  callsMax?: number
}

/** How far the reading has come. The record is read newest first. */
export interface RehearsalProgress {
  /** Rows of the record that were read. */
  scanned: number
  /** Calls among them that policies judge. */
  calls: number
  /** How much of the period is behind, 0 to 1, by time. */
  fraction: number
}

interface Coverage {
  from: string
  to: string
  scanned: number
  /** False when the reading stopped at a bound: then what is older than `reachedBack` was not looked at. */
  complete: boolean
  reachedBack: string
  tookMs: number
}

export type ReplayResult = ReplayReport & Coverage & { notes: string[] }
export type SuggestionResult = Coverage & {
  /** A draft: valid as it is, and meant to be read and edited before it is saved. */
  policy: NewPolicy
  calls: number
  omitted: number
  notes: string[]
}

export interface RehearsalWatch {
  onProgress?(progress: RehearsalProgress): void
  /** Ends the reading early; the result is then not complete. */
  signal?: AbortSignal
}

export interface Rehearsals {
  /** What a draft would have decided on calls on record. Changes nothing. The first progress comes once the request was found sound. */
  replay(actor: Actor, request: ReplayRequest, watch?: RehearsalWatch): Promise<Result<ReplayResult>>
  /** The smallest policy that allows what was let through on a connection. */
  suggest(actor: Actor, request: Period & { connection: string }, watch?: RehearsalWatch): Promise<Result<SuggestionResult>>
}

/** A rehearsal reads and computes on the thread that serves calls, so there are few at once and none goes on for ever. */
const RUNNING_MAX = 2
const CALLS_MAX = 1_000_000
const WORK_MS_MAX = 120_000
const PERIOD_MS = 7 * 24 * 60 * 60_000
/** Longest stretch of work before calls get their turn. */
const STRETCH_MS = 2
const LOOK_EVERY_CALLS = 16
const PROGRESS_EVERY_MS = 200

export function policyRehearsals(ports: RehearsalPorts): Rehearsals {
  let running = 0
  async function alone<T>(work: () => Promise<T>): Promise<Result<T>> {
    if (running >= RUNNING_MAX) return refuse('overloaded', `${RUNNING_MAX} rehearsals are running already. Try again when one of them has ended.`, { retryAfterSeconds: 5 })
    running += 1
    try {
      return ok(await work())
    } finally {
      running -= 1
    }
  }
  return {
    async replay(actor, request, watch = {}) {
      const scope = await scopeOf(ports, actor, request)
      if (!scope.ok) return scope
      const { change, callsMax } = request
      const unreached = await reachDraftChange(ports, actor, change)
      if (unreached !== null) return unreached
      const drafts = change === undefined ? request.policies : [change.policy]
      const judging = change === undefined ? draftPolicies(drafts) : withChange(await ports.policies.list(actor.organizationId), change)
      const replay = new Replay(compilePolicies(judging))
      return alone(async () => {
        const coverage = await read(ports, actor, { ...scope.value, connection: request.connection, watch, callsMax }, (call) => replay.add(call))
        return { ...replay.report(), ...coverage, notes: [...notesOnDraft(drafts), ...notesOnCoverage(coverage)] }
      })
    },

    async suggest(actor, request, watch = {}) {
      const scope = await scopeOf(ports, actor, request)
      if (!scope.ok) return scope
      const connection = await ports.connections.findBySlug(actor.organizationId, request.connection)
      const suggester = new PolicySuggester()
      return alone(async () => {
        const coverage = await read(ports, actor, { ...scope.value, connection: request.connection, watch }, (call) => suggester.add(call))
        const { rules, calls, omitted } = suggester.suggest()
        const policy = draftOf(request.connection, coverage, rules)
        const left = omitted + rules.length - policy.rules.length
        return { policy, calls, omitted: left, ...coverage, notes: [...notesOnSuggestion(policy, calls, left, connection?.storeArguments ?? true), ...notesOnCoverage(coverage)] }
      })
    },
  }
}

interface Scope {
  from: EpochMs
  to: EpochMs
  connections?: string[]
  isShown(event: AuditEvent): boolean
}

/** What the actor may see of the record, as far as policies go: both rights must reach there. */
async function scopeOf(ports: RehearsalPorts, actor: Actor, { connection: slug, ...period }: Period & { connection?: string }): Promise<Result<Scope>> {
  const governance = requireReach(actor, 'governance.read')
  if (!governance.ok) return governance
  const audit = requireReach(actor, 'audit.read')
  if (!audit.ok) return audit
  const to = period.to ?? ports.clock.now()
  const from = period.from ?? to - PERIOD_MS
  if (from > to) return wrongField('from', 'must not lie after "to"')
  const extent = narrower(governance.value, audit.value)
  if (slug !== undefined) {
    const connection = await ports.connections.findBySlug(actor.organizationId, slug)
    if (connection === null || !isReachable(actor, extent, connection)) return wrongField('connection', 'there is no such connection')
  }
  if (extent === 'all') return ok({ from, to, isShown: () => true })
  const own = await ownSince(ports, actor, extent)
  return ok({ from, to, connections: [...own.keys()], isShown: (event) => isOwn(own, event) })
}

/** Goes through the record in small steps, so that calls that arrive meanwhile hardly wait. */
async function read(ports: RehearsalPorts, actor: Actor, request: Scope & { connection: string | undefined; watch: RehearsalWatch; callsMax?: number | undefined }, add: (call: RecordedCall) => void): Promise<Coverage> {
  const { clock } = ports
  const { from, to, connection, connections, isShown, watch } = request
  const startedAt = clock.elapsed()
  let resumedAt = startedAt
  let reportedAt = startedAt
  let [scanned, calls, reachedBack] = [0, 0, to]
  const progress = () => watch.onProgress?.({ scanned, calls, fraction: to <= from ? 1 : Math.min(1, Math.max(0, (to - reachedBack) / (to - from))) })
  const most = Math.min(CALLS_MAX, request.callsMax ?? CALLS_MAX)
  const isOver = () => calls >= most || clock.elapsed() - startedAt > WORK_MS_MAX || watch.signal?.aborted === true
  let complete = true
  progress()
  const filter = { from, to, ...(connection === undefined ? {} : { connection }), ...(connections === undefined ? {} : { connections }) }
  for await (const events of ports.auditLog.stream(actor.organizationId, filter)) {
    resumedAt = clock.elapsed()
    for (const event of events) {
      scanned += 1
      reachedBack = event.timestamp
      const call = isShown(event) ? recordedCall(event) : null
      if (call === null) continue
      add(call)
      calls += 1
      if (calls >= most) break
      if (calls % LOOK_EVERY_CALLS !== 0 || clock.elapsed() - resumedAt < STRETCH_MS) continue
      await nextTurn()
      resumedAt = clock.elapsed()
      if (isOver()) break
    }
    if (clock.elapsed() - reportedAt > PROGRESS_EVERY_MS) {
      reportedAt = clock.elapsed()
      progress()
    }
    complete = !isOver()
    if (!complete) break
  }
  return { from: isoTime(from), to: isoTime(to), scanned, complete, reachedBack: isoTime(complete ? from : reachedBack), tookMs: Math.round(clock.elapsed() - startedAt) }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A draft that can be saved: what the schema would refuse, or what makes it too long, is left out. */
function draftOf(connection: string, { from, to }: Coverage, rules: Rule[]): NewPolicy {
  const sound = rules.filter((rule) => Rule.safeParse(rule).success)
  for (let count = sound.length; ; count = Math.floor(count * 0.8)) {
    const draft = NewPolicy.safeParse({
      name: `suggested-${connection}`, connection, description: `Drawn from the calls that were let through from ${from} to ${to}. Read and edit before use.`, rules: sound.slice(0, count),
    })
    if (draft.success || count === 0) return NewPolicy.parse(draft.data)
  }
}

function notesOnDraft(policies: NewPolicy[]): string[] {
  const notes: string[] = []
  const rules = policies.flatMap((policy) => policy.rules)
  const mentions = (word: string) => rules.some((rule) => Object.keys(rule.conditions ?? {}).some((path) => path.startsWith(word)) || (rule.when ?? '').includes(word))
  if (rules.some((rule) => rule.rateLimit !== undefined)) notes.push('Rate limits are not played again: a call that a limit would refuse counts as let through.')
  if (mentions('session')) notes.push('The record does not hold how many calls a session had made, so session.calls counts as 0.')
  if (mentions('args')) notes.push('Arguments are judged as they are on record: masked, cut or missing ones may come out otherwise than they would have. "withoutArguments" counts the latter.')
  for (const { name, mode, active } of policies) {
    if (!active) notes.push(`Policy "${name}" is not active, so it decides nothing here.`)
    else if (mode === 'shadow') notes.push(`Policy "${name}" is in shadow mode, so it decides nothing here.`)
  }
  return notes.slice(0, 50)
}

function notesOnCoverage({ complete, reachedBack }: Coverage): string[] {
  return complete ? [] : [`Stopped at a bound (${CALLS_MAX} calls or ${WORK_MS_MAX / 1000} s): nothing before ${reachedBack} was looked at.`]
}

function notesOnSuggestion(policy: NewPolicy, calls: number, omitted: number, hasArguments: boolean): string[] {
  const notes: string[] = []
  if (calls === 0) notes.push('No call was let through on this connection in this period, so the draft allows nothing.')
  if (policy.rules.some((rule) => Object.keys(rule.conditions ?? {}).some((path) => path.startsWith('args.')))) notes.push('Some rules allow only argument values that were seen. Widen them where other values are legitimate.')
  if (policy.rules.some((rule) => rule.conditions?.['key.label'] !== undefined)) notes.push('Some rules allow only the keys that used the tool, by their labels.')
  if (!hasArguments) notes.push('This connection does not store arguments, so the draft says nothing about them.')
  if (omitted > 0) notes.push(`${omitted} tools found no room, or have names that a glob cannot hold.`)
  if (calls > 0) notes.push('Resources and prompts are allowed without a rule, and have none here.')
  return notes
}
