/*
 * Server-Sent Events, read while they pass through. The scanner works on bytes, finds line ends with native searches and keeps
 * at most one event, so that watching a stream costs little and an endless one costs nothing more.
 */

/** One block of a stream, ended by a blank line. Fields that the block does not have are null. */
export interface SseEvent {
  /** The block's own `id:`; an id with a NUL character is ignored, as the standard says. */
  id: string | null
  /** The block's `event:`; null stands for `message`. */
  type: string | null
  /** Lines joined with LF. Null when the block has no `data` line (clients do not dispatch such a block) or is oversize. */
  data: string | null
  /** Its lines, comments and line ends aside, are longer than the limit; the rest of it was let go. */
  isOversize: boolean
}

export interface SseScanner {
  /** Reads the next bytes and reports each event that they complete. Never throws, unless `onEvent` does. */
  push(chunk: Uint8Array): void
  /**
   * True where one comment line, ended by a single LF, may be put into the stream without changing any event. A blank line may not:
   * an event can be half told. False after a CR, because the LF that may follow belongs to it.
   */
  readonly isAtLineStart: boolean
  /** Whether any event so far carried an id, so that its reader could resume. */
  readonly sawId: boolean
}

export interface SseScannerOptions {
  eventBytesMax: number
  onEvent(event: SseEvent): void
}

const LF = 10
const CR = 13
const SPACE = 32
const COLON = 58
const BOM = [0xef, 0xbb, 0xbf]
const BUFFER_BYTES_MIN = 1024
/** Buffers that grew beyond this are not kept for the next event: most streams wait most of the time. */
const BUFFER_BYTES_KEPT = 16 * 1024

// A BOM inside a value belongs to the value.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

export function createSseScanner({ eventBytesMax, onEvent }: SseScannerOptions): SseScanner {
  /** Start of a line whose end has not come yet. */
  const line = createByteBuffer()
  /** Length of that line so far; more than `line` holds where it is a comment or too long. */
  let lineLength = 0
  let isComment = false
  /** Values of the event's data lines, joined with LF. */
  const text = createByteBuffer()
  /** The only data value so far, still inside the pushed chunk: most events never need a copy. */
  let borrowed: Uint8Array | null = null
  let hasData = false
  let id: string | null = null
  let type: string | null = null
  let eventBytes = 0
  let hasFields = false
  let isOversize = false
  let isAfterCr = false
  let bomSeen = 0
  let sawId = false

  function dispatch(): void {
    if (hasFields) {
      const data = isOversize || !hasData ? null : utf8.decode(borrowed ?? text.bytes())
      const event = { id, type: type === '' ? null : type, data, isOversize }
      dropEvent()
      onEvent(event)
      return
    }
    dropEvent()
  }

  function dropEvent(): void {
    id = type = borrowed = null
    hasData = hasFields = isOversize = false
    eventBytes = 0
    text.clear()
  }

  function count(bytes: number): void {
    eventBytes += bytes
    if (eventBytes <= eventBytesMax || isOversize) return
    isOversize = hasFields = true
    borrowed = null
    text.clear()
  }

  /** Takes in one whole line. `source` may be the chunk or the line buffer; it is not kept beyond this push. */
  function readLine(source: Uint8Array, start: number, end: number): void {
    const first = source[start]
    if (first === COLON) return
    count(end - start)
    if (first === 0x64 && isField(source, start, end, DATA)) {
      hasFields = true
      if (!isOversize) addData(source.subarray(valueStart(source, start + 4, end), end))
    } else if (first === 0x69 && isField(source, start, end, ID)) {
      hasFields = true
      const value = utf8.decode(source.subarray(valueStart(source, start + 2, end), end))
      if (value.includes('\0')) return
      id = value
      sawId = true
    } else if (first === 0x65 && isField(source, start, end, EVENT)) {
      hasFields = true
      type = utf8.decode(source.subarray(valueStart(source, start + 5, end), end))
    }
  }

  function addData(value: Uint8Array): void {
    if (!hasData) borrowed = value
    else {
      settle()
      text.addByte(LF)
      text.add(value)
    }
    hasData = true
  }

  function settle(): void {
    if (borrowed !== null) text.add(borrowed)
    borrowed = null
  }

  function endLine(chunk: Uint8Array, start: number, end: number): void {
    const length = lineLength + end - start
    if (lineLength === 0) {
      if (length === 0) dispatch()
      else if (length <= eventBytesMax) readLine(chunk, start, end)
      else if (chunk[start] !== COLON) count(length)
      return
    }
    if (!isComment) {
      if (length > eventBytesMax) count(length)
      else {
        line.add(chunk.subarray(start, end))
        readLine(line.bytes(), 0, length)
      }
    }
    // The bytes of `line` stay as they are until the push ends, where a borrowed value is settled first.
    lineLength = 0
    isComment = false
    line.rewind()
  }

  function holdLine(chunk: Uint8Array, start: number): void {
    settle()
    if (lineLength === 0) {
      line.clear()
      isComment = chunk[start] === COLON
    }
    lineLength += chunk.length - start
    if (isComment) return
    if (lineLength <= eventBytesMax) line.add(chunk.subarray(start))
    else line.clear()
  }

  /** Skips a BOM at the very start; returns where the text begins. */
  function skipBom(chunk: Uint8Array): number {
    let at = 0
    while (bomSeen < 3 && at < chunk.length && chunk[at] === BOM[bomSeen]) {
      at++
      bomSeen++
    }
    if (bomSeen < 3 && at < chunk.length) {
      // Not a BOM after all: what looked like one begins the first line. Such a line is no field.
      if (bomSeen > at) holdLine(Uint8Array.from(BOM.slice(0, bomSeen - at)), 0)
      bomSeen = 3
      return 0
    }
    return at
  }

  function push(chunk: Uint8Array): void {
    let at = bomSeen < 3 ? skipBom(chunk) : 0
    if (at >= chunk.length) return
    if (isAfterCr) {
      isAfterCr = false
      if (chunk[at] === LF) at++
    }
    // Each search result is kept until it is used up, so that a stream without CR is searched for one only once a chunk.
    let lf = indexOrEnd(chunk, LF, at)
    let cr = indexOrEnd(chunk, CR, at)
    while (at < chunk.length) {
      if (lf < at) lf = indexOrEnd(chunk, LF, at)
      if (cr < at) cr = indexOrEnd(chunk, CR, at)
      const end = lf < cr ? lf : cr
      if (end === chunk.length) break
      endLine(chunk, at, end)
      at = end + 1
      if (end !== cr) continue
      if (at === chunk.length) isAfterCr = true
      else if (chunk[at] === LF) at++
    }
    if (at < chunk.length) holdLine(chunk, at)
    else settle()
  }

  return {
    push,
    get isAtLineStart() {
      return lineLength === 0 && !isAfterCr && (bomSeen === 0 || bomSeen === 3)
    },
    get sawId() {
      return sawId
    },
  }
}

const DATA = [0x64, 0x61, 0x74, 0x61]
const ID = [0x69, 0x64]
const EVENT = [0x65, 0x76, 0x65, 0x6e, 0x74]

function isField(line: Uint8Array, start: number, end: number, name: number[]): boolean {
  const after = start + name.length
  if (after > end || (after < end && line[after] !== COLON)) return false
  for (let index = 0; index < name.length; index++) if (line[start + index] !== name[index]) return false
  return true
}

/** Where the value begins: after the colon and one space. */
function valueStart(line: Uint8Array, colon: number, end: number): number {
  if (colon >= end) return end
  return line[colon + 1] === SPACE && colon + 1 < end ? colon + 2 : colon + 1
}

function indexOrEnd(chunk: Uint8Array, byte: number, from: number): number {
  const index = chunk.indexOf(byte, from)
  return index < 0 ? chunk.length : index
}

function createByteBuffer() {
  let bytes = new Uint8Array(0)
  let length = 0
  function reserve(more: number): void {
    if (length + more <= bytes.length) return
    const grown = new Uint8Array(Math.max(BUFFER_BYTES_MIN, length + more, bytes.length * 2))
    grown.set(bytes.subarray(0, length))
    bytes = grown
  }
  return {
    add(more: Uint8Array): void {
      reserve(more.length)
      bytes.set(more, length)
      length += more.length
    },
    addByte(byte: number): void {
      reserve(1)
      bytes[length++] = byte
    },
    bytes: (): Uint8Array => bytes.subarray(0, length),
    /** Forgets the content but leaves the bytes in place. */
    rewind(): void {
      length = 0
    },
    clear(): void {
      length = 0
      if (bytes.length > BUFFER_BYTES_KEPT) bytes = new Uint8Array(0)
    },
  }
}

/** Events of a whole text, by the same rules and without a limit; an event that no blank line ends is left out. */
export function parseSseText(text: string): SseEvent[] {
  const events: SseEvent[] = []
  let event: SseEvent = { id: null, type: null, data: null, isOversize: false }
  let hasFields = false
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)
  // What follows the last line end is a line that has not ended.
  for (const line of lines.slice(0, -1)) {
    if (line === '') {
      if (hasFields) events.push({ ...event, type: event.type === '' ? null : event.type })
      event = { id: null, type: null, data: null, isOversize: false }
      hasFields = false
      continue
    }
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name !== 'data' && name !== 'id' && name !== 'event') continue
    hasFields = true
    if (name === 'data') event.data = event.data === null ? value : `${event.data}\n${value}`
    else if (name === 'event') event.type = value
    else if (!value.includes('\0')) event.id = value
  }
  return events
}
