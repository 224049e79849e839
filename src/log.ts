import type { Log, LogLevel } from './core/ports.ts'
import { maskSecrets, redactArguments } from './core/redact.ts'
import { isSecretKey } from './core/secret-text.ts'

export interface LogOptions {
  level: LogLevel | 'silent'
  format: 'text' | 'json'
  /** Takes whole lines; standard error by default. */
  write?: (lines: string) => void
  now?: () => number
}

const SEVERITY = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 } as const
const LINE_CHARS_MAX = 8192
const MESSAGE_CHARS_MAX = 2048
const TEXT_CHARS_MAX = 4096
const NESTED_BYTES_MAX = 2048
const FIELDS_MAX = 50
/** Lines that standard error has not taken are held up to here; then they are counted instead of kept. */
const WAITING_CHARS_MAX = 1 << 20
/** Igris' own session ids are no secrets, and a log without them is of little use. */
const PLAIN_KEYS = new Set(['session', 'sessionId'])
const OWN_KEYS = new Set(['time', 'level', 'message'])

// Control characters and line ends, terminal escapes among them, and characters that reorder or hide text.
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu

/**
 * Lines on standard error, one per entry whatever its text holds: control characters are escaped, secrets masked, lengths bounded. Written once
 * per turn of the event loop, so that no call waits for a terminal; `flush` writes what is waiting, for the end of the process.
 */
export function createLog({ level, format, write = writeToStderr, now = Date.now }: LogOptions): Log & { flush(): void } {
  let waiting: string[] = []
  let waitingChars = 0
  let droppedCount = 0

  function flush(): void {
    if (droppedCount > 0) waiting.push(line('warn', 'log lines dropped: the reader of the log is too slow', { count: droppedCount }))
    if (waiting.length === 0) return
    const lines = waiting.join('')
    waiting = []
    waitingChars = droppedCount = 0
    try {
      write(lines)
    } catch {
      // Standard error is gone; there is nobody left to tell, and a call must not fail for it.
    }
  }

  function line(entryLevel: LogLevel, message: string, fields: Record<string, unknown> | undefined): string {
    const time = new Date(now()).toISOString()
    const text = maskSecrets(clip(message, MESSAGE_CHARS_MAX))
    const shown = fields === undefined ? {} : readFields(fields)
    return `${format === 'json' ? jsonLine(time, entryLevel, text, shown) : textLine(time, entryLevel, text, shown)}\n`
  }

  return {
    write(entryLevel, message, fields) {
      if (SEVERITY[entryLevel] < SEVERITY[level]) return
      if (waitingChars > WAITING_CHARS_MAX) {
        droppedCount++
        return
      }
      const entry = line(entryLevel, message, fields)
      waiting.push(entry)
      waitingChars += entry.length
      if (waiting.length === 1) setImmediate(flush)
    },
    flush,
  }
}

/** Fields with secrets masked and everything bounded. Never throws: a log line must not fail a call. */
function readFields(fields: Record<string, unknown>): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  try {
    let count = 0
    for (const [key, value] of Object.entries(fields)) {
      if (value === undefined) continue
      if (++count > FIELDS_MAX) break
      const name = clip(OWN_KEYS.has(key) || key === '__proto__' ? `_${key}` : key, 64)
      shown[name] = value !== null && !PLAIN_KEYS.has(key) && isSecretKey(key, value) ? '[masked]' : readField(value)
    }
  } catch {
    shown._unreadable = true
  }
  return shown
}

function readField(value: unknown): unknown {
  switch (typeof value) {
    case 'string':
      return maskSecrets(clip(value, TEXT_CHARS_MAX))
    case 'number':
    case 'boolean':
      return value
    case 'object':
      if (value === null) return null
      if (value instanceof Error) return maskSecrets(clip(value.stack ?? String(value), TEXT_CHARS_MAX))
      return (redactArguments({ value }, NESTED_BYTES_MAX) as { value?: unknown }).value
    default:
      return clip(String(value), 256)
  }
}

function jsonLine(time: string, level: LogLevel, message: string, fields: Record<string, unknown>): string {
  const text = escapeJson({ time, level, message, ...fields })
  return text.length <= LINE_CHARS_MAX ? text : escapeJson({ time, level, message, _cut: `${text.length} characters` })
}

function textLine(time: string, level: LogLevel, message: string, fields: Record<string, unknown>): string {
  let text = `${time} ${level.padEnd(5)} ${printable(message)}`
  for (const [key, value] of Object.entries(fields)) text += ` ${printable(key.replace(/[\s="]/g, '_'))}=${textValue(value)}`
  return text.length <= LINE_CHARS_MAX ? text : `${text.slice(0, LINE_CHARS_MAX).replace(/[\ud800-\udbff]$/, '')}…`
}

function textValue(value: unknown): string {
  // Quoted as JSON, so that neither a quote nor a backslash in a value can end it early.
  return typeof value === 'string' && /^[\w.:/@+-]+$/.test(value) ? value : escapeJson(value)
}

/** JSON leaves some unprintable characters as they are; escaped, the text means the same. */
function escapeJson(value: unknown): string {
  return printable(JSON.stringify(value))
}

function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapeCharacter)
}

function escapeCharacter(character: string): string {
  if (character === '\n') return '\\n'
  if (character === '\r') return '\\r'
  if (character === '\t') return '\\t'
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function clip(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax)}… [cut, ${text.length} characters]`
}

function writeToStderr(lines: string): void {
  // The stream keeps what the reader does not take; without this bound a stuck reader would fill the memory.
  if (process.stderr.writableLength > WAITING_CHARS_MAX) return
  process.stderr.write(lines)
}
