import type { Actor } from '../core/caller.ts'
import type { Connection, ConnectionChange, NewConnection, Program } from '../core/connection.ts'
import type { ConnectionId } from '../core/ids.ts'
import type { Vault } from '../core/ports.ts'
import { ok, refuse, type Refusal, type Result } from '../core/result.ts'
import { isoTime, isoTimeOrNull } from '../core/time.ts'
import { wrongField } from './access.ts'
import type { ControlPorts, ProgramReport } from './ports.ts'

/*
 * Connections that start a program. Whoever makes one runs commands as the gateway's own user, so the operator must have said that this
 * may happen at all, and then only owners and admins do it.
 */

/** What of a connection depends on its transport. */
export type UpstreamFields = Pick<Connection, 'upstreamUrl' | 'authType' | 'authHeaderName' | 'sealedCredential' | 'caPem' | 'program'>
type ProgramPorts = Pick<ControlPorts, 'programs'> & { vault: Pick<Vault, 'seal'> }

const PROGRAM_FIELDS = ['command', 'args', 'env', 'cwd', 'stdioMode'] as const
const HTTP_FIELDS = ['upstreamUrl', 'authHeaderName', 'credential', 'caPem'] as const

export function mayStartPrograms(ports: Pick<ControlPorts, 'programs'>, actor: Actor): Refusal | null {
  if (actor.role !== 'owner' && actor.role !== 'admin') return refuse('forbidden', 'Only an owner or an admin may make, change or test a connection that starts a program.')
  if (ports.programs == null) return wrongField('transport', 'this Igris was started without --allow-stdio, so no connection starts a program; put the server behind Streamable HTTP, or ask the operator')
  return null
}

export function draftProgram(ports: ProgramPorts, actor: Actor, input: NewConnection, id: ConnectionId): Result<UpstreamFields> {
  const refused = mayStartPrograms(ports, actor) ?? strayField(input, HTTP_FIELDS, 'is for transport "http"') ?? strayAuth(input)
  if (refused !== null) return refused
  if (input.command === undefined) return wrongField('command', 'transport "stdio" needs the command to start')
  const env = input.env ?? {}
  const program: Program = { command: input.command, args: input.args ?? [], cwd: input.cwd ?? null, envNames: namesOf(env), mode: input.stdioMode ?? 'session' }
  return ok(fieldsOf(actor, input.slug, program, sealed(ports, env, id)))
}

/** The fields as a change leaves them, and whether the environment is new. */
export function changedProgram(ports: ProgramPorts, actor: Actor, old: Connection, change: ConnectionChange): Result<{ fields: UpstreamFields; isEnvironmentNew: boolean }> {
  const refused = mayStartPrograms(ports, actor) ?? strayField(change, HTTP_FIELDS, 'is for transport "http"') ?? strayAuth(change)
  if (refused !== null) return refused
  if (old.program === null) return refuse('internal', 'The connection has no program.')
  const before = old.program
  const program: Program = {
    command: change.command ?? before.command,
    args: change.args ?? before.args,
    cwd: change.cwd === undefined ? before.cwd : change.cwd,
    envNames: change.env === undefined ? before.envNames : namesOf(change.env ?? {}),
    mode: change.stdioMode ?? before.mode,
  }
  const isOther = program.command !== before.command || program.cwd !== before.cwd || JSON.stringify(program.args) !== JSON.stringify(before.args)
  // Whoever changes the command need not know the secrets, and must not learn them by starting a program that prints its environment.
  if (isOther && change.env === undefined && before.envNames.length > 0) return wrongField('env', 'must be given again when the command, its arguments or its folder change')
  const credential = change.env === undefined ? old.sealedCredential : sealed(ports, change.env ?? {}, old.id)
  return ok({ fields: fieldsOf(actor, old.slug, program, credential), isEnvironmentNew: change.env != null && program.envNames.length > 0 })
}

/** Fields of a program on a connection over http. */
export function strayProgramField(input: NewConnection | ConnectionChange): Refusal | null {
  return strayField(input, PROGRAM_FIELDS, 'is for transport "stdio"')
}

/** True where running programs no longer are what the connection says. */
export function isOtherProgram(old: Connection, next: Connection): boolean {
  return old.program !== null && (JSON.stringify(old.program) !== JSON.stringify(next.program) || old.sealedCredential !== next.sealedCredential || !next.enabled)
}

export type ProgramView = ReturnType<typeof presentProgram>

export function presentProgram(report: ProgramReport) {
  return { ...report, startedAt: isoTime(report.startedAt), endedAt: isoTimeOrNull(report.endedAt) }
}

function fieldsOf(actor: Actor, slug: string, program: Program, sealedCredential: Uint8Array | null): UpstreamFields {
  // The address by which the gateway finds the program; it leads nowhere else.
  const upstreamUrl = `stdio://${encodeURIComponent(actor.organizationId)}/${encodeURIComponent(slug)}`
  return { upstreamUrl, authType: 'none', authHeaderName: null, sealedCredential, caPem: null, program }
}

function sealed(ports: ProgramPorts, env: Record<string, string>, id: ConnectionId): Uint8Array | null {
  return Object.keys(env).length === 0 ? null : ports.vault.seal(JSON.stringify(env), id)
}

function namesOf(env: Record<string, string>): string[] {
  return Object.keys(env).sort()
}

function strayAuth(input: { authType?: string | undefined }): Refusal | null {
  return input.authType === undefined || input.authType === 'none' ? null : wrongField('authType', 'is for transport "http"; give a program its credentials in env')
}

function strayField(input: object, names: readonly string[], why: string): Refusal | null {
  const given = input as Record<string, unknown>
  const stray = names.find((name) => given[name] !== undefined && given[name] !== null)
  return stray === undefined ? null : wrongField(stray, why)
}
