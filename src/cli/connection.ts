import { readFile } from 'node:fs/promises'
import { act, request, segment, withDoor } from './act.ts'
import { EXIT, type Action, type Command, type Flag, type Invocation } from './command.ts'
import { ALLOW_STDIO, PROGRAM_FLAGS, readProgram } from './program.ts'
import { CREDENTIAL_FLAGS, readCredential } from './credential.ts'
import { toolActions } from './connection-tools.ts'
import { FOLDER_FLAGS } from './help.ts'
import { fieldList, plain, sayUsage, table } from './print.ts'
import { suspensionActions } from './suspension.ts'

interface ShownConnection extends Record<string, unknown> {
  slug: string
  name: string
  upstreamUrl: string
  command?: string | null
  args?: string[] | null
  enabled: boolean
  suspended: boolean
}

const SETTING_FLAGS: Record<string, Flag> = {
  name: { kind: 'text', value: 'TEXT', says: 'Name for people' },
  transport: { kind: 'text', value: 'http|stdio', says: 'How the server is reached (default http)' },
  'auth-type': { kind: 'text', value: 'bearer|header|none', says: 'How the credential is sent (default bearer)' },
  ...PROGRAM_FLAGS,
  ...CREDENTIAL_FLAGS,
  'ca-file': { kind: 'text', value: 'FILE', says: 'PEM certificates that the server may chain to, besides the system\'s' },
  'timeout-ms': { kind: 'text', value: 'N', says: 'To the first byte of an answer (default 60000)' },
  denials: { kind: 'text', value: 'http|result', says: 'How a denial is shown to clients (default http)' },
  'store-arguments': { kind: 'text', value: 'true|false', says: 'Keep the arguments of calls on record (default true)' },
  'hide-denied-tools': { kind: 'text', value: 'true|false', says: 'Leave out of lists what policies deny the caller (default false)' },
  'pin-tools': { kind: 'text', value: 'off|block', says: 'Refuse calls of a tool that changed until it is accepted (default off)' },
  enabled: { kind: 'text', value: 'true|false', says: 'Whether calls are taken at all (default true)' },
}

/** The settings that the flags name, in the API's words; what is left out stays as it is. */
async function settingsOf(invocation: Invocation): Promise<{ ok: true; body: Record<string, unknown> } | { ok: false; problem: string }> {
  const credential = await readCredential(invocation)
  if (!credential.ok) return credential
  const program = await readProgram(invocation)
  if (!program.ok) return program
  const storeArguments = truth(invocation, 'store-arguments')
  const enabled = truth(invocation, 'enabled')
  const hideDeniedTools = truth(invocation, 'hide-denied-tools')
  if (storeArguments === null || enabled === null || hideDeniedTools === null) return { ok: false, problem: '--store-arguments, --hide-denied-tools and --enabled take true or false' }
  const timeout = invocation.text('timeout-ms')
  if (timeout !== undefined && !/^\d+$/.test(timeout)) return { ok: false, problem: `--timeout-ms: expected a whole number, got ${JSON.stringify(timeout)}` }
  const caFile = invocation.text('ca-file')
  const body = {
    name: invocation.text('name'),
    transport: invocation.text('transport'),
    upstreamUrl: invocation.text('url'),
    authType: invocation.text('auth-type'),
    ...credential.fields,
    ...program.fields,
    caPem: caFile === undefined ? undefined : await readFile(caFile, 'utf8'),
    timeoutMs: timeout === undefined ? undefined : Number(timeout),
    denials: invocation.text('denials'),
    storeArguments,
    hideDeniedTools,
    pinTools: invocation.text('pin-tools'),
    enabled,
  }
  return { ok: true, body: Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) }
}

/** Undefined when not given, null when it is neither true nor false. */
function truth(invocation: Invocation, flag: string): boolean | undefined | null {
  const value = invocation.text(flag)
  if (value === undefined) return undefined
  return value === 'true' ? true : value === 'false' ? false : null
}

const add: Action = {
  summary: 'Add a connection to an MCP server.',
  operands: ['SLUG'],
  flags: { ...FOLDER_FLAGS, url: { kind: 'text', value: 'URL', also: 'upstream-url', says: 'Where the MCP server is (required, but for a program)' }, ...SETTING_FLAGS },
  notes: 'Secrets are never taken from the command line itself, since every process of the machine can read it.',
  run: async (invocation) => {
    if (invocation.text('url') === undefined && invocation.text('command') === undefined) return sayUsage(invocation.terminal, ['--url is missing: say where the MCP server is, or which program to start with --transport stdio --command'], 'connection add')
    const settings = await settingsOf(invocation)
    if (!settings.ok) return sayUsage(invocation.terminal, [settings.problem], 'connection add')
    const isOpen = settings.body.credential === undefined && settings.body.authType === undefined
    const transport = settings.body.command === undefined ? {} : { transport: 'stdio' }
    const body = { slug: invocation.operands[0], ...transport, ...(isOpen ? { authType: 'none' } : {}), ...settings.body }
    return act<ShownConnection>(invocation, { method: 'POST', path: '/connections', body }, ({ data: made }) => `Added ${plain(made.slug)}. Agents reach it at /v1/mcp/${plain(made.slug)}.`)
  },
}

const update: Action = {
  summary: 'Change a connection; what no option names stays.',
  operands: ['SLUG'],
  flags: {
    ...FOLDER_FLAGS,
    url: { kind: 'text', value: 'URL', also: 'upstream-url', says: 'Where the MCP server is' },
    ...SETTING_FLAGS,
  },
  run: async (invocation) => {
    const settings = await settingsOf(invocation)
    if (!settings.ok) return sayUsage(invocation.terminal, [settings.problem], 'connection update')
    const { body } = settings
    if (Object.keys(body).length === 0) return sayUsage(invocation.terminal, ['nothing to change'], 'connection update')
    return act<ShownConnection>(invocation, { method: 'PATCH', path: `/connections/${segment(invocation.operands[0])}`, body }, ({ data: changed }) => `Changed ${plain(changed.slug)}.`)
  },
}

const list: Action = {
  summary: 'List the connections.',
  operands: [],
  flags: FOLDER_FLAGS,
  run: (invocation) => act<ShownConnection[]>(invocation, { method: 'GET', path: '/connections' }, ({ data: connections }) =>
    table(['SLUG', 'NAME', 'STATE', 'SERVER'], connections.map((connection) => [connection.slug, connection.name, connectionState(connection), serverOf(connection)]))),
}

function serverOf({ upstreamUrl, command, args }: ShownConnection): string {
  return command == null ? upstreamUrl : [command, ...(args ?? [])].join(' ')
}

function connectionState(connection: ShownConnection): string {
  return connection.suspended ? 'suspended' : connection.enabled ? 'enabled' : 'disabled'
}

const show: Action = {
  summary: 'Show one connection.',
  operands: ['SLUG'],
  flags: FOLDER_FLAGS,
  run: (invocation) => act<ShownConnection>(invocation, { method: 'GET', path: `/connections/${segment(invocation.operands[0])}` }, ({ data: connection }) => fieldList(connection)),
}

const remove: Action = {
  summary: 'Remove a connection. What is on record stays.',
  operands: ['SLUG'],
  flags: FOLDER_FLAGS,
  run: (invocation) => act(invocation, { method: 'DELETE', path: `/connections/${segment(invocation.operands[0])}` }, () => `Removed ${plain(invocation.operands[0])}.`),
}

const test: Action = {
  summary: 'Ask the MCP server behind a connection for its name and its tools.',
  operands: ['SLUG'],
  flags: { ...FOLDER_FLAGS, ...ALLOW_STDIO },
  notes: 'Exits with 1 where the server cannot be reached or gives no MCP answer.',
  run: async (invocation) => {
    let isGood = false
    const exit = await withDoor(invocation, (door) => request<Record<string, unknown>>(door, { method: 'POST', path: `/connections/${segment(invocation.operands[0])}/test` }), (answer) => {
      isGood = answer.data.ok === true
      invocation.terminal.out(invocation.isJson ? JSON.stringify(answer) : fieldList(answer.data))
    })
    return exit === EXIT.ok && !isGood ? EXIT.failed : exit
  },
}

const programs: Action = {
  summary: 'Show the programs that a connection over stdio started, and the end of what they wrote to their error stream.',
  operands: ['SLUG'],
  flags: FOLDER_FLAGS,
  run: (invocation) => act<ShownProgram[]>(invocation, { method: 'GET', path: `/connections/${segment(invocation.operands[0])}/programs` }, ({ data: shown }) =>
    shown.map(({ stderr, ...program }) => [fieldList(program), ...stderr.split('\n').filter((line) => line !== '').map((line) => `  ${plain(line)}`)].join('\n')).join('\n\n')),
}

interface ShownProgram extends Record<string, unknown> {
  stderr: string
}

export const connectionCommand: Command = {
  summary: 'Connections: the MCP servers that agents reach through the gateway.',
  actions: { add, list, show, update, remove, test, ...toolActions, programs, ...suspensionActions('connection', 'SLUG', '/connections') },
}
