import type { Result } from '../core/result.ts'
import { ok, refuse } from '../core/result.ts'
import { act, query, request, segment, withDoor } from './act.ts'
import type { Answer } from './act.ts'
import type { Action, Command, ExitCode, Invocation } from './command.ts'
import { EXIT } from './command.ts'
import type { Door } from './door.ts'
import { FOLDER_FLAGS } from './help.ts'
import { fieldList, plain, sayUsage, table } from './print.ts'

interface ShownMember {
  id: string
  email: string
  name: string
  role: string
  status: string
  expiresAt: string | null
  inviteUrl?: string
}

const ROLES = 'owner|admin|developer|ciso|auditor'
const BY_ADDRESS = 'MEMBER is an id of `igris member list`, or an e-mail address.'

const list: Action = {
  summary: 'List the people of the organization, and who is invited.',
  operands: [],
  flags: {
    ...FOLDER_FLAGS,
    limit: { kind: 'text', value: 'N', says: 'How many' },
    cursor: { kind: 'text', value: 'CURSOR', says: 'Go on where the last page ended' },
  },
  run: (invocation) => {
    const page = { limit: invocation.text('limit'), cursor: invocation.text('cursor') }
    return act<ShownMember[]>(invocation, { method: 'GET', path: `/members${query(page)}` }, ({ data: members, meta }) => {
      if (meta?.nextCursor !== undefined) invocation.terminal.say(`More: --cursor ${meta.nextCursor}`)
      return table(['ID', 'EMAIL', 'NAME', 'ROLE', 'STATE', 'INVITED UNTIL'], members.map((member) => [member.id, member.email, member.name, member.role, member.status, member.expiresAt]))
    })
  },
}

const invite: Action = {
  summary: 'Invite somebody, and show the link to pass on to them, once.',
  operands: ['EMAIL'],
  flags: { ...FOLDER_FLAGS, role: { kind: 'text', value: ROLES, says: 'What they may do (required)' } },
  run: async (invocation) => {
    const role = invocation.text('role')
    if (role === undefined) return sayUsage(invocation.terminal, [`--role is missing: one of ${ROLES.replaceAll('|', ', ')}`], 'member invite')
    return act<ShownMember>(invocation, { method: 'POST', path: '/members', body: { email: invocation.operands[0], role } }, ({ data: invited }) => {
      invocation.terminal.say('Shown only now; it works once. Igris sends no mail: pass it on.')
      return plain(invited.inviteUrl)
    })
  },
}

const role: Action = {
  summary: 'Change the role of a member or of an invitation; in effect with the next request.',
  operands: ['MEMBER', 'ROLE'],
  flags: FOLDER_FLAGS,
  notes: `${BY_ADDRESS} ROLE is one of ${ROLES.replaceAll('|', ', ')}.`,
  run: (invocation) => actOnMember(invocation, { method: 'PATCH', body: { role: invocation.operands[1] } }, (changed) => `${plain(changed.email)} is ${plain(changed.role)} now.`),
}

const remove: Action = {
  summary: 'Remove a member, whose sessions end and whose keys stop working at once, or withdraw an invitation.',
  operands: ['MEMBER'],
  flags: FOLDER_FLAGS,
  notes: BY_ADDRESS,
  run: (invocation) => actOnMember(invocation, { method: 'DELETE' }, (removed) => `Removed ${plain(removed.email)}.`),
}

function actOnMember(invocation: Invocation, call: { method: 'PATCH' | 'DELETE'; body?: unknown }, say: (member: ShownMember) => string): Promise<ExitCode> {
  return withDoor(invocation, async (door): Promise<Result<Answer<ShownMember>>> => {
    const id = await idOf(door, invocation.operands[0] ?? '')
    return id.ok ? request<ShownMember>(door, { ...call, path: `/members/${segment(id.value)}` }) : id
  }, (answer) => invocation.terminal.out(invocation.isJson ? JSON.stringify(answer) : say(answer.data)))
}

/** No id holds an `@`, so that whatever does is an address. */
async function idOf(door: Door, operand: string): Promise<Result<string>> {
  if (!operand.includes('@')) return ok(operand)
  let cursor: string | undefined
  do {
    const page: Result<Answer<ShownMember[]>> = await request<ShownMember[]>(door, { method: 'GET', path: `/members${query({ cursor })}` })
    if (!page.ok) return page
    const found = page.value.data.find(({ email }) => email.toLowerCase() === operand.toLowerCase())
    if (found !== undefined) return ok(found.id)
    cursor = page.value.meta?.nextCursor
  } while (cursor !== undefined)
  return refuse('not_found', 'Nobody has this e-mail address here, and nobody is invited with it.')
}

const resetPassword: Action = {
  summary: 'Give a member who cannot sign in another password, and end all their sessions. The way back for the only owner too.',
  operands: ['EMAIL'],
  flags: {
    ...FOLDER_FLAGS,
    'password-stdin': { kind: 'switch', says: 'Read the new password from standard input; without it, one is made up and shown once' },
    'remove-second-factor': { kind: 'switch', says: 'Remove the second factor and its recovery codes too' },
  },
  notes: 'Only whoever owns the data folder can do this: no API key and no page of the dashboard can. It is on record, without the password.\nAPI keys of the member go on working.',
  run: async (invocation) => {
    const { terminal, isJson, operands } = invocation
    const password = invocation.isSet('password-stdin') ? (await terminal.readStdin()).trim() : undefined
    if (password === '') {
      terminal.say('igris: the new password is empty')
      return EXIT.failed
    }
    const reset = { email: operands[0] ?? '', password, removeSecondFactor: invocation.isSet('remove-second-factor') }
    return withDoor(invocation, (door) => door.resetPassword(reset), (done) => {
      if (isJson) return terminal.out(JSON.stringify({ data: done }))
      const { password: madeUp, ...facts } = done
      terminal.say(fieldList({ Member: facts.email, 'Sessions ended': facts.sessionsEnded, 'Second factor': facts.secondFactor }))
      if (facts.secondFactor === 'on') terminal.say('A code is still asked for at sign-in. Is that lost too: --remove-second-factor')
      if (!facts.passwordSignsIn) terminal.say('In this organization only owners sign in with a password; this member uses single sign-on.')
      if (madeUp === null) return
      terminal.say('The new password, shown only now:')
      terminal.out(madeUp)
    })
  },
}

export const memberCommand: Command = {
  summary: 'The people of the organization, and the way back for somebody who lost the password.',
  actions: { list, invite, role, remove, 'reset-password': resetPassword },
}
