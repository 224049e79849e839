import { CancelSwitch } from '../core/cancel-signal.ts'
import type { CallsInFlight, Clock, CutReason, HeaderList, Ids, Log, SuspensionTarget, UpstreamRequest, Upstreams, Vault } from '../core/ports.ts'
import { ok, refuse, type Result } from '../core/result.ts'
import type { EpochMs } from '../core/time.ts'

export const TEST_NOW: EpochMs = Date.parse('2026-03-01T12:00:00.000Z')

/** Stands still until it is told to move. */
export function fixedClock(start: EpochMs = TEST_NOW): Clock & { advance(ms: number): void } {
  let at = start
  return { now: () => at, elapsed: () => at, advance: (ms) => void (at += ms) }
}

export function countingIds(): Ids {
  let count = 0
  return { next: (prefix) => `${prefix}_${String(++count).padStart(6, '0')}`, randomHex: (bytes) => 'ab'.repeat(bytes) }
}

export function fakeLog(): Log & { lines: { level: string; message: string; fields?: Record<string, unknown> }[] } {
  const lines: { level: string; message: string; fields?: Record<string, unknown> }[] = []
  return { lines, write: (level, message, fields) => void lines.push({ level, message, fields }) }
}

/** Not secret, but as strict: opens only with the associated data that it was sealed with. */
export function fakeVault(): Vault {
  return {
    seal: (plain, associated) => new TextEncoder().encode(`${associated}|${Buffer.from(plain).toString('hex')}`),
    open(sealed, associated) {
      const [bound, hex] = new TextDecoder().decode(sealed).split('|')
      if (bound !== associated) throw new Error('sealed for something else')
      return Buffer.from(hex ?? '', 'hex').toString()
    },
  }
}

/** Remembers what was cut and why; cuts tracked work that the target covers. */
export function fakeCallsInFlight(): CallsInFlight & { cuts: SuspensionTarget[]; reasons: CutReason[] } {
  const cuts: SuspensionTarget[] = []
  const reasons: CutReason[] = []
  const tracked = new Set<{ connectionId: string; principalId: string; signal: CancelSwitch }>()
  return {
    cuts,
    reasons,
    count: () => tracked.size,
    cut(target, why = 'suspended') {
      cuts.push(target)
      reasons.push(why)
      const covered = [...tracked].filter((work) => target.kind === 'organization' || work.connectionId === target.id || work.principalId === target.id)
      for (const { signal } of covered) signal.abort()
      return covered.length
    },
    track({ connectionId, principalId }) {
      const work = { connectionId, principalId, signal: new CancelSwitch() }
      tracked.add(work)
      return { signal: work.signal, release: () => void tracked.delete(work) }
    },
  }
}

export interface ScriptedAnswer {
  status?: number
  headers?: HeaderList
  body?: string
}

/** Answers what the script says, and remembers what it was sent. The script may throw `UpstreamFailure`. */
export function fakeUpstreams(script: (request: UpstreamRequest, body: string) => ScriptedAnswer): Upstreams & { sent: UpstreamRequest[] } {
  const sent: UpstreamRequest[] = []
  return {
    sent,
    async send(request) {
      sent.push(request)
      const answer = script(request, request.body === null ? '' : new TextDecoder().decode(request.body))
      // Two chunks, so that readers meet a boundary in mid-answer.
      const bytes = new TextEncoder().encode(answer.body ?? '')
      const chunks = [bytes.slice(0, 7), bytes.slice(7)].filter((chunk) => chunk.length > 0)
      return {
        status: answer.status ?? 200,
        headers: answer.headers ?? [['content-type', 'application/json']],
        body: { length: null, read: async () => chunks.shift() ?? null, cancel: () => void chunks.splice(0) },
      }
    },
  }
}

export function checkUrlShape(text: string): Result<URL> {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) ? ok(url) : refuse('invalid_request', 'must be an http or https URL')
}
