import { z } from 'zod'
import type { ConnectionId, OrganizationId } from './ids.ts'
import type { Suspension } from './organization.ts'
import type { EpochMs } from './time.ts'

export const Slug = z.string().regex(/^[a-z0-9][a-z0-9_-]{2,63}$/, 'must be 3 to 64 characters of a-z, 0-9, "_" and "-", and start with a letter or digit')

export const Transport = z.enum(['http', 'stdio'])
export type Transport = z.infer<typeof Transport>

export const AuthType = z.enum(['bearer', 'header', 'none'])
export type AuthType = z.infer<typeof AuthType>

export const DenialStyle = z.enum(['http', 'result'])
export type DenialStyle = z.infer<typeof DenialStyle>

export const AnomalySettings = z.strictObject({
  enabled: z.boolean().default(true),
  /** A window is a spike from this many times the rolling average. */
  multiplier: z.number().min(1).max(1000).default(3),
  /** Calls per window below which nothing is a spike. */
  floor: z.number().int().min(1).max(1_000_000).default(20),
  windowSeconds: z.number().int().min(1).max(3600).default(60),
  cooldownSeconds: z.number().int().min(0).max(86_400).default(300),
})
export type AnomalySettings = z.infer<typeof AnomalySettings>

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
  enabled: boolean
  timeoutMs: number
  denials: DenialStyle
  storeArguments: boolean
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
  enabled: z.boolean(),
  timeoutMs: z.number().int().min(100).max(3_600_000),
  denials: DenialStyle,
  storeArguments: z.boolean(),
}

export const NewConnection = z.strictObject({
  slug: fields.slug,
  name: fields.name.optional(),
  transport: fields.transport.default('http'),
  upstreamUrl: fields.upstreamUrl,
  authType: fields.authType.optional(),
  authHeaderName: fields.authHeaderName.optional(),
  credential: fields.credential.optional(),
  caPem: fields.caPem.optional(),
  enabled: fields.enabled.default(true),
  timeoutMs: fields.timeoutMs.default(60_000),
  denials: fields.denials.default('http'),
  storeArguments: fields.storeArguments.default(true),
  anomaly: AnomalySettings.prefault({}),
})
export type NewConnection = z.infer<typeof NewConnection>

export const ConnectionChange = z.strictObject({ ...fields, anomaly: AnomalySettings }).partial()
export type ConnectionChange = z.infer<typeof ConnectionChange>
