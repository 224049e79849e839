import type { EpochMs } from '../time.ts'

/*
 * Calls are counted in windows of fixed length that follow one another from a connection's first call. The current window is a spike
 * once its count reaches `multiplier` times the average of the windows before it (at most ten, empty ones included), and at least `floor`.
 *
 * - First window: there is nothing to compare with, so it is never a spike; it is the first window of the average.
 * - Steady rate, however high: each window is about the average, so it is never a spike (unless the multiplier is 1).
 * - Idle time: empty windows count as zero. After ten of them the connection is known to be quiet, and the floor alone decides.
 * - A rise that stays becomes the average and stops being a spike.
 */

const WINDOWS_AVERAGED = 10
/** Calls are observed when they end, an hour late at most. A clock further behind than this was set back: counting starts anew. */
const LATE_MS_MAX = 2 * 3_600_000

export interface RateState {
  windowMs: number
  /** Start of the current window. */
  startedAt: EpochMs
  count: number
  /** Counts of the windows before it, oldest first. */
  history: number[]
  /** A window is found to be a spike once. */
  wasFound: boolean
}

export interface RateSettings {
  multiplier: number
  floor: number
  windowSeconds: number
}

export interface Spike {
  currentRate: number
  threshold: number
  average: number
}

export function startRate(windowSeconds: number, now: EpochMs): RateState {
  return { windowMs: windowSeconds * 1000, startedAt: now, count: 0, history: [], wasFound: false }
}

/** Counts one call into the state, and answers the spike that this call makes of its window, once per window. */
export function countCall(state: RateState, settings: RateSettings, now: EpochMs): Spike | null {
  const windowMs = settings.windowSeconds * 1000
  // Counts of windows of another length cannot be compared.
  if (windowMs !== state.windowMs || now < state.startedAt - LATE_MS_MAX) Object.assign(state, startRate(settings.windowSeconds, now))
  roll(state, now)
  state.count++
  if (state.wasFound || state.history.length === 0 || state.count < settings.floor) return null
  let calls = 0
  for (const count of state.history) calls += count
  const average = calls / state.history.length
  const threshold = Math.max(settings.floor, Math.ceil(average * settings.multiplier))
  if (state.count < threshold) return null
  state.wasFound = true
  return { currentRate: state.count, threshold, average }
}

function roll(state: RateState, now: EpochMs): void {
  const passed = Math.floor((now - state.startedAt) / state.windowMs)
  if (passed < 1) return
  state.history.push(state.count)
  for (let empty = Math.min(passed - 1, WINDOWS_AVERAGED); empty > 0; empty--) state.history.push(0)
  if (state.history.length > WINDOWS_AVERAGED) state.history.splice(0, state.history.length - WINDOWS_AVERAGED)
  state.startedAt += passed * state.windowMs
  state.count = 0
  state.wasFound = false
}
