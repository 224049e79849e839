import type { Trail } from './trail.ts'

/** A request of a server to its client, as it passed by: on a stream, or within a result that asks for input first. */
export interface Question {
  /** As text, so that 1 and "1" are two; for revision 2026-07-28 the name that the server gave it. */
  id: string
  method: string
  params: Record<string, unknown> | undefined
}

/** Who asked what when: the call whose answer carried the question, for what comes back to it. */
export interface Origin {
  method: string
  requestId: string
  traceId: string | null
}

export interface QuestionBook {
  /** @param place the MCP session, or connection and caller where there is none */
  note(place: string, question: Question, origin: Origin): void
  /** Null: it was never asked. `unknown`: it may have been, before this process or in an event too large to look into. */
  find(place: string, id: string, sessionStartedAt: number | null): Origin | 'unknown' | null
  /** The call is under way in its session until it leaves: what the server asks meanwhile on another stream is most likely for its sake. */
  enter(trail: Trail): void
  leave(trail: Trail): void
  underWay(place: string): Trail[]
  /** From here on a question may have passed unseen. */
  loseSight(place: string): void
  /** That a call may be sent again with what it was asked for; `name` is what the retry will show. */
  noteRetry(name: string, origin: Origin): void
  /** That somebody was given this state to bring back. */
  noteState(name: string): void
  hasState(name: string): boolean
  findRetry(name: string): Origin | null
}

const PLACES_MAX = 20_000
const QUESTIONS_PER_PLACE_MAX = 256
const RETRIES_MAX = 20_000

/** Remembers the newest questions of each session; the oldest are forgotten first. */
export function createQuestionBook(startedAt: number): QuestionBook {
  const places = new Map<string, { asked: Map<string, Origin>; isComplete: boolean }>()
  const retries = new Map<string, Origin>()
  const states = new Map<string, true>()
  const calls = new Map<string, Set<Trail>>()

  function placeOf(name: string) {
    const place = places.get(name) ?? { asked: new Map<string, Origin>(), isComplete: true }
    places.delete(name)
    places.set(name, place)
    dropOldest(places, PLACES_MAX)
    return place
  }

  return {
    note(place, question, origin) {
      const found = placeOf(place)
      found.asked.delete(question.id)
      found.asked.set(question.id, origin)
      if (dropOldest(found.asked, QUESTIONS_PER_PLACE_MAX)) found.isComplete = false
    },
    find(place, id, sessionStartedAt) {
      const found = places.get(place)
      const origin = found?.asked.get(id)
      if (origin !== undefined) return origin
      const isOlder = sessionStartedAt !== null && sessionStartedAt < startedAt
      return isOlder || found?.isComplete === false ? 'unknown' : null
    },
    enter(trail) {
      const session = trail.mcpSession?.id
      if (session === undefined || !trail.entries.some(({ message }) => message?.kind === 'request')) return
      const known = calls.get(session)
      if (known === undefined) calls.set(session, new Set([trail]))
      else known.add(trail)
    },
    leave(trail) {
      const session = trail.mcpSession?.id
      const known = session === undefined ? undefined : calls.get(session)
      if (session === undefined || known?.delete(trail) !== true) return
      if (known.size === 0) calls.delete(session)
    },
    underWay: (place) => [...(calls.get(place) ?? [])],
    loseSight(place) {
      placeOf(place).isComplete = false
    },
    noteRetry(name, origin) {
      retries.delete(name)
      retries.set(name, origin)
      dropOldest(retries, RETRIES_MAX)
    },
    noteState(name) {
      states.delete(name)
      states.set(name, true)
      // Forgotten before the retries are: whoever was given a state must not be taken for somebody else.
      dropOldest(states, RETRIES_MAX / 2)
    },
    hasState: (name) => states.has(name),
    findRetry: (name) => retries.get(name) ?? null,
  }
}

function dropOldest(entries: Map<string, unknown>, max: number): boolean {
  if (entries.size <= max) return false
  for (const oldest of entries.keys()) {
    entries.delete(oldest)
    break
  }
  return true
}

/** False where an event's text can hold no request: a cheap look before it is parsed. An escaped name is looked into. */
export function mayAsk(text: string): boolean {
  return (text.includes('"method"') && text.includes('"id"')) || text.includes('\\u')
}

/** The question in one message of a server; null for a notification or a response. */
export function questionIn(value: unknown): Question | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const { id, method, params } = value as Record<string, unknown>
  if (typeof method !== 'string' || id === undefined || id === null) return null
  // Nothing else is an id in JSON-RPC, and no caller can answer to it; what a server puts there may be too deep to be written.
  const idText = typeof id === 'string' || typeof id === 'number' ? JSON.stringify(id) : `(${typeof id})`
  return { id: idText, method, params: objectOf(params) }
}

/** What a result asks for before the call can go on (2026-07-28), by the names that its retry answers to. */
export function questionsInResult({ inputRequests }: Record<string, unknown>): Question[] {
  return Object.entries(objectOf(inputRequests) ?? {}).flatMap(([id, request]) => {
    const { method, params } = objectOf(request) ?? {}
    return typeof method === 'string' ? [{ id, method, params: objectOf(params) }] : []
  })
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
}
