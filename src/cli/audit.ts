import { open } from 'node:fs/promises'
import { act, query, segment, withDoor } from './act.ts'
import type { Action, Command, Flag, Invocation } from './command.ts'
import { readResult } from './door.ts'
import { FOLDER_FLAGS } from './help.ts'
import { fieldList, sayUsage, table } from './print.ts'

interface ShownEvent extends Record<string, unknown> {
  id: string
  timestamp: string
  type: string
  connection: string | null
  principal: { label: string }
  method: string | null
  toolName: string | null
  action: string | null
  status: string
  latencyMs: number | null
}

const FILTERS: Record<string, Flag> = {
  type: { kind: 'text', value: 'TYPE', says: 'tool_call, mcp_message, anomaly, session_update, admin or auth' },
  connection: { kind: 'text', value: 'SLUG', says: 'Connection' },
  tool: { kind: 'text', value: 'NAME', says: 'Tool' },
  action: { kind: 'text', value: 'ACTION', says: 'allow, deny or alert' },
  user: { kind: 'text', value: 'TEXT', says: 'Asserted user' },
  'trace-id': { kind: 'text', value: 'ID', says: 'Trace id' },
  'session-id': { kind: 'text', value: 'ID', says: 'Agent session' },
  status: { kind: 'text', value: 'STATUS', says: 'How the call ended' },
  from: { kind: 'text', value: 'TIME', says: 'From this time on: 2026-01-31T12:00:00Z, or a date (00:00 UTC)' },
  to: { kind: 'text', value: 'TIME', says: 'Up to this time: the same' },
  q: { kind: 'text', value: 'TEXT', says: 'Containing this text' },
}

const API_NAMES: Record<string, string> = { 'trace-id': 'traceId', 'session-id': 'sessionId' }

function filterQuery(invocation: Invocation, more: string[], fixed: Record<string, string> = {}): string {
  const names = [...Object.keys(FILTERS), ...more]
  return query({ ...Object.fromEntries(names.map((name) => [API_NAMES[name] ?? name, invocation.text(name)])), ...fixed })
}

const list: Action = {
  summary: 'List what is on record, the latest first.',
  operands: [],
  flags: {
    ...FOLDER_FLAGS,
    ...FILTERS,
    limit: { kind: 'text', value: 'N', says: 'How many (default 50)' },
    cursor: { kind: 'text', value: 'CURSOR', says: 'Go on where the last page ended' },
  },
  run: (invocation) => act<ShownEvent[]>(invocation, { method: 'GET', path: `/audit-events${filterQuery(invocation, ['limit', 'cursor'])}` }, ({ data: events, meta }) => {
    if (meta?.nextCursor !== undefined) invocation.terminal.say(`More: --cursor ${meta.nextCursor}`)
    return table(['TIME', 'TYPE', 'CONNECTION', 'CALLER', 'WHAT', 'ACTION', 'STATUS', 'MS', 'ID'], events.map((event) =>
      [event.timestamp, event.type, event.connection, event.principal.label, event.toolName ?? event.method, event.action, event.status, event.latencyMs, event.id]))
  }),
}

const show: Action = {
  summary: 'Show one event with everything that is known of it.',
  operands: ['ID'],
  flags: FOLDER_FLAGS,
  run: (invocation) => act<ShownEvent>(invocation, { method: 'GET', path: `/audit-events/${segment(invocation.operands[0])}` }, ({ data: event }) => fieldList(event)),
}

const exportEvents: Action = {
  summary: 'Write everything on record that the filters match, one event a line.',
  operands: [],
  flags: {
    ...FOLDER_FLAGS,
    ...FILTERS,
    format: { kind: 'text', value: 'jsonl|csv', says: 'Default jsonl' },
    output: { kind: 'text', value: 'FILE', says: 'A new file instead of standard output' },
  },
  run: async (invocation) => {
    const format = invocation.text('format') ?? 'jsonl'
    if (format !== 'jsonl' && format !== 'csv') return sayUsage(invocation.terminal, [`--format: expected jsonl or csv, got ${JSON.stringify(format)}`], 'audit export')
    return withDoor(invocation, async (door) => {
      const response = await door.api('GET', `/api/v1/audit-events/export${filterQuery(invocation, [], { format })}`)
      if (!response.ok) return readResult<number>(response)
      return { ok: true, value: await copyBody(response, invocation) }
    }, (bytes) => invocation.terminal.say(`${bytes} bytes exported.`))
  },
}

/** Chunk by chunk, so that a record of any size fits. */
async function copyBody(response: Response, { terminal, text }: Invocation): Promise<number> {
  const path = text('output')
  // 'wx': an export overwrites nothing. 0600: the record names people.
  const file = path === undefined ? null : await open(path, 'wx', 0o600)
  let bytes = 0
  try {
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (file === null) terminal.write(chunk)
      else await file.write(chunk)
    }
  } finally {
    await file?.close()
  }
  return bytes
}

export const auditCommand: Command = {
  summary: 'The record: who called what, what was decided and how it ended.',
  actions: { list, show, export: exportEvents },
}
