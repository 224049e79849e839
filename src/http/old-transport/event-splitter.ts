const LF = 10
const CR = 13

export interface EventSplitter {
  /** Takes the next bytes of a stream; returns those up to the end of the last event that is whole. Null once one event is too large. */
  push(chunk: Uint8Array): Uint8Array | null
  /** What is left of an event that is not whole. */
  rest(): Uint8Array
}

/** Cuts a stream of server-sent events between events only, so that others can be put between them. Changes no byte. */
export function createEventSplitter(eventBytesMax: number): EventSplitter {
  let held: Uint8Array = new Uint8Array(0)
  /** How far `held` was looked at. */
  let seen = 0
  let isLineEmpty = true

  return {
    push(chunk) {
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      let whole = 0
      for (let at = held.length === 0 ? 0 : seen; at < bytes.length; at++) {
        const byte = bytes[at]
        if (byte === CR && at + 1 === bytes.length) {
          // What follows decides whether the line end is this byte alone.
          seen = at
          return keep(bytes, whole)
        }
        if (byte === LF || byte === CR) {
          if (byte === CR && bytes[at + 1] === LF) at++
          if (isLineEmpty) whole = at + 1
          isLineEmpty = true
        } else isLineEmpty = false
      }
      seen = bytes.length
      return keep(bytes, whole)
    },
    rest: () => held,
  }

  function keep(bytes: Uint8Array, whole: number): Uint8Array | null {
    held = bytes.slice(whole)
    seen -= whole
    return held.length > eventBytesMax ? null : bytes.subarray(0, whole)
  }
}
