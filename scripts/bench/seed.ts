// A data folder as an installation would have it: connection, keys, policies, a record of some age.
import { createHash, randomBytes } from 'node:crypto'
import { loadConfig } from '../../src/config.ts'
import type { AuditEvent } from '../../src/core/audit.ts'
import { AnomalySettings } from '../../src/core/connection.ts'
import type { Connection } from '../../src/core/connection.ts'
import type { ConnectionId, KeyId, OrganizationId, PersonId, PolicyId, SessionId } from '../../src/core/ids.ts'
import type { Policy } from '../../src/core/policy/schema.ts'
import { openInstallation } from '../../src/installation.ts'
import type { Installation } from '../../src/installation.ts'

const ORGANIZATION = 'org_bench' as OrganizationId
const ROWS_PER_WRITE = 2000
const DAY_MS = 86_400_000

export interface Seed {
  folder: string
  upstreamPort: number
  policies: number
  keys: number
  rows: number
  /** Besides the measured ones. */
  connections?: number
}

/** Who looks at the dashboard. */
export const OWNER = { email: 'owner@example.com', password: 'correct-horse-battery' }

/** Fills a fresh folder through the product's own storage. Resolves to the keys. */
export async function seedFolder(seed: Seed): Promise<string[]> {
  const inst = await open(seed.folder)
  try {
    await inst.storage.organizations.insert({ id: ORGANIZATION, name: 'Bench', createdAt: Date.now(), suspension: null })
    await inst.storage.connections.insert(connection(inst, 'bench', `http://127.0.0.1:${seed.upstreamPort}/mcp`))
    await inst.storage.connections.insert(connection(inst, 'stream', `http://127.0.0.1:${seed.upstreamPort}/sse`))
    for (let number = 0; number < (seed.connections ?? 0); number++) await inst.storage.connections.insert(connection(inst, `con-${number}`, `http://127.0.0.1:${seed.upstreamPort}/mcp`))
    await inst.storage.people.insert({
      id: 'per_owner' as PersonId, organizationId: ORGANIZATION, email: OWNER.email, name: '', role: 'owner', passwordHash: await inst.controlPorts.hashPassword(OWNER.password), createdAt: Date.now(),
    })
    const keys = await addKeys(inst, seed.keys)
    for (let number = 1; number < seed.policies; number++) await inst.storage.policies.insert(policy(number, seed.policies))
    await inst.storage.policies.insert(decidingPolicy(seed.policies))
    await addRows(inst, seed.rows)
    return keys
  } finally {
    await inst.close()
  }
}

/** The measured connection leads to an upstream of this run. */
export async function pointAt(folder: string, upstreamPort: number): Promise<void> {
  const inst = await open(folder)
  try {
    const bench = await inst.storage.connections.findBySlug(ORGANIZATION, 'bench')
    if (bench === null) throw new Error(`${folder} is no installation of this bench`)
    const updated = await inst.storage.connections.update({ ...bench, upstreamUrl: `http://127.0.0.1:${upstreamPort}/mcp` })
    if (!updated.ok) throw new Error(updated.message)
  } finally {
    await inst.close()
  }
}

/** What the audit query row measures: the same code as behind the REST API, on a folder that nobody has open. */
export async function withAuditLog<T>(folder: string, use: (page: (filter: Record<string, unknown>) => Promise<unknown>) => Promise<T>): Promise<T> {
  const inst = await open(folder)
  try {
    return await use((filter) => inst.storage.auditLog.query(ORGANIZATION, filter, { limit: 50 }))
  } finally {
    await inst.close()
  }
}

async function open(folder: string): Promise<Installation> {
  const loaded = loadConfig({ flags: { data: folder, 'log-level': undefined }, environment: { IGRIS_LOG_LEVEL: 'silent' }, file: { path: `${folder}/none.json`, isRequired: false } })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.issues))
  const opened = await openInstallation(loaded.config, { version: 'bench' })
  if (!opened.ok) throw new Error(opened.message)
  return opened.value
}

function connection(inst: Installation, slug: string, upstreamUrl: string): Connection {
  const id = `con_${slug}` as ConnectionId
  const now = Date.now()
  return {
    id, organizationId: ORGANIZATION, slug, name: slug, transport: 'http', upstreamUrl, authType: 'bearer', authHeaderName: null,
    sealedCredential: inst.vault.seal('an-upstream-credential-of-usual-length', id), caPem: null, program: null, enabled: true, timeoutMs: 60_000, denials: 'http',
    storeArguments: true, hideDeniedTools: false, pinTools: 'off', anomaly: AnomalySettings.parse({}), createdBy: 'system', createdAt: now, updatedAt: now, suspension: null,
  }
}

async function addKeys(inst: Installation, count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, () => `ig_${randomBytes(16).toString('hex')}`)
  await Promise.all(keys.map((key, index) => inst.storage.keys.insert({
    id: `key_${index}` as KeyId, organizationId: ORGANIZATION, label: `agent ${index}`, prefix: key.slice(0, 7), hash: createHash('sha256').update(key).digest('hex'), scope: 'gateway',
    createdBy: 'system', createdAt: Date.now(), expiresAt: null, connections: null, lastUsedAt: null, revokedAt: null, suspension: null,
  })))
  return keys
}

/** One that does not decide the measured call: half are for the whole organization and are looked through, half belong to other connections. */
function policy(number: number, of: number): Policy {
  const rules: Policy['rules'] = Array.from({ length: 50 }, (_, rule) => {
    const name = `svc${number}_op${rule}`
    const tool = rule % 3 === 0 ? name : rule % 3 === 1 ? `${name}_*` : `*_${name}`
    return rule % 5 === 0 ? { tool, action: 'deny', conditions: { 'metadata.environment': 'production' } } : { tool, action: 'allow' }
  })
  return policyOf(`policy ${number}`, number < of / 2 ? null : `other-${number}`, number, rules)
}

/** 50 rules of which the 46th allows the measured call, after conditions that look at its arguments. */
function decidingPolicy(position: number): Policy {
  const rules: Policy['rules'] = Array.from({ length: 43 }, (_, rule) => ({ tool: `op${rule}_*`, action: 'deny' as const }))
  rules.push(
    { tool: 'search_*', action: 'deny', conditions: { 'args.repository': { $glob: 'secret/*' } } },
    { tool: 'search_*', action: 'deny', conditions: { 'metadata.environment': 'production', user: { $exists: false } } },
    { tool: 'search_*', action: 'allow', rateLimit: { max: 1_000_000, windowSeconds: 60, per: 'key' } },
    { tool: 'write_*', action: 'alert' }, { tool: 'delete_*', action: 'deny' }, { tool: 'read_*', action: 'allow' }, { tool: '*', action: 'allow' },
  )
  return policyOf('deciding', null, position, rules)
}

function policyOf(name: string, slug: string | null, position: number, rules: Policy['rules']): Policy {
  const now = Date.now()
  return {
    id: `pol_${name.replace(' ', '_')}` as PolicyId, organizationId: ORGANIZATION, name, connection: slug, active: true, mode: 'enforce', position, description: null, rules,
    createdBy: 'system', createdAt: now, updatedAt: now,
  }
}

/** Events of the last 30 days, oldest first, spread over connections, tools, users and outcomes. */
async function addRows(inst: Installation, count: number): Promise<void> {
  const start = Date.now() - 30 * DAY_MS
  for (let from = 0; from < count; from += ROWS_PER_WRITE) {
    const size = Math.min(ROWS_PER_WRITE, count - from)
    await inst.storage.auditLog.append(Array.from({ length: size }, (_, index) => row(from + index, start + Math.floor(((from + index) / count) * 30 * DAY_MS))))
  }
}

function row(number: number, timestamp: number): Omit<AuditEvent, 'id'> {
  const isDenied = number % 97 === 0
  return {
    organizationId: ORGANIZATION, type: number % 10 === 0 ? 'mcp_message' : 'tool_call', timestamp, connection: `con-${number % 20}`,
    sessionId: `ses_${(number >> 6).toString(16).padStart(12, '0')}` as SessionId, requestId: `req_${number}`, traceId: `ig_trace_${number.toString(16).padStart(16, '0')}`,
    principal: { type: 'api_key', id: `key_${number % 100}`, label: `agent ${number % 100}` }, user: `user${number % 500}@example.com`, metadata: { environment: number % 3 === 0 ? 'production' : 'staging' },
    method: 'tools/call', toolName: number % 10 === 0 ? null : `tool_${number % 200}`, action: isDenied ? 'deny' : 'allow', policy: 'deciding', rule: number % 50, reason: null,
    status: isDenied ? 'denied' : number % 211 === 0 ? 'upstream_error' : 'ok', httpStatus: isDenied ? 403 : 200, latencyMs: 1.25, upstreamMs: 0.75, requestBytes: 400, responseBytes: 300,
    arguments: { query: `row ${number}`, repository: 'acme/site' },
  }
}
