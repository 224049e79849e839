import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Issue } from './core/result.ts'

/*
 * Every setting, its default and its bound, in one schema. Flags beat environment beat igris.json beat defaults.
 * This is the only file that reads the environment.
 */

const bool = z.union([z.boolean(), z.enum(['true', 'false', '1', '0', 'yes', 'no'])]).transform((value) => value === true || value === 'true' || value === '1' || value === 'yes')
const int = (min: number, max: number) =>
  z.union([z.number(), z.string().regex(/^\d+$/, `expected a whole number from ${min} to ${max}`).transform(Number)])
    .pipe(z.number(`expected a whole number from ${min} to ${max}`).int().min(min, `expected ${min}-${max}`).max(max, `expected ${min}-${max}`))
const list = z.union([z.array(z.string()), z.string().transform((text) => text.split(',').map((item) => item.trim()).filter((item) => item !== ''))])
const secret = z.string().min(1)

export const ConfigSchema = z.strictObject({
  host: z.string().min(1).max(255).default('127.0.0.1'),
  port: int(0, 65_535).default(3100),
  /** Folder for database, master key and control socket. */
  data: z.string().min(1).default('./data'),
  /** Where people and agents reach Igris, when that is not host:port (behind a proxy). */
  publicUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** Further Host names that are answered, besides loopback names, IP addresses and publicUrl's. */
  allowedHosts: list.default([]),
  /** Further Origins that may call, besides Igris' own. */
  allowedOrigins: list.default([]),
  masterKey: secret.optional(),
  adminEmail: z.email().optional(),
  adminPassword: z.string().min(8, 'expected at least 8 characters').max(200).optional(),
  organization: z.string().trim().min(1).max(120).default('Default'),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  logFormat: z.enum(['text', 'json']).default('text'),
  /** `window`: rows reach the file at once and the disk within half a second. `full`: every group of rows is on disk before its answers. */
  auditSync: z.enum(['window', 'full']).default('window'),
  /** Rows of the record older than this are deleted in the background; 0 keeps them for ever. */
  auditRetentionDays: int(0, 36_500).default(0),
  requestBytesMax: int(1024, 1 << 30).default(4 * 1024 * 1024),
  responseBytesMax: int(1024, 2 ** 40).default(64 * 1024 * 1024),
  argumentBytesMax: int(0, 1 << 20).default(8 * 1024),
  callsInFlightMax: int(1, 1_000_000).default(20_000),
  callsPerConnectionMax: int(1, 1_000_000).default(10_000),
  /** What one caller, and one organization, may hold open; the MCP session unused for longest makes room for another. */
  mcpSessionsPerKeyMax: int(1, 1_000_000).default(10_000),
  mcpSessionsPerOrganizationMax: int(1, 10_000_000).default(50_000),
  streamsPerKeyMax: int(1, 1_000_000).default(10_000),
  /** MCP sessions unused for this long are forgotten, and ended upstream; their clients initialize again. */
  mcpSessionIdleMs: int(60_000, 10_000_000_000).default(7 * 24 * 60 * 60_000),
  /** A caller must have sent its whole request within this time. */
  requestTimeoutMs: int(1000, 600_000).default(30_000),
  /** How long a stop waits for calls in flight. */
  shutdownGraceMs: int(0, 600_000).default(10_000),
  /** Upstreams in link-local ranges and cloud metadata addresses. */
  allowLinkLocal: bool.default(false),
  allowStdio: bool.default(false),
  /** Programs of stdio connections that run at once, and for how long one that nobody uses is kept. */
  programsMax: int(1, 10_000).default(64),
  programsPerConnectionMax: int(1, 10_000).default(32),
  programIdleMs: int(1000, 86_400_000).default(600_000),
  /** Private memory of each process of a program. */
  programMemoryBytesMax: int(1 << 26, 2 ** 40).default(2 ** 31),
  metricsHost: z.string().min(1).optional(),
  metricsPort: int(1, 65_535).optional(),
  metricsToken: secret.optional(),
})
export type Config = z.output<typeof ConfigSchema>
export type ConfigKey = keyof Config

/** Settings that never come from a command line, where every process of the machine could read them. */
export const SECRETS: ReadonlySet<ConfigKey> = new Set<ConfigKey>(['masterKey', 'adminPassword', 'metricsToken'])

export const CONFIG_KEYS = Object.keys(ConfigSchema.shape) as ConfigKey[]

/** `requestBytesMax` → `IGRIS_REQUEST_BYTES_MAX`. */
export function environmentName(key: string): string {
  return `IGRIS_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/** `requestBytesMax` → `--request-bytes-max`. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

/** True for settings whose flag stands alone: `--allow-stdio`. */
export function isSwitch(key: ConfigKey): boolean {
  const schema = ConfigSchema.shape[key]
  return schema instanceof z.ZodDefault && schema.unwrap() === bool
}

const PROGRAM_VARIABLES = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'TZ']

/** All that programs of stdio connections get of this process' environment: where things are, and nothing that could be a secret. */
export function programEnvironment(): Record<string, string> {
  return Object.fromEntries(PROGRAM_VARIABLES.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])))
}

/** The environment of this process, read here and handed on. */
export function processEnvironment(): Record<string, string | undefined> {
  return process.env
}

export interface ConfigSources {
  flags: Partial<Record<string, string | boolean>>
  environment: Record<string, string | undefined>
  /** Path of the file; it must exist when it was named explicitly. */
  file: { path: string; isRequired: boolean }
}

export type ConfigResult = { ok: true; config: Config } | { ok: false; issues: Issue[] }

/** Reads and merges all sources, and reports every problem at once, each under the name the operator used for it. */
export function loadConfig(sources: ConfigSources): ConfigResult {
  const issues: Issue[] = []
  const merged: Record<string, unknown> = {}
  const origin: Record<string, string> = {}
  for (const [key, value] of Object.entries(readFile(sources.file, issues))) {
    merged[key] = value
    origin[key] = `${sources.file.path}: ${key}`
  }
  for (const key of CONFIG_KEYS) {
    const value = sources.environment[environmentName(key)]
    if (value === undefined || value === '') continue
    merged[key] = value
    origin[key] = environmentName(key)
  }
  for (const [key, value] of Object.entries(sources.flags)) {
    if (value === undefined) continue
    merged[key] = value
    origin[key] = flagName(key)
  }
  const parsed = ConfigSchema.safeParse(merged)
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys) issues.push({ path: origin[key] ?? key, message: 'unknown setting' })
        continue
      }
      const key = String(issue.path[0])
      const got = SECRETS.has(key as ConfigKey) ? '[sealed]' : JSON.stringify(merged[key])
      issues.push({ path: origin[key] ?? key, message: `${issue.message}, got ${got}` })
    }
  }
  if (parsed.success && (parsed.data.metricsHost !== undefined) !== (parsed.data.metricsPort !== undefined)) {
    issues.push({ path: origin.metricsHost ?? origin.metricsPort ?? 'metricsHost', message: 'metricsHost and metricsPort go together' })
  }
  if (issues.length > 0 || !parsed.success) return { ok: false, issues }
  return { ok: true, config: parsed.data }
}

function readFile(file: ConfigSources['file'], issues: Issue[]): Record<string, unknown> {
  if (!existsSync(file.path)) {
    if (file.isRequired) issues.push({ path: file.path, message: 'no such file' })
    return {}
  }
  try {
    const value: unknown = JSON.parse(readFileSync(file.path, 'utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
    issues.push({ path: file.path, message: 'expected a JSON object' })
  } catch (error) {
    issues.push({ path: file.path, message: `not readable as JSON: ${error instanceof Error ? error.message : String(error)}` })
  }
  return {}
}

/** The configuration in effect, for `--print-config`: secrets show only whether they are set. */
export function printableConfig(config: Config): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const key of CONFIG_KEYS) {
    const value = config[key]
    if (value === undefined) continue
    shown[key] = SECRETS.has(key) ? '[sealed]' : value
  }
  return shown
}
