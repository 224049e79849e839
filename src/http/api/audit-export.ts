import type { ExportFormat } from '../../control/audit.ts'
import type { AuditEventView } from '../../control/present.ts'

export const EXPORT_TYPES: Record<ExportFormat, string> = {
  jsonl: 'application/jsonl; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
}

const COLUMNS = [
  'id', 'type', 'timestamp', 'connection', 'sessionId', 'requestId', 'traceId', 'principal.type', 'principal.id', 'principal.label', 'user', 'metadata', 'method',
  'toolName', 'action', 'policy', 'rule', 'reason', 'status', 'httpStatus', 'latencyMs', 'upstreamMs', 'requestBytes', 'responseBytes', 'arguments', 'details',
] as const

/** Rows as text while they are read: a slow reader holds up the reading, and memory holds one chunk. */
export function exportBody(chunks: AsyncIterable<AuditEventView[]>, format: ExportFormat): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const write = format === 'csv' ? csvLine : jsonLine
  const iterator = chunks[Symbol.asyncIterator]()
  let isFirst = true
  return new ReadableStream({
    async pull(controller) {
      // The head goes out with the first chunk; an export of nothing is still a complete file.
      if (isFirst && format === 'csv') controller.enqueue(encoder.encode(`${COLUMNS.join(',')}\r\n`))
      isFirst = false
      for (;;) {
        const next = await iterator.next()
        if (next.done === true) return controller.close()
        if (next.value.length > 0) return controller.enqueue(encoder.encode(next.value.map(write).join('')))
      }
    },
    async cancel() {
      await iterator.return?.()
    },
  })
}

function jsonLine(event: AuditEventView): string {
  return `${JSON.stringify(event)}\n`
}

function csvLine(event: AuditEventView): string {
  const { principal, ...fields } = event
  const flat: Record<string, unknown> = { ...fields, 'principal.type': principal.type, 'principal.id': principal.id, 'principal.label': principal.label }
  return `${COLUMNS.map((column) => csvCell(flat[column])).join(',')}\r\n`
}

/** Quoted where needed; text that a spreadsheet would take for a formula becomes text for it too. */
export function csvCell(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const harmless = /^\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text
  return /[",\r\n]|^\s|\s$/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
