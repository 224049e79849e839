import type { z } from 'zod'
import { shownUrl } from '../../../views/shown-url.ts'
import type { ConnectionView } from '../../control/present.ts'
import { ConnectionChange, NewConnection } from '../../core/connection.ts'
import type { Refusal } from '../../core/result.ts'
import type { Form } from './page-table.ts'

export type Transport = 'http' | 'stdio'
export type Values = Record<string, string>

/** What the form says, or one sentence for each field that is wrong. */
export type Read<T> = { ok: true; value: T } | { ok: false; faults: Values }

const TEXTS = {
  http: ['slug', 'name', 'upstreamUrl', 'authType', 'authHeaderName', 'caPem', 'timeoutMs', 'denials', 'pinTools'],
  stdio: ['slug', 'name', 'command', 'args', 'cwd', 'stdioMode', 'timeoutMs', 'denials', 'pinTools'],
} as const
const TICKS = ['enabled', 'storeArguments', 'hideDeniedTools', 'anomaly.enabled'] as const
const ANOMALY_NUMBERS = ['multiplier', 'floor', 'windowSeconds', 'cooldownSeconds'] as const

/** What was typed, without the secrets: those never go back into a page. */
export function typedIn(form: Form, transport: Transport): Values {
  const names = [...TEXTS[transport], ...TICKS, ...ANOMALY_NUMBERS.map((name) => `anomaly.${name}`)]
  return Object.fromEntries(names.map((name) => [name, form.get(name) ?? '']))
}

/** A form that nobody has typed into yet. */
export function freshValues(transport: Transport): Values {
  const { anomaly, timeoutMs, denials, pinTools } = NewConnection.parse({ slug: 'any', transport })
  const numbers = Object.fromEntries(ANOMALY_NUMBERS.map((name) => [`anomaly.${name}`, String(anomaly[name])]))
  return {
    ...numbers, transport, timeoutMs: String(timeoutMs), denials, pinTools, enabled: 'yes', storeArguments: 'yes', 'anomaly.enabled': 'yes',
    ...(transport === 'http' ? { authType: 'bearer' } : { stdioMode: 'session' }),
  }
}

export function valuesOf(connection: ConnectionView): Values {
  const tick = (isSet: boolean) => (isSet ? 'yes' : '')
  const numbers = Object.fromEntries(ANOMALY_NUMBERS.map((name) => [`anomaly.${name}`, String(connection.anomaly[name])]))
  return {
    ...numbers,
    slug: connection.slug, name: connection.name, timeoutMs: String(connection.timeoutMs), denials: connection.denials, pinTools: connection.pinTools,
    upstreamUrl: shownUrl(connection.upstreamUrl), authType: connection.authType, authHeaderName: connection.authHeaderName ?? '', caPem: connection.caPem ?? '',
    command: connection.command ?? '', args: (connection.args ?? []).join('\n'), cwd: connection.cwd ?? '', stdioMode: connection.stdioMode ?? 'session',
    enabled: tick(connection.enabled), storeArguments: tick(connection.storeArguments), hideDeniedTools: tick(connection.hideDeniedTools), 'anomaly.enabled': tick(connection.anomaly.enabled),
  }
}

export function readNew(form: Form, transport: Transport): Read<NewConnection> {
  const text = (name: string) => emptyAsNothing(form.get(name))
  const shared = { ...settingsIn(form), slug: (form.get('slug') ?? '').trim(), transport, name: text('name') }
  if (transport === 'http') {
    const auth = { authType: text('authType'), authHeaderName: headerNameIn(form), credential: text('credential') }
    return checked(NewConnection, { ...shared, ...auth, upstreamUrl: text('upstreamUrl'), caPem: text('caPem') })
  }
  const env = environmentIn(form)
  if (!env.ok) return env
  return checked(NewConnection, { ...shared, ...programIn(form), env: env.value })
}

/** Fields that stay empty where they hold secrets keep what is stored; ticking "remove" is what removes them. */
export function readChange(form: Form, { transport, upstreamUrl }: Pick<ConnectionView, 'transport' | 'upstreamUrl'>): Read<ConnectionChange> {
  const shared = { ...settingsIn(form), name: (form.get('name') ?? '').trim() }
  if (transport === 'http') {
    const url = (form.get('upstreamUrl') ?? '').trim()
    // The form shows no query of an address. Left as it was shown, the address stays as it is stored.
    const address = { upstreamUrl: url === shownUrl(upstreamUrl) ? undefined : url, caPem: emptyAsNothing(form.get('caPem')) ?? null }
    if (form.get('removeCredential') === 'yes') return checked(ConnectionChange, { ...shared, ...address, authType: 'none', authHeaderName: null, credential: null })
    const auth = { authType: form.get('authType'), authHeaderName: headerNameIn(form) ?? null, credential: emptyAsNothing(form.get('credential')) }
    return checked(ConnectionChange, { ...shared, ...address, ...auth })
  }
  const env = form.get('removeEnv') === 'yes' ? { ok: true as const, value: null } : environmentIn(form)
  if (!env.ok) return env
  return checked(ConnectionChange, { ...shared, ...programIn(form), cwd: emptyAsNothing(form.get('cwd')) ?? null, env: env.value })
}

/** Where a refusal of the operation belongs; what belongs to no field of the form stays a sentence for the whole. */
export function faultsOf(refusal: Refusal): { faults: Values; alert: string | null } {
  const faults: Values = {}
  for (const { path, message } of refusal.issues ?? []) faults[fieldOf(path.split('.'))] ??= message
  return { faults, alert: Object.keys(faults).length === 0 ? refusal.message : null }
}

/** Whether something was typed that no page gives back. */
export function hasSecret(form: Form): boolean {
  return ['credential', 'env'].some((name) => (form.get(name) ?? '').trim() !== '')
}

function settingsIn(form: Form) {
  const isTicked = (name: string) => form.get(name) === 'yes'
  return {
    timeoutMs: numberIn(form, 'timeoutMs'), denials: form.get('denials'), pinTools: form.get('pinTools'), enabled: isTicked('enabled'), storeArguments: isTicked('storeArguments'),
    hideDeniedTools: isTicked('hideDeniedTools'),
    anomaly: { enabled: isTicked('anomaly.enabled'), ...Object.fromEntries(ANOMALY_NUMBERS.map((name) => [name, numberIn(form, `anomaly.${name}`)])) },
  }
}

function programIn(form: Form) {
  return { command: (form.get('command') ?? '').trim(), args: linesOf(form.get('args') ?? ''), cwd: emptyAsNothing(form.get('cwd')), stdioMode: form.get('stdioMode') }
}

function headerNameIn(form: Form): string | undefined {
  return form.get('authType') === 'header' ? emptyAsNothing(form.get('authHeaderName')) : undefined
}

/** `NAME=value` lines; nothing written is no change. */
function environmentIn(form: Form): Read<Record<string, string> | undefined> {
  const lines = linesOf(form.get('env') ?? '')
  if (lines.length === 0) return { ok: true, value: undefined }
  const env = new Map<string, string>()
  for (const [index, line] of lines.entries()) {
    const sign = line.indexOf('=')
    const name = line.slice(0, sign).trim()
    if (sign < 1) return { ok: false, faults: { env: `line ${index + 1} is not NAME=value` } }
    if (env.has(name)) return { ok: false, faults: { env: `line ${index + 1} names ${name} again` } }
    env.set(name, line.slice(sign + 1))
  }
  return { ok: true, value: Object.fromEntries(env) }
}

/** Lines that hold something. Spaces in them count: an argument may begin with one. */
function linesOf(text: string): string[] {
  return text.split(/\r\n|\n|\r/).filter((line) => line.trim() !== '')
}

function emptyAsNothing(text: string | undefined): string | undefined {
  const trimmed = text?.trim() ?? ''
  return trimmed === '' ? undefined : trimmed
}

/** What is no number fails the schema, which then says so. */
function numberIn(form: Form, name: string): number {
  const text = (form.get(name) ?? '').trim()
  return text === '' ? Number.NaN : Number(text)
}

function checked<T>(schema: z.ZodType<T>, written: Record<string, unknown>): Read<T> {
  const given = Object.fromEntries(Object.entries(written).filter(([, value]) => value !== undefined))
  const parsed = schema.safeParse(given)
  if (parsed.success) return { ok: true, value: parsed.data }
  const faults: Values = {}
  for (const issue of parsed.error.issues) faults[fieldOf(issue.path.map(String))] ??= sentenceOf(issue)
  return { ok: false, faults }
}

/** The field of the form that an issue is about. */
function fieldOf(path: string[]): string {
  const [first = '', second] = path
  return first === 'anomaly' && second !== undefined ? `anomaly.${second}` : first
}

function sentenceOf(issue: z.core.$ZodIssue): string {
  const at = issue.path.length > 1 && issue.path[0] !== 'anomaly' ? `${String(issue.path[0]) === 'args' ? `argument ${Number(issue.path[1]) + 1}` : String(issue.path[1])}: ` : ''
  if (issue.code === 'too_small') return issue.origin === 'string' ? `${at}is needed` : `${at}must be at least ${issue.minimum}`
  if (issue.code === 'too_big') return issue.origin === 'string' ? `${at}is longer than ${issue.maximum} characters` : `${at}must be at most ${issue.maximum}`
  if (issue.code === 'invalid_type') return issue.expected === 'number' || issue.expected === 'int' ? 'must be a whole number' : `${at}is needed`
  if (issue.code === 'invalid_value') return 'is none of the choices'
  return `${at}${issue.message}`
}
