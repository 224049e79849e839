import type { AuditEvent } from '../core/audit.ts'
import type { Connection } from '../core/connection.ts'
import type { ApiKey } from '../core/key.ts'
import type { Organization, Person, Suspension } from '../core/organization.ts'
import type { Invitation } from '../core/person-session.ts'
import type { Policy } from '../core/policy/schema.ts'
import type { AgentSession } from '../core/session.ts'
import { isoTime, isoTimeOrNull, type EpochMs } from '../core/time.ts'

/*
 * From what is stored to what leaves: times as ISO text, and never a sealed credential or a hash.
 * Fields are named one by one, so that a new secret field stays inside until somebody decides otherwise.
 */

/** Stands in the record where a secret was set or changed. */
export const SEALED = '[sealed]'

export interface SuspensionView {
  suspended: boolean
  suspendedAt: string | null
  suspendedBy: string | null
  suspendedReason: string | null
}

function presentSuspension(suspension: Suspension | null): SuspensionView {
  return {
    suspended: suspension !== null,
    suspendedAt: isoTimeOrNull(suspension?.at),
    suspendedBy: suspension?.by ?? null,
    suspendedReason: suspension?.reason ?? null,
  }
}

export type ConnectionView = ReturnType<typeof presentConnection>

export function presentConnection(connection: Connection) {
  return {
    id: connection.id,
    slug: connection.slug,
    name: connection.name,
    transport: connection.transport,
    upstreamUrl: connection.upstreamUrl,
    authType: connection.authType,
    authHeaderName: connection.authHeaderName,
    hasCredential: connection.sealedCredential !== null,
    caPem: connection.caPem,
    command: connection.program?.command ?? null,
    args: connection.program?.args ?? null,
    envNames: connection.program?.envNames ?? null,
    cwd: connection.program?.cwd ?? null,
    stdioMode: connection.program?.mode ?? null,
    enabled: connection.enabled,
    timeoutMs: connection.timeoutMs,
    denials: connection.denials,
    storeArguments: connection.storeArguments,
    hideDeniedTools: connection.hideDeniedTools,
    pinTools: connection.pinTools,
    anomaly: connection.anomaly,
    createdBy: connection.createdBy,
    createdAt: isoTime(connection.createdAt),
    updatedAt: isoTime(connection.updatedAt),
    ...presentSuspension(connection.suspension),
  }
}

export type KeyStatus = 'active' | 'suspended' | 'expired' | 'revoked'

export function keyStatus(key: ApiKey, now: EpochMs): KeyStatus {
  if (key.revokedAt !== null) return 'revoked'
  if (key.expiresAt !== null && key.expiresAt <= now) return 'expired'
  return key.suspension === null ? 'active' : 'suspended'
}

export type KeyView = ReturnType<typeof presentKey>

export function presentKey(key: ApiKey, now: EpochMs) {
  return {
    id: key.id,
    label: key.label,
    prefix: key.prefix,
    scope: key.scope,
    status: keyStatus(key, now),
    connections: key.connections,
    createdBy: key.createdBy,
    createdAt: isoTime(key.createdAt),
    expiresAt: isoTimeOrNull(key.expiresAt),
    lastUsedAt: isoTimeOrNull(key.lastUsedAt),
    revokedAt: isoTimeOrNull(key.revokedAt),
    ...presentSuspension(key.suspension),
  }
}

export type PolicyView = ReturnType<typeof presentPolicy>

export function presentPolicy(policy: Policy) {
  return {
    id: policy.id,
    name: policy.name,
    connection: policy.connection,
    active: policy.active,
    mode: policy.mode,
    position: policy.position,
    description: policy.description,
    rules: policy.rules,
    createdBy: policy.createdBy,
    createdAt: isoTime(policy.createdAt),
    updatedAt: isoTime(policy.updatedAt),
  }
}

export type SessionView = ReturnType<typeof presentSession>

export function presentSession(session: AgentSession) {
  return {
    id: session.id,
    connection: session.connection,
    principal: presentPrincipal(session.principal),
    user: session.user,
    status: session.status,
    toolCallsCount: session.toolCallsCount,
    startedAt: isoTime(session.startedAt),
    lastCallAt: isoTime(session.lastCallAt),
    suspendedAt: isoTimeOrNull(session.suspendedAt),
    suspendedBy: session.suspendedBy,
    suspendedReason: session.suspendedReason,
  }
}

export type AuditEventView = ReturnType<typeof presentAuditEvent>

export function presentAuditEvent(event: AuditEvent) {
  return {
    id: event.id,
    type: event.type,
    timestamp: isoTime(event.timestamp),
    connection: event.connection,
    sessionId: event.sessionId,
    requestId: event.requestId,
    traceId: event.traceId,
    principal: presentPrincipal(event.principal),
    user: event.user,
    metadata: event.metadata,
    method: event.method,
    toolName: event.toolName,
    action: event.action,
    policy: event.policy,
    rule: event.rule,
    reason: event.reason,
    status: event.status,
    httpStatus: event.httpStatus,
    latencyMs: event.latencyMs,
    upstreamMs: event.upstreamMs,
    requestBytes: event.requestBytes,
    responseBytes: event.responseBytes,
    ...(event.arguments === undefined ? {} : { arguments: event.arguments }),
    ...(event.details === undefined ? {} : { details: event.details }),
  }
}

export type OrganizationView = ReturnType<typeof presentOrganization>

export function presentOrganization(organization: Organization) {
  return {
    id: organization.id,
    name: organization.name,
    createdAt: isoTime(organization.createdAt),
    ...presentSuspension(organization.suspension),
  }
}

export type MemberView = ReturnType<typeof presentMember>

export function presentMember(person: Person) {
  return {
    id: person.id as string, email: person.email, name: person.name, role: person.role, status: 'active' as 'active' | 'invited',
    createdAt: isoTime(person.createdAt), expiresAt: null as string | null,
  }
}

/** Somebody who has not answered yet, among the members. Never its token. */
export function presentInvitation(invitation: Invitation): MemberView {
  return {
    id: invitation.id, email: invitation.email, name: '', role: invitation.role, status: 'invited', createdAt: isoTime(invitation.createdAt),
    expiresAt: isoTime(invitation.expiresAt),
  }
}

function presentPrincipal(principal: { type: string; id: string; label: string }) {
  return { type: principal.type, id: principal.id, label: principal.label }
}
