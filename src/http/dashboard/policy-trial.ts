import type { ReplayFacts, Replayed } from '../../../views/components/policy-replay.tsx'
import type { ImaginedCall, Simulated } from '../../../views/components/policy-simulator.tsx'
import type { DraftChange } from '../../control/policy-placing.ts'
import type { MetadataValue } from '../../core/caller.ts'
import { readJsonText } from '../../core/policy/json-text.ts'
import type { Form } from './page-table.ts'
import type { Asked } from './shown.ts'

/*
 * What a draft would do, before it is saved: to a call that somebody imagines, and to calls that happened.
 */

const HOUR_MS = 3_600_000
/** A person waits for it. What was not read until then is said. */
const REPLAY_MS_MAX = 5000
const NAME_MAX = 2048
const SLUG_MAX = 64

export function imaginedIn(form: Form, connections: readonly string[]): ImaginedCall {
  const field = (name: string) => form.get(`try.${name}`) ?? ''
  const kind = field('kind')
  return {
    connection: field('connection').trim().slice(0, SLUG_MAX) || (connections[0] ?? ''), kind: kind === 'resource' || kind === 'prompt' ? kind : 'tool',
    name: field('name').slice(0, NAME_MAX), args: field('args').replaceAll('\r\n', '\n'), user: field('user').slice(0, 512), metadata: field('metadata'), key: field('key').slice(0, 80),
  }
}

export async function simulate(asked: Asked, call: ImaginedCall, change: DraftChange): Promise<Simulated> {
  if (call.name === '') return { refused: 'Say which tool is called.' }
  if (call.connection === '') return { refused: 'There is no connection yet to try a call on.' }
  const args = objectIn(call.args, 'Arguments')
  const metadata = objectIn(call.metadata, 'Metadata')
  if (typeof args === 'string') return { refused: args }
  if (typeof metadata === 'string') return { refused: metadata }
  const odd = Object.entries(metadata ?? {}).find(([, value]) => typeof value === 'object')
  if (odd !== undefined) return { refused: `Metadata: "${odd[0].slice(0, 60)}" must be a text, number or boolean.` }
  const report = await asked.control.policies.simulate(asked.me.actor, {
    connection: call.connection, target: { kind: call.kind as 'tool', name: call.name }, change, explain: true, user: call.user === '' ? null : call.user, key: call.key,
    ...(args === null ? {} : { args }), ...(metadata === null ? {} : { metadata: metadata as Record<string, MetadataValue> }),
  })
  if (!report.ok) return { refused: report.message }
  const { decision, rules = [], omitted = 0 } = report.value
  const isDraft = (name: string | null) => name === change.policy.name
  return {
    decision: {
      action: decision.action, reason: decision.reason, error: decision.error, policy: decision.policy, rule: decision.rule, rateLimit: decision.rateLimit, omitted,
      shadow: decision.shadow === undefined ? null : { action: decision.shadow.action, reason: decision.shadow.reason }, isDraft: isDraft(decision.policy),
      steps: rules.map((step) => ({ ...step, isDraft: isDraft(step.policy) })),
    },
  }
}

/** The object in a text; null where there is none, a sentence where it is something else. */
function objectIn(text: string, what: string): Record<string, unknown> | null | string {
  if (text.trim() === '') return null
  const read = readJsonText(text)
  if (!read.ok) return `${what}, line ${read.place.line}, column ${read.place.column}: ${read.message}.`
  return typeof read.value === 'object' && read.value !== null && !Array.isArray(read.value) ? (read.value as Record<string, unknown>) : `${what}: expected an object, like { "name": "value" }.`
}

const RANGES: Record<string, { words: string; backMs: number; callsMax?: number }> = {
  '24h': { words: 'last 24 hours', backMs: 24 * HOUR_MS }, '7d': { words: 'last 7 days', backMs: 7 * 24 * HOUR_MS },
  '1000': { words: 'last 1,000 calls', backMs: 90 * 24 * HOUR_MS, callsMax: 1000 }, '10000': { words: 'last 10,000 calls', backMs: 90 * 24 * HOUR_MS, callsMax: 10_000 },
}

export function rangeIn(form: Form): string {
  const given = form.get('replay') ?? ''
  return Object.hasOwn(RANGES, given) ? given : '24h'
}

export async function replay(asked: Asked, range: string, change: DraftChange): Promise<Replayed> {
  const { words, backMs, callsMax } = RANGES[range] ?? { words: range, backMs: 24 * HOUR_MS }
  const now = asked.viewer.now
  const signal = AbortSignal.any([AbortSignal.timeout(REPLAY_MS_MAX), asked.page.request.signal])
  const { connection } = change.policy
  const report = await asked.control.policies.replay(asked.me.actor, {
    policies: [], change, from: now - backMs, to: now, ...(callsMax === undefined ? {} : { callsMax }), ...(connection === null ? {} : { connection }),
  }, { signal })
  if (!report.ok) return { refused: report.message }
  const { calls, changed, transitions, groups, ungrouped, complete, reachedBack, notes } = report.value
  const isEnough = callsMax !== undefined && calls >= callsMax
  const result: ReplayFacts = { range: words, calls, changed, transitions, groups, ungrouped, stoppedAt: complete || isEnough ? null : reachedBack, notes: notes.filter((note) => !note.startsWith('Stopped at a bound')).map((note) => note.replace(' "withoutArguments" counts the latter.', '')) }
  return { result }
}
