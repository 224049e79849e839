import { createHash, randomBytes } from 'node:crypto'
import type { Owner } from '../bridge.ts'
import { objectOr } from '../legacy-over-modern/exact-json.ts'
import type { ModernRequest } from './envelope.ts'
import type { Exchange } from './exchange.ts'

/** A call that waits for its client to come back with answers. */
export interface Waiting {
  /** Nobody else may go on with it, or learn that it is there. */
  owner: Owner
  fingerprint: string
  /** The methods of what was asked, by the keys under which the client answers. */
  asked: Record<string, string>
  /** The call that goes on. Null where it is made anew: nothing of it is under way. */
  exchange: Exchange | null
  /** The client did not come back in time. */
  onLapse(): void
}

export interface QuestionLimits {
  waitMs: number
  waitingMax: number
  waitingPerOwnerMax: number
}

/** Calls that were answered with questions, by the state that the client must bring back. It is good once. */
export class OpenQuestions {
  readonly #limits: QuestionLimits
  readonly #waiting = new Map<string, { waiting: Waiting; timer: ReturnType<typeof setTimeout> }>()

  constructor(limits: QuestionLimits) {
    this.#limits = limits
  }

  /** The state for the client; null where too many wait already. */
  open(waiting: Waiting): string | null {
    const ofOwner = [...this.#waiting.values()].filter((each) => isSame(each.waiting.owner, waiting.owner)).length
    if (this.#waiting.size >= this.#limits.waitingMax || ofOwner >= this.#limits.waitingPerOwnerMax) return null
    const state = `igris-${randomBytes(32).toString('base64url')}`
    const timer = setTimeout(() => {
      this.#waiting.delete(state)
      waiting.onLapse()
    }, this.#limits.waitMs)
    timer.unref()
    this.#waiting.set(state, { waiting, timer })
    return state
  }

  /** What waits under a state that this owner was given. */
  find(state: unknown, owner: Owner): Waiting | null {
    const found = typeof state === 'string' ? this.#waiting.get(state)?.waiting : undefined
    return found !== undefined && isSame(found.owner, owner) ? found : null
  }

  close(waiting: Waiting): void {
    for (const [state, each] of this.#waiting) {
      if (each.waiting !== waiting) continue
      clearTimeout(each.timer)
      this.#waiting.delete(state)
    }
  }

  closeAll(): void {
    for (const { timer } of this.#waiting.values()) clearTimeout(timer)
    this.#waiting.clear()
  }
}

function isSame(a: Owner, b: Owner): boolean {
  return a.connectionId === b.connectionId && a.principalId === b.principalId
}

/** One text for one call: the same method with the same parameters, whatever the envelope says. */
export function fingerprintOf({ method, params }: ModernRequest): string {
  const { _meta, inputResponses: _responses, requestState: _state, ...salient } = params
  return createHash('sha256').update(JSON.stringify([method, salient])).digest('base64')
}

/** What is wrong with the answers to what was asked; null where each that is there has the form of its kind. More than was asked is ignored. */
export function responseFault(asked: Record<string, string>, responses: unknown): string | null {
  if (responses === undefined) return null
  const given = objectOr(responses)
  if (given !== responses) return 'inputResponses must be an object.'
  for (const [key, method] of Object.entries(asked)) {
    if (!Object.hasOwn(given, key) || isResponseTo(method, given[key])) continue
    return `inputResponses["${key}"] is no answer to ${method}.`
  }
  return null
}

function isResponseTo(method: string, value: unknown): boolean {
  const response = objectOr(value)
  if (method === 'elicitation/create') return ['accept', 'decline', 'cancel'].includes(response.action as string)
  if (method === 'roots/list') return Array.isArray(response.roots)
  return typeof response.role === 'string' && response.content !== undefined
}
