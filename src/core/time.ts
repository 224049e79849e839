/** Milliseconds since the Unix epoch, UTC. */
export type EpochMs = number

/** ISO 8601 UTC with milliseconds, the only form of time that leaves Igris. */
export function isoTime(at: EpochMs): string {
  return new Date(at).toISOString()
}

export function isoTimeOrNull(at: EpochMs | null | undefined): string | null {
  return at === null || at === undefined ? null : isoTime(at)
}
