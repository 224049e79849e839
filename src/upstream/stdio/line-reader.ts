const LF = 10
const CR = 13

/** What a line reader found: a whole line, or one that grew over the limit, after which it reads no further. */
export interface LineListener {
  onLine(bytes: Uint8Array): void
  onOversize(): void
}

/** Cuts a stream of bytes at line ends. Keeps at most one line of `lineBytesMax`; empty lines are let go. */
export function createLineReader(lineBytesMax: number, listener: LineListener): { push(chunk: Uint8Array): void } {
  let parts: Uint8Array[] = []
  let held = 0
  let isOver = false

  function take(chunk: Uint8Array, from: number, to: number): boolean {
    if (held + to - from > lineBytesMax) {
      isOver = true
      parts = []
      listener.onOversize()
      return false
    }
    if (to > from) {
      parts.push(chunk.subarray(from, to))
      held += to - from
    }
    return true
  }

  function endLine(): void {
    const line = parts.length === 1 ? (parts[0] ?? EMPTY) : Buffer.concat(parts, held)
    parts = []
    held = 0
    const trimmed = line.at(-1) === CR ? line.subarray(0, -1) : line
    if (trimmed.length > 0) listener.onLine(trimmed)
  }

  return {
    push(chunk) {
      let at = 0
      while (!isOver) {
        const end = chunk.indexOf(LF, at)
        if (end < 0) {
          // Copied: the runtime may use the chunk's memory again.
          take(chunk.slice(at), 0, chunk.length - at)
          return
        }
        if (!take(chunk, at, end)) return
        endLine()
        at = end + 1
      }
    },
  }
}

const EMPTY = new Uint8Array(0)
