import { z } from 'zod'
import type { ConnectionId, OrganizationId } from './ids.ts'
import type { Suspension } from './organization.ts'
import type { EpochMs } from './time.ts'

export const Slug = z.string().regex(/^[a-z0-9][a-z0-9_-]{2,63}$/, 'must be 3 to 64 characters of a-z, 0-9, "_" and "-", and start with a letter or digit')

export const Transport = z.enum(['http', 'stdio'])
export type Transport = z.infer<typeof Transport>

/** One program for each MCP session, or one for all sessions of the connection. */
export const StdioMode = z.enum(['session', 'shared'])
export type StdioMode = z.infer<typeof StdioMode>

export const AuthType = z.enum(['bearer', 'header', 'none'])
export type AuthType = z.infer<typeof AuthType>

export const DenialStyle = z.enum(['http', 'result'])
export type DenialStyle = z.infer<typeof DenialStyle>

/** `block`: a tool whose definition changed is not called until a person accepts it. A change is an anomaly either way. */
export const PinTools = z.enum(['off', 'block'])
export type PinTools = z.infer<typeof PinTools>

const anomaly = {
  enabled: z.boolean(),
  /** A window is a spike from this many times the rolling average. */
  multiplier: z.number().min(1).max(1000),
  /** Calls per window below which nothing is a spike. */
  floor: z.number().int().min(1).max(1_000_000),
  windowSeconds: z.number().int().min(1).max(3600),
  cooldownSeconds: z.number().int().min(0).max(86_400),
}

export const AnomalySettings = z.strictObject({
  enabled: anomaly.enabled.default(true),
  multiplier: anomaly.multiplier.default(3),
  floor: anomaly.floor.default(20),
  windowSeconds: anomaly.windowSeconds.default(60),
  cooldownSeconds: anomaly.cooldownSeconds.default(300),
})
export type AnomalySettings = z.infer<typeof AnomalySettings>

/** What a connection over stdio starts. The values of its environment are the connection's sealed credential. */
export const Program = z.strictObject({
  command: z.string(),
  args: z.array(z.string()),
  cwd: z.string().nullable(),
  envNames: z.array(z.string()),
  mode: StdioMode,
})
export type Program = z.infer<typeof Program>

export interface Connection {
  id: ConnectionId
  organizationId: OrganizationId
  slug: string
  name: string
  transport: Transport
  upstreamUrl: string
  authType: AuthType
  authHeaderName: string | null
  /** Sealed by the vault with the connection's id as associated data; null when there is none. */
  sealedCredential: Uint8Array | null
  /** PEM certificates that this upstream's TLS certificate may chain to, besides the system's. */
  caPem: string | null
  /** For `stdio`; null for `http`. */
  program: Program | null
  enabled: boolean
  timeoutMs: number
  denials: DenialStyle
  storeArguments: boolean
  /** Leaves out of lists what policies would deny the caller whatever the arguments. */
  hideDeniedTools: boolean
  pinTools: PinTools
  anomaly: AnomalySettings
  createdBy: string
  createdAt: EpochMs
  updatedAt: EpochMs
  suspension: Suspension | null
}

const HTTP_TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Header names that a credential may not occupy: they frame the message or are the gateway's own. */
const FORBIDDEN_AUTH_HEADERS = new Set([
  'host', 'connection', 'content-length', 'content-type', 'content-encoding', 'transfer-encoding', 'te', 'trailer', 'upgrade', 'keep-alive', 'expect', 'accept',
  'accept-encoding', 'cookie', 'mcp-session-id', 'mcp-protocol-version', 'mcp-method', 'mcp-name', 'last-event-id',
])

/** No control characters: a command line is shown to people who decide on it. */
const PRINTABLE = /^[^\p{Cc}\p{Cf}\p{Cs}]*$/u
const NO_NUL = /^[^\0]*$/

const fields = {
  slug: Slug,
  name: z.string().trim().min(1).max(120),
  transport: Transport,
  upstreamUrl: z.string().min(1).max(2048),
  authType: AuthType,
  authHeaderName: z.string().max(128).regex(HTTP_TOKEN, 'must be an HTTP header name')
    .refine((name) => !FORBIDDEN_AUTH_HEADERS.has(name.toLowerCase()), 'this header is reserved').nullable(),
  credential: z.string().min(1).max(16_384).regex(/^[\t\x20-\x7e]+$/, 'must be printable ASCII').nullable(),
  caPem: z.string().max(65_536).nullable(),
  command: z.string().trim().min(1).max(1024).regex(PRINTABLE, 'must be printable'),
  args: z.array(z.string().max(16_384).regex(NO_NUL, 'must not contain NUL')).max(256),
  env: z.record(
    z.string().max(256).regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be letters, digits and "_"'),
    z.string().max(32_768).regex(NO_NUL, 'must not contain NUL'),
  ).refine((env) => Object.keys(env).length <= 128, 'must have at most 128 names').nullable(),
  cwd: z.string().max(4096).regex(/^\/[^\0]*$/, 'must be an absolute path').nullable(),
  stdioMode: StdioMode,
  enabled: z.boolean(),
  timeoutMs: z.number().int().min(100).max(3_600_000),
  denials: DenialStyle,
  storeArguments: z.boolean(),
  hideDeniedTools: z.boolean(),
  pinTools: PinTools,
}

export const NewConnection = z.strictObject({
  slug: fields.slug,
  name: fields.name.optional(),
  transport: fields.transport.default('http'),
  upstreamUrl: fields.upstreamUrl.optional(),
  command: fields.command.optional(),
  args: fields.args.optional(),
  env: fields.env.optional(),
  cwd: fields.cwd.optional(),
  stdioMode: fields.stdioMode.optional(),
  authType: fields.authType.optional(),
  authHeaderName: fields.authHeaderName.optional(),
  credential: fields.credential.optional(),
  caPem: fields.caPem.optional(),
  enabled: fields.enabled.default(true),
  timeoutMs: fields.timeoutMs.default(60_000),
  denials: fields.denials.default('http'),
  storeArguments: fields.storeArguments.default(true),
  hideDeniedTools: fields.hideDeniedTools.default(false),
  pinTools: fields.pinTools.default('off'),
  anomaly: AnomalySettings.prefault({}),
})
export type NewConnection = z.infer<typeof NewConnection>

/** What is not named stays as it is, within `anomaly` too: a default here would turn on again what somebody turned off. */
export const ConnectionChange = z.strictObject({ ...fields, anomaly: z.strictObject(anomaly).partial() }).partial()
export type ConnectionChange = z.infer<typeof ConnectionChange>
