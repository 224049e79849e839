const LF = 0x0a
const CR = 0x0d

/** One event as it came, its blank line included; or part of one that is too large to be held. */
export interface RawEvent {
  bytes: Uint8Array
  isOversize: boolean
}

export interface EventSplitter {
  /** What the chunk completes. */
  push(chunk: Uint8Array): RawEvent[]
  /** What is held of an event that never ended; null when nothing is. */
  rest(): Uint8Array | null
  /** False in the middle of an event that is passed on in parts. */
  readonly isBetweenEvents: boolean
}

/** Cuts an event stream into its events without changing a byte: put together again, they are the stream. Ends of lines are LF, CR or CRLF. */
export function createEventSplitter(eventBytesMax: number): EventSplitter {
  let held: Uint8Array[] = []
  let heldBytes = 0
  let lineBytes = 0
  let isAfterCr = false
  let isOversize = false

  function take(part: Uint8Array): RawEvent {
    const bytes = held.length === 0 ? part : Buffer.concat([...held, part])
    held = []
    heldBytes = 0
    return { bytes, isOversize }
  }

  return {
    push(chunk) {
      const events: RawEvent[] = []
      let start = 0
      for (let at = 0; at < chunk.length; at += 1) {
        const byte = chunk[at]
        if (byte === LF && isAfterCr) {
          // The second half of a line end; it goes with whatever comes next.
          isAfterCr = false
          continue
        }
        isAfterCr = byte === CR
        if (byte !== LF && byte !== CR) {
          lineBytes += 1
          continue
        }
        if (lineBytes === 0) {
          events.push(take(chunk.subarray(start, at + 1)))
          isOversize = false
          start = at + 1
        }
        lineBytes = 0
      }
      const left = chunk.subarray(start)
      if (left.length === 0) return events
      if (isOversize || heldBytes + left.length > eventBytesMax) {
        isOversize = true
        events.push(take(left))
        return events
      }
      held.push(left)
      heldBytes += left.length
      return events
    },
    rest: () => (heldBytes === 0 ? null : take(new Uint8Array(0)).bytes),
    get isBetweenEvents() {
      return !isOversize
    },
  }
}
