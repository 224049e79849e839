import { describe, expect, test } from 'bun:test'
import type { AuditEvent } from '../audit.ts'
import { compilePolicies } from './compile.ts'
import { recordedCall, Replay } from './replay.ts'
import { policy, SUNDAY_MORNING } from './testing/policy-builders.ts'

function event(fields: Partial<AuditEvent>): AuditEvent {
  return {
    id: 'evt_1', organizationId: 'org_1', type: 'tool_call', timestamp: SUNDAY_MORNING, connection: 'github', sessionId: 'ses_1', requestId: null, traceId: null,
    principal: { type: 'api_key', id: 'key_1', label: 'ci' }, user: null, metadata: {}, method: 'tools/call', toolName: 'read_file', action: 'allow', policy: 'p', rule: 1, reason: null,
    status: 'ok', httpStatus: 200, latencyMs: 1, upstreamMs: 1, requestBytes: 1, responseBytes: 1, ...fields,
  } as AuditEvent
}

function replay(rules: unknown[], events: AuditEvent[]) {
  const rehearsal = new Replay(compilePolicies([policy({ name: 'draft', rules })]))
  for (const recorded of events) {
    const call = recordedCall(recorded)
    if (call !== null) rehearsal.add(call)
  }
  return rehearsal.report()
}

describe('a replay', () => {
  test('counts what would change, by tool, caller and decision, with examples', () => {
    const report = replay([{ tool: 'delete_*', action: 'deny', conditions: { 'args.force': true } }, { tool: '*', action: 'allow' }], [
      ...Array.from({ length: 5 }, (_, at) => event({ id: `evt_d${at}` as never, toolName: 'delete_repo', arguments: { force: true } })),
      event({ toolName: 'delete_repo', arguments: { force: false } }),
      event({ toolName: 'merge', action: 'deny', status: 'denied', principal: { type: 'api_key', id: 'key_2', label: 'laptop' } }),
      event({}),
    ])
    expect(report).toEqual({
      calls: 8, changed: 6, transitions: { 'allow → deny': 5, 'allow → allow': 2, 'deny → allow': 1 }, ungrouped: 0,
      groups: [
        { connection: 'github', kind: 'tool', name: 'delete_repo', caller: 'ci', from: 'allow', to: 'deny', count: 5, withoutArguments: 0, reason: 'Denied by rule 1 of policy "draft".', examples: ['evt_d0', 'evt_d1', 'evt_d2'] },
        { connection: 'github', kind: 'tool', name: 'merge', caller: 'laptop', from: 'deny', to: 'allow', count: 1, withoutArguments: 1, reason: 'Allowed by rule 2 of policy "draft".', examples: ['evt_1'] },
      ],
    })
  })

  test('judges resources and prompts, and passes over what no policy judged', () => {
    const rules = [{ resource: 'file:///etc/*', action: 'deny' }, { prompt: 'a', action: 'alert' }]
    const events = [
      event({ toolName: null, details: { targets: [{ kind: 'resource', name: 'file:///etc/x' }] } }), event({ toolName: null, details: { targets: [{ kind: 'prompt', name: 'a' }] } }),
      event({ method: 'tools/list', toolName: null }), event({ toolName: null, details: { targets: 'odd' } }), event({ method: 'policy.update', action: null, connection: null, toolName: null }),
    ]
    expect(replay(rules, events)).toMatchObject({ calls: 2, changed: 2 })
  })

  test.each(['rate_limited', 'suspended', 'overloaded', 'failed'] as const)('passes over a call that was %s: no rule refused it', (status) => {
    expect(replay([{ tool: '*', action: 'allow' }], [event({ action: 'deny', status })])).toMatchObject({ calls: 0, changed: 0 })
    expect(replay([{ tool: '*', action: 'allow' }], [event({ action: 'deny', status: 'denied' }), event({ action: 'allow', status })])).toMatchObject({ calls: 2, changed: 1 })
  })

  test('counts a call once, and not the anomaly that it raised', () => {
    expect(replay([{ tool: '*', action: 'deny' }], [event({ action: 'alert' }), event({ type: 'anomaly', action: 'alert' })])).toMatchObject({ calls: 1, changed: 1 })
  })

  test('judges by the time of the call, not by now', () => {
    expect(replay([{ tool: '*', action: 'deny', conditions: { 'time.weekday': 'sun' } }], [event({})]).changed).toBe(1)
  })

  test('keeps the answer short when everything differs', () => {
    const report = replay([{ tool: '*', action: 'deny' }], Array.from({ length: 1500 }, (_, at) => event({ toolName: `tool_${at}` })))
    expect(report).toMatchObject({ calls: 1500, changed: 1500, ungrouped: 500 })
    expect(report.groups.length).toBe(1000)
  })
})
