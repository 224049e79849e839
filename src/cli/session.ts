import { act, query, segment } from './act.ts'
import type { Action, Command } from './command.ts'
import { FOLDER_FLAGS } from './help.ts'
import { fieldList, table } from './print.ts'
import { suspensionActions } from './suspension.ts'

interface ShownSession extends Record<string, unknown> {
  id: string
  connection: string
  principal: { label: string }
  user: string | null
  status: string
  toolCallsCount: number
  lastCallAt: string
}

const list: Action = {
  summary: 'List agent sessions, the latest first.',
  operands: [],
  flags: {
    ...FOLDER_FLAGS,
    status: { kind: 'text', value: 'active|suspended|completed', says: 'Only these' },
    connection: { kind: 'text', value: 'SLUG', says: 'Only this connection' },
    limit: { kind: 'text', value: 'N', says: 'How many' },
    cursor: { kind: 'text', value: 'CURSOR', says: 'Go on where the last page ended' },
  },
  run: (invocation) => {
    const filter = Object.fromEntries(['status', 'connection', 'limit', 'cursor'].map((name) => [name, invocation.text(name)]))
    return act<ShownSession[]>(invocation, { method: 'GET', path: `/sessions${query(filter)}` }, ({ data: sessions, meta }) => {
      if (meta?.nextCursor !== undefined) invocation.terminal.say(`More: --cursor ${meta.nextCursor}`)
      return table(['ID', 'CONNECTION', 'CALLER', 'USER', 'STATUS', 'CALLS', 'LAST CALL'], sessions.map((session) =>
        [session.id, session.connection, session.principal.label, session.user, session.status, session.toolCallsCount, session.lastCallAt]))
    })
  },
}

const show: Action = {
  summary: 'Show one session.',
  operands: ['ID'],
  flags: FOLDER_FLAGS,
  run: (invocation) => act<ShownSession>(invocation, { method: 'GET', path: `/sessions/${segment(invocation.operands[0])}` }, ({ data: session }) => fieldList(session)),
}

export const sessionCommand: Command = {
  summary: 'Agent sessions, and the kill switch on each.',
  actions: { list, show, ...suspensionActions('session', 'ID', '/sessions') },
}
