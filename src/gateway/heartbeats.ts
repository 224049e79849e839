/** One timer for all relayed streams: an idle proxy or client between us and the caller must see bytes now and then. */
export interface Heartbeats {
  /** Calls `beat` every interval until the returned function is called. */
  join(beat: () => void): () => void
}

/** @param intervalMs time between two beats of one stream; the MCP SDK's servers use 15 s */
export function createHeartbeats(intervalMs: number): Heartbeats {
  const members = new Set<() => void>()
  let timer: ReturnType<typeof setInterval> | null = null
  return {
    join(beat) {
      members.add(beat)
      timer ??= setInterval(() => {
        for (const member of members) member()
      }, intervalMs)
      return () => {
        members.delete(beat)
        if (members.size > 0 || timer === null) return
        clearInterval(timer)
        timer = null
      }
    },
  }
}
