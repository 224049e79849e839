import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { ConfigSchema } from '../config.ts'
import type { AuditEvent } from '../core/audit.ts'
import type { Actor } from '../core/caller.ts'
import { NewConnection } from '../core/connection.ts'
import { readMessage } from '../core/message/read.ts'
import { NewPolicy } from '../core/policy/schema.ts'
import { AuditUnavailable } from '../core/ports.ts'
import { refuse } from '../core/result.ts'
import type { Result } from '../core/result.ts'
import { openInstallation, type Installation } from '../installation.ts'
import { rawUpstream, type RawUpstream } from '../testing/raw-upstream.ts'
import { eventually, toolCall } from '../testing/test-gateway.ts'
import type { Gateway } from './gateway.ts'
import type { IncomingCall } from './incoming-call.ts'
import { handleCall } from './pipeline.ts'

/* The order of the ten steps, and the evidence that each of them leaves, over the real ports. */

const SECRET = 'credential-canary-77c1'
let folder: string
let inst: Installation
let actor: Actor
let upstream: RawUpstream
let key: { id: string; key: string }
const logged: string[] = []
let touched: string[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'igris-pipeline-'))
  upstream = await rawUpstream()
  inst = valueOf(await openInstallation(ConfigSchema.parse({ data: folder, logLevel: 'silent' }), { version: 'test' }))
  const { organization } = valueOf(await inst.control.setup.createOwner({ email: 'o@example.com', password: 'correct-horse', organization: 'Test' }))
  actor = { principal: { type: 'system', id: 'local', label: 'local' }, organizationId: organization.id, role: 'owner' }
  valueOf(await inst.control.connections.create(actor, NewConnection.parse({ slug: 'demo', upstreamUrl: upstream.url, authType: 'bearer', credential: SECRET })))
  valueOf(await inst.control.policies.create(actor, NewPolicy.parse({
    name: 'guard', rules: [
      { tool: 'no', action: 'deny' },
      { tool: 'once', action: 'allow', rateLimit: { max: 1, windowSeconds: 600, per: 'key' } },
      { tool: 'watch', action: 'alert' },
      { tool: '*', action: 'allow' },
    ],
  })))
  key = valueOf(await inst.control.keys.create(actor, { label: 'agent', scope: 'gateway' }))
})
beforeEach(() => {
  touched = []
  upstream.received.length = 0
})
afterAll(async () => {
  await inst.close()
  await upstream.close()
  rmSync(folder, { recursive: true, force: true })
})

function valueOf<T>(result: Result<T>): T {
  if (!result.ok) throw new Error(result.message)
  return result.value
}

/** The real ports, noting which of them a call touches. */
function watched(overrides: Partial<Gateway> = {}): Gateway {
  const note = <T extends object>(port: string, target: T, methods: (keyof T & string)[]): T => {
    const copy = Object.assign(Object.create(target) as T, { ...target })
    for (const method of methods) {
      const original = target[method] as (...args: unknown[]) => unknown
      Object.assign(copy, { [method]: (...args: unknown[]) => {
        touched.push(`${port}.${method}`)
        return original.apply(target, args)
      } })
    }
    return copy
  }
  const gw = { ...inst.gateway, log: { write: (level: string, message: string, fields?: object) => void logged.push(JSON.stringify([level, message, fields])) }, ...overrides }
  return {
    ...gw,
    keys: note('keys', gw.keys, ['findByHash']),
    connections: note('connections', gw.connections, ['findBySlug']),
    organizations: note('organizations', gw.organizations, ['get']),
    mcpSessions: note('mcpSessions', gw.mcpSessions, ['find']),
    sessions: note('sessions', gw.sessions, ['open']),
    policies: note('policies', gw.policies, ['current']),
    limiter: { take: (...args) => {
      touched.push('limiter.take')
      return gw.limiter.take(...args)
    } },
    auditLog: note('auditLog', gw.auditLog, ['reserve', 'complete', 'append']),
    upstreams: note('upstreams', gw.upstreams, ['send']),
    anomalies: note('anomalies', gw.anomalies, ['observe']),
    events: note('events', gw.events, ['publish']),
  }
}

let count = 0
function incoming(message: object, extra: Partial<IncomingCall> & { headers?: Record<string, string> } = {}): IncomingCall {
  const body = new TextEncoder().encode(JSON.stringify(message))
  const read = readMessage(body)
  if (!read.ok) throw new Error(read.message)
  const { headers = {}, ...rest } = extra
  return {
    httpMethod: 'POST', slug: 'demo', requestId: `req_t${++count}`, credential: key.key, header: (name) => headers[name] ?? null, mirroredParams: () => [],
    body, isBatch: false, messages: read.body.messages, problem: null, signal: new AbortController().signal, holdSocket() {}, releaseSocket() {}, ...rest,
  }
}

async function recordOf(call: IncomingCall): Promise<AuditEvent[]> {
  const page = valueOf(await inst.storage.auditLog.query(actor.organizationId, {}, { limit: 500 }))
  return page.items.filter((event) => event.requestId === call.requestId)
}

describe('the order of the steps', () => {
  test('an allowed call goes through all of them, the record reserved before it leaves', async () => {
    await handleCall(watched(), incoming(toolCall('first')))
    touched = []
    await handleCall(watched(), incoming(toolCall('look'), { headers: { 'mcp-session-id': '' } }))
    touched = []
    await handleCall(watched(), incoming(toolCall('look')))
    expect(touched).toEqual([
      'keys.findByHash', 'connections.findBySlug', 'organizations.get', 'sessions.open', 'policies.current', 'auditLog.reserve', 'upstreams.send', 'anomalies.observe', 'auditLog.complete', 'events.publish',
    ])
  })

  const REFUSED: [name: string, code: string, last: string, call: () => IncomingCall, prepare?: () => Partial<Gateway>][] = [
    ['an unknown connection', 'connection_not_found', 'connections.findBySlug', () => incoming(toolCall('look'), { slug: 'nowhere' })],
    ['a stop that was asked for', 'shutting_down', 'organizations.get', () => incoming(toolCall('look')), () => ({ isStopping: true })],
    ['too many calls', 'overloaded', 'organizations.get', () => incoming(toolCall('look')), () => ({ limits: { ...inst.gateway.limits, callsInFlightMax: 0 } })],
    ['a request that cannot be read', 'invalid_request', 'organizations.get', () => incoming(toolCall('look'), { problem: refuse('invalid_request') })],
    ['assertions that are malformed', 'invalid_request', 'organizations.get', () => incoming(toolCall('look'), { headers: { 'x-igris-metadata': '[]' } })],
    ['an MCP session of nobody', 'session_not_found', 'mcpSessions.find', () => incoming(toolCall('look'), { headers: { 'mcp-session-id': 'mcp_x' } })],
    ['a deny rule', 'policy_denied', 'policies.current', () => incoming(toolCall('no'))],
  ]
  test.each(REFUSED)('%s: %s, later steps are not reached, exactly one row', async (_name, code, last, make, prepare) => {
    const call = make()
    const { outcome } = await handleCall(watched(prepare?.()), call)
    expect(outcome).toMatchObject({ kind: 'refused', refusal: { code } })
    const steps = touched.filter((step) => !/^(anomalies|auditLog\.append|events)/.test(step))
    expect(steps.at(-1)).toBe(last)
    expect(touched.filter((step) => step === 'auditLog.append')).toHaveLength(1)
    expect(touched).not.toContain('auditLog.reserve')
    expect(upstream.received).toHaveLength(0)
    expect(await recordOf(call)).toMatchObject([{ toolName: expect.any(String), action: 'deny', reason: expect.any(String) }])
  })

  test('a rate limit is taken after every decision, and once', async () => {
    await handleCall(watched(), incoming(toolCall('once')))
    expect(touched.filter((step) => step === 'limiter.take')).toHaveLength(1)
    const call = incoming(toolCall('once'))
    expect((await handleCall(watched(), call)).outcome).toMatchObject({ refusal: { code: 'rate_limited' } })
    expect(upstream.received).toHaveLength(1)
    expect(await recordOf(call)).toMatchObject([{ status: 'rate_limited' }])
  })

  test('an alert forwards, and leaves an anomaly beside the row of the call', async () => {
    const call = incoming(toolCall('watch'))
    expect((await handleCall(watched(), call)).outcome).toMatchObject({ kind: 'answered', httpStatus: 200 })
    const rows = await recordOf(call)
    expect(rows.map((row) => [row.type, row.action]).sort()).toEqual([['anomaly', 'alert'], ['tool_call', 'alert']])
  })
})

describe('when something breaks', () => {
  const full = { reserve: async () => { throw new AuditUnavailable('full') }, append: async () => { throw new AuditUnavailable('full') } }
  const withLog = (log: object) => ({ auditLog: Object.assign(Object.create(inst.gateway.auditLog), log) as Gateway['auditLog'] })

  test('a record that cannot be reserved: audit_unavailable, and nothing leaves', async () => {
    const { outcome } = await handleCall(watched(withLog(full)), incoming(toolCall('look')))
    expect(outcome).toMatchObject({ kind: 'refused', refusal: { code: 'audit_unavailable' } })
    expect(upstream.received).toHaveLength(0)
  })

  test('even a refusal needs its record', async () => {
    expect((await handleCall(watched(withLog(full)), incoming(toolCall('no')))).outcome).toMatchObject({ refusal: { code: 'audit_unavailable' } })
  })

  test.each(['keys', 'connections', 'organizations', 'policies', 'vault', 'upstreams'] as const)('%s that throws: internal, nothing of the cause for the caller, and nothing goes on', async (port) => {
    const broken = new Proxy({}, { get: () => () => { throw new Error(`${SECRET} at /etc/igris`) } })
    const { outcome } = await handleCall({ ...watched(), [port]: broken }, incoming(toolCall('look')))
    expect(outcome).toMatchObject({ kind: 'refused', refusal: { code: 'internal' } })
    expect(JSON.stringify(outcome)).not.toContain('/etc/igris')
    expect(upstream.received).toHaveLength(0)
    logged.length = 0
  })

  test('anomaly detection that throws costs nothing', async () => {
    const call = incoming(toolCall('look'))
    const { outcome } = await handleCall({ ...watched(), anomalies: { observe: () => { throw new Error('bug') } } as unknown as Gateway['anomalies'] }, call)
    expect(outcome).toMatchObject({ kind: 'answered', httpStatus: 200 })
    expect(await recordOf(call)).toMatchObject([{ status: 'ok' }])
  })

  test('no call is left under way, however it ended', () => {
    expect(inst.gateway.calls.count()).toBe(0)
  })
})

describe('a switch that is thrown between two steps', () => {
  const suspension = { at: 1, by: 'somebody', reason: 'now' }

  test('a session suspended after it was looked at is still refused', async () => {
    await handleCall(watched(), incoming(toolCall('look')))
    upstream.received.length = 0
    const connection = await inst.gateway.connections.findBySlug(actor.organizationId, 'demo')
    const session = connection === null ? null : inst.gateway.sessions.peek(connection.id, key.id)
    if (session === null) throw new Error('no session')
    const mcpSessions = Object.assign(Object.create(inst.gateway.mcpSessions) as Gateway['mcpSessions'], {
      async find() {
        await inst.gateway.sessions.suspend(session.id, suspension)
        inst.gateway.calls.cut({ kind: 'session', organizationId: actor.organizationId, id: session.id })
        return { id: 'mcp_y', organizationId: actor.organizationId, connectionId: connection?.id, principalId: key.id, upstreamId: 'u', protocolVersion: null, createdAt: 0, lastUsedAt: 0 }
      },
    })
    const call = incoming(toolCall('look'), { headers: { 'mcp-session-id': 'mcp_y' } })
    const { outcome } = await handleCall(watched({ mcpSessions }), call)
    await inst.gateway.sessions.resume(session.id)
    expect(outcome).toMatchObject({ kind: 'refused', refusal: { code: 'session_suspended' } })
    expect(upstream.received).toHaveLength(0)
    expect(await recordOf(call)).toMatchObject([{ status: 'suspended' }])
  })

  test.each(['key', 'connection', 'organization', 'session'] as const)('a cut of the %s while the record is being reserved keeps the call here', async (kind) => {
    const connection = await inst.gateway.connections.findBySlug(actor.organizationId, 'demo')
    const session = connection === null ? null : inst.gateway.sessions.peek(connection.id, key.id)
    const id = { key: key.id, connection: connection?.id, organization: undefined, session: session?.id }[kind]
    const auditLog = Object.assign(Object.create(inst.gateway.auditLog) as Gateway['auditLog'], {
      async reserve(drafts: Parameters<Gateway['auditLog']['reserve']>[0]) {
        const tickets = await inst.gateway.auditLog.reserve(drafts)
        inst.gateway.calls.cut({ kind, organizationId: actor.organizationId, id } as Parameters<typeof inst.gateway.calls.cut>[0])
        return tickets
      },
    })
    const call = incoming(toolCall('look'))
    expect((await handleCall(watched({ auditLog }), call)).outcome).toMatchObject({ kind: 'refused', refusal: { code: 'session_suspended' } })
    expect(upstream.received).toHaveLength(0)
    expect(await recordOf(call)).toMatchObject([{ status: 'suspended' }])
  })
})

test('the row exists, in flight, while the upstream holds the call, and is completed by the time of the answer', async () => {
  let release = () => {}
  upstream.script = async (request, reply) => {
    await new Promise<void>((resolve) => (release = resolve))
    reply.result({ content: [] })
    void request
  }
  const call = incoming(toolCall('held', { text: 'kept' }))
  const answering = handleCall(watched(), call)
  await eventually(() => upstream.received.length === 1)
  expect(await recordOf(call)).toMatchObject([{ status: 'in_flight', toolName: 'held', arguments: { text: 'kept' }, httpStatus: null }])
  release()
  await answering
  expect(await recordOf(call)).toMatchObject([{ status: 'ok', httpStatus: 200, latencyMs: expect.any(Number), upstreamMs: expect.any(Number), responseBytes: expect.any(Number) }])
  upstream.script = (_request, reply) => reply.result({ content: [] })
})

test('neither the key nor the credential is in the database, the log or the events', async () => {
  await handleCall(watched(), incoming(toolCall('look', { password: 'arg-canary-1', nested: { api_key: 'arg-canary-2' } })))
  await inst.close()
  const files = readdirSync(folder).filter((name) => name.startsWith('igris.db')).map((name) => readFileSync(join(folder, name)).toString('latin1')).join('')
  const everything = `${files}${logged.join('')}`
  for (const secret of [key.key, SECRET, Buffer.from(SECRET).toString('base64'), 'arg-canary-1', 'arg-canary-2']) expect({ secret, isFound: everything.includes(secret) }).toEqual({ secret, isFound: false })
  inst = valueOf(await openInstallation(ConfigSchema.parse({ data: folder, logLevel: 'silent' }), { version: 'test' }))
})
