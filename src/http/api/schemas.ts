import { z } from 'zod'
import { AuditAction, AuditStatus, AuditType } from '../../core/audit.ts'
import { AnomalySettings, AuthType, DenialStyle, PinTools, StdioMode, Transport } from '../../core/connection.ts'
import { KeyScope } from '../../core/key.ts'
import { PolicyCase } from '../../core/policy/policy-file.ts'
import { NewPolicy, Rule } from '../../core/policy/schema.ts'
import { Role } from '../../core/role.ts'

/* What answers look like, for `openapi.json` and the tests. The operations make them (`control/present.ts`); the tests hold the two together. */

const Time = z.iso.datetime({ precision: 3 })
const suspension = {
  suspended: z.boolean(),
  suspendedAt: Time.nullable(),
  suspendedBy: z.string().nullable(),
  suspendedReason: z.string().nullable(),
}
const PrincipalView = z.strictObject({ type: z.enum(['api_key', 'person', 'system', 'anonymous']), id: z.string(), label: z.string() })

export const ConnectionView = z.strictObject({
  id: z.string(), slug: z.string(), name: z.string(), transport: Transport, upstreamUrl: z.string(), authType: AuthType, authHeaderName: z.string().nullable(),
  hasCredential: z.boolean(), caPem: z.string().nullable(), command: z.string().nullable(), args: z.array(z.string()).nullable(),
  envNames: z.array(z.string()).nullable(), cwd: z.string().nullable(), stdioMode: StdioMode.nullable(), enabled: z.boolean(), timeoutMs: z.number(), denials: DenialStyle, storeArguments: z.boolean(),
  hideDeniedTools: z.boolean(), pinTools: PinTools, anomaly: AnomalySettings, createdBy: z.string(), createdAt: Time, updatedAt: Time, ...suspension,
})

export const ProgramView = z.strictObject({
  pid: z.number(), state: z.enum(['running', 'ended']), startedAt: Time, endedAt: Time.nullable(), exitCode: z.number().nullable(),
  signal: z.union([z.string(), z.number()]).nullable(), crashes: z.number(), stderr: z.string(),
})

export const ProbeView = z.strictObject({
  ok: z.boolean(), latencyMs: z.number(), protocolVersion: z.string().nullable(), server: z.strictObject({ name: z.string(), version: z.string() }).nullable(),
  capabilities: z.record(z.string(), z.unknown()).nullable(), tools: z.array(z.strictObject({ name: z.string(), description: z.string().nullable() })),
  error: z.string().optional(),
})

export const KeyView = z.strictObject({
  id: z.string(), label: z.string(), prefix: z.string(), scope: KeyScope, status: z.enum(['active', 'suspended', 'expired', 'revoked']),
  connections: z.array(z.string()).nullable(), createdBy: z.string(), createdAt: Time, expiresAt: Time.nullable(), lastUsedAt: Time.nullable(),
  revokedAt: Time.nullable(), ...suspension,
})
export const NewKeyView = KeyView.extend({ key: z.string().describe('The whole key. Shown this once.') })

export const PolicyView = z.strictObject({
  id: z.string(), name: z.string(), connection: z.string().nullable(), active: z.boolean(), mode: z.enum(['enforce', 'shadow']), position: z.number(),
  description: z.string().nullable(), rules: z.array(Rule), createdBy: z.string(), createdAt: Time, updatedAt: Time,
})

export const SimulationView = z.strictObject({
  decision: z.looseObject({
    action: AuditAction, policy: z.string().nullable(), policyId: z.string().nullable(), rule: z.number().nullable(), reason: z.string(),
    error: z.string().nullable(), rateLimit: z.strictObject({ max: z.number(), windowSeconds: z.number() }).nullable(),
  }),
  against: z.enum(['stored', 'draft']),
  rules: z.array(z.strictObject({
    policy: z.string(), rule: z.number(), mode: z.enum(['enforce', 'shadow']), outcome: z.enum(['matched', 'not_matched', 'error']), why: z.string().nullable(),
  })).optional().describe('With `explain`: each rule that was asked, in order, and the first thing that failed'),
  omitted: z.number().optional().describe('Further rules that were asked'),
})

const coverage = {
  from: Time, to: Time, scanned: z.number().describe('Rows of the record that were read'), complete: z.boolean().describe('False: nothing before `reachedBack` was looked at'), reachedBack: Time, tookMs: z.number(),
  notes: z.array(z.string()).describe('What to know when reading this'),
}

export const ReplayView = z.strictObject({
  calls: z.number(), changed: z.number(), transitions: z.record(z.string(), z.number()).describe('Calls by old and new decision, e.g. `allow → deny`'),
  groups: z.array(z.strictObject({
    connection: z.string(), kind: z.enum(['tool', 'resource', 'prompt']), name: z.string(), caller: z.string(), from: AuditAction, to: AuditAction, count: z.number(),
    withoutArguments: z.number(), reason: z.string(), examples: z.array(z.string()).describe('Ids of audit events'),
  })).describe('Calls that would be decided otherwise, largest group first'),
  ungrouped: z.number().describe('Changed calls that found no room in the groups'),
  ...coverage,
})

export const SuggestionView = z.strictObject({ policy: NewPolicy, calls: z.number(), omitted: z.number(), ...coverage })

export const TemplateView = z.strictObject({ id: z.string(), name: z.string(), description: z.string(), rules: z.array(Rule), tests: z.array(PolicyCase).describe('What it does, shown on calls; fit for `igris policy test`') })

const PolicyContentView = z.strictObject({
  name: z.string(), connection: z.string().nullable(), active: z.boolean(), mode: z.enum(['enforce', 'shadow']), description: z.string().nullable(), rules: z.array(Rule),
})

const ChangeKind = z.enum(['create', 'update', 'reorder', 'unchanged', 'delete'])
export const AppliedView = z.strictObject({
  applied: z.boolean(), counts: z.record(ChangeKind, z.number()),
  changes: z.array(z.strictObject({
    kind: ChangeKind, name: z.string(), connection: z.string().nullable(), id: z.string().nullable(), fields: z.array(z.string()),
    before: PolicyContentView.nullable(), after: PolicyContentView.nullable(),
  })),
})

export const SessionView = z.strictObject({
  id: z.string(), connection: z.string(), principal: PrincipalView, user: z.string().nullable(), status: z.enum(['active', 'suspended', 'completed']),
  toolCallsCount: z.number(), startedAt: Time, lastCallAt: Time, suspendedAt: Time.nullable(), suspendedBy: z.string().nullable(), suspendedReason: z.string().nullable(),
})

export const AuditEventView = z.strictObject({
  id: z.string(), type: AuditType, timestamp: Time, connection: z.string().nullable(), sessionId: z.string().nullable(), requestId: z.string().nullable(),
  traceId: z.string().nullable(), principal: PrincipalView, user: z.string().nullable(), metadata: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  method: z.string().nullable(), toolName: z.string().nullable(), action: AuditAction.nullable(), policy: z.string().nullable(), rule: z.number().nullable(),
  reason: z.string().nullable(), status: AuditStatus, httpStatus: z.number().nullable(), latencyMs: z.number().nullable(), upstreamMs: z.number().nullable(),
  requestBytes: z.number().nullable(), responseBytes: z.number().nullable(), arguments: z.unknown().optional(), details: z.record(z.string(), z.unknown()).optional(),
})

export const AnomalyEventView = AuditEventView.extend({
  acknowledged: z.strictObject({ at: Time, by: z.string(), note: z.string().nullable() }).nullable(),
})

export const OrganizationView = z.strictObject({ id: z.string(), name: z.string(), createdAt: Time, ...suspension })

export const MemberView = z.strictObject({
  id: z.string(), email: z.string(), name: z.string(), role: Role, status: z.enum(['active', 'invited']), createdAt: Time,
  expiresAt: Time.nullable().describe('When an invitation ends.'),
})
export const NewMemberView = MemberView.extend({ inviteUrl: z.string().describe('The link for whoever is invited. Works once, shown this once.') })

/** Why something is resumed; the body may be left out. */
export const ResumeRequest = z.strictObject({ reason: z.string().trim().min(1).max(500).optional() })
