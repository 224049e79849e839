import { readFile } from 'node:fs/promises'
import { act, segment, withDoor } from './act.ts'
import type { Action, Command } from './command.ts'
import { EXIT } from './command.ts'
import { FOLDER_FLAGS } from './help.ts'
import { fieldList, plain, sayUsage, table } from './print.ts'
import { suspensionActions } from './suspension.ts'

interface ShownKey {
  id: string
  key?: string
  label: string
  prefix: string
  scope: string
  expiresAt: string | null
  lastUsedAt: string | null
  status: string
}

const create: Action = {
  summary: 'Create an API key and show it, once.',
  operands: [],
  flags: {
    ...FOLDER_FLAGS,
    label: { kind: 'text', value: 'TEXT', says: 'What the key is for (required)' },
    scope: { kind: 'text', value: 'gateway|full', says: 'gateway: MCP calls only (default); full: the API too' },
    expires: { kind: 'text', value: 'TIME', also: 'expires-at', says: 'When it stops working, e.g. 2027-01-01T00:00:00Z' },
    connection: { kind: 'list', value: 'SLUG', says: 'Only this connection; repeat for more' },
  },
  run: async (invocation) => {
    const label = invocation.text('label')
    if (label === undefined) return sayUsage(invocation.terminal, ['--label is missing: say what the key is for'], 'key create')
    const connections = invocation.texts('connection')
    const body = {
      label,
      scope: invocation.text('scope'),
      expiresAt: invocation.text('expires'),
      connections: connections.length === 0 ? undefined : connections,
    }
    return act<ShownKey>(invocation, { method: 'POST', path: '/api-keys', body }, ({ data: made }) => {
      invocation.terminal.say('Shown only now; keep it safe:')
      return made.key ?? ''
    })
  },
}

const list: Action = {
  summary: 'List the API keys.',
  operands: [],
  flags: FOLDER_FLAGS,
  run: (invocation) => act<ShownKey[]>(invocation, { method: 'GET', path: '/api-keys' }, ({ data: keys }) =>
    table(['ID', 'LABEL', 'PREFIX', 'SCOPE', 'STATE', 'EXPIRES', 'LAST USED'], keys.map((key) => [key.id, key.label, key.prefix, key.scope, key.status, key.expiresAt, key.lastUsedAt]))),
}

const revoke: Action = {
  summary: 'Revoke an API key; its very next call is refused.',
  operands: ['ID'],
  flags: FOLDER_FLAGS,
  run: (invocation) => act(invocation, { method: 'DELETE', path: `/api-keys/${segment(invocation.operands[0])}` }, () => `Revoked ${plain(invocation.operands[0])}.`),
}

const rotateMaster: Action = {
  summary: 'Seal every stored credential anew under another master key.',
  operands: [],
  flags: {
    ...FOLDER_FLAGS,
    'new-key-file': { kind: 'text', value: 'FILE', says: 'Read the new master key from a file' },
    'new-key-stdin': { kind: 'switch', says: 'Read the new master key from standard input' },
  },
  notes: 'Without a new key, one is generated and put in place of the master key file. Where IGRIS_MASTER_KEY holds the\nmaster key, give the new one here and change the variable before the next start.',
  run: async (invocation) => {
    const { terminal, isJson } = invocation
    const file = invocation.text('new-key-file')
    if (file !== undefined && invocation.isSet('new-key-stdin')) return sayUsage(terminal, ['--new-key-file and --new-key-stdin exclude each other'], 'key rotate-master')
    let newKey: string | undefined
    if (invocation.isSet('new-key-stdin')) newKey = (await terminal.readStdin()).trim()
    if (file !== undefined) newKey = (await readFile(file, 'utf8')).trim()
    if (newKey === '') {
      terminal.say('igris: the new master key is empty')
      return EXIT.failed
    }
    return withDoor(invocation, (door) => door.rotateMasterKey(newKey), (rotated) => {
      terminal.out(isJson ? JSON.stringify({ data: rotated }) : fieldList({ 'Credentials sealed anew': rotated.connections }))
    })
  },
}

export const keyCommand: Command = {
  summary: 'API keys of agents and programs, and the master key that seals credentials.',
  actions: { create, list, revoke, ...suspensionActions('key', 'ID', '/api-keys'), 'rotate-master': rotateMaster },
}
