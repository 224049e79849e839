import type { ReadResult, RpcMessage, UnreadableBody } from '../message.ts'
import { readEnvelope } from './envelope.ts'
import { flaw, type Flaw } from './flaw.ts'
import { recoverId } from './recover-id.ts'
import { scan, type ElementSpan, type ScanLimits } from './scan.ts'

export const READ_LIMITS: ScanLimits = { depthMax: 64, batchMax: 100 }

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const LENIENT_UTF8 = new TextDecoder('utf-8', { ignoreBOM: true })

/**
 * Reads the body of an MCP POST. What it accepts has one reading: any JSON parser, whatever it does about duplicates, letter case, NUL, BOM, large numbers or
 * broken Unicode, comes to the same methods, names and arguments, so the bytes may go upstream as they are. Everything else is refused with one sentence
 * that says what is wrong and where. Takes time linear in the body and never throws.
 */
export function readMessage(bytes: Uint8Array, limits: ScanLimits = READ_LIMITS): ReadResult {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return refused(flaw('$', 'the body begins with a byte order mark'), LENIENT_UTF8.decode(bytes))
  let text: string
  try {
    text = STRICT_UTF8.decode(bytes)
  } catch {
    // The decoder's way to say that the bytes are not UTF-8.
    return refused(flaw('$', 'the body is not valid UTF-8'), LENIENT_UTF8.decode(bytes))
  }
  const scanned = scan(text, limits)
  if ('fault' in scanned) return refused(scanned, text)
  let root: unknown
  try {
    root = JSON.parse(text)
  } catch {
    // The scan accepts less than JSON.parse; should that ever fail to hold, the doubt ends here.
    return refused(flaw('$', 'it is not JSON'), text)
  }
  return scanned.isBatch ? readBatch(root as unknown[], scanned.elements, text) : readSingle(root, scanned.elements, { text, byteCount: bytes.length })
}

function readSingle(root: unknown, elements: ElementSpan[], { text, byteCount }: { text: string; byteCount: number }): ReadResult {
  const span = elements[0] ?? { start: 0, end: text.length, idText: null }
  // Around the value there is only white space, a byte a character.
  const around = text.length - (span.end - span.start)
  const message = readEnvelope(root, span, byteCount - around, '$')
  return 'fault' in message ? refused(message, text) : { ok: true, body: { isBatch: false, messages: [message] } }
}

function readBatch(root: unknown[], elements: ElementSpan[], text: string): ReadResult {
  if (root.length === 0) return refused(flaw('$', 'the batch is empty'), text)
  const messages: RpcMessage[] = []
  const ids = new Set<string>()
  for (const [index, span] of elements.entries()) {
    const path = `$[${index}]`
    const message = readEnvelope(root[index], span, utf8Length(text, span), path)
    const fault = 'fault' in message ? message : batchFault(message, ids, path)
    if (fault !== null || 'fault' in message) return refused(fault ?? flaw(path, 'it cannot be read'), text)
    messages.push(message)
  }
  return { ok: true, body: { isBatch: true, messages } }
}

/** What a message may be alone but not in a batch. */
function batchFault(message: RpcMessage, ids: Set<string>, path: string): Flaw | null {
  if (message.era === 'modern') return flaw(path, 'protocol revision 2026-07-28 and later has no batches')
  if (message.method === 'initialize') return flaw(path, 'initialize must not be part of a batch')
  if (message.kind !== 'request' || message.idText === null) return null
  // As values: 1 and 1.0, "a" and "\u0061" are one id to whoever matches the answers.
  const id = JSON.stringify(JSON.parse(message.idText))
  if (ids.has(id)) return flaw(`${path}.id`, 'two requests of the batch have the same id')
  ids.add(id)
  return null
}

function utf8Length(text: string, { start, end }: ElementSpan): number {
  let length = 0
  for (let at = start; at < end; at += 1) {
    const unit = text.charCodeAt(at)
    // Each half of a surrogate pair counts for two of its four bytes.
    length += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3
  }
  return length
}

function refused({ path, fault, tooLarge }: Flaw, text: string): { ok: false } & UnreadableBody {
  return { ok: false, message: `The message is refused: ${fault} (at ${path}).`, issues: [{ path, message: fault }], idText: recoverId(text), tooLarge }
}
