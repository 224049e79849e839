import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { AnomalySettings } from '../connection.ts'
import { createAnomalyDetector, type AnomalyDetector, type AnomalyFacts } from './detector.ts'

const MINUTE = 60_000
const settings = AnomalySettings.parse({})

function facts(changes: Partial<AnomalyFacts> = {}): AnomalyFacts {
  return { connectionId: 'con_a', settings, toolName: 'search', isToolCall: true, decisionAction: 'allow', policyReason: null, now: 0, ...changes }
}

/** Spreads `calls` over the window that begins at `from`, and returns what was found. */
function callsIn(detector: AnomalyDetector, from: number, calls: number, changes: Partial<AnomalyFacts> = {}) {
  return Array.from({ length: calls }, (_, index) => detector.observe(facts({ now: from + Math.floor((index * 59_000) / calls), ...changes }))).flat()
}

describe('rate_spike', () => {
  const cases: [name: string, windows: number[], spikes: number][] = [
    ['the first window is never a spike', [500], 0],
    ['a steady high rate is no spike', [500, 500, 500, 500, 500], 0],
    ['a rise from 1 to 3 calls is no spike', [1, 1, 1, 3], 0],
    ['a rise from 1 to the floor is a spike', [1, 1, 1, 20], 1],
    ['a rise from 1 to just below the floor is none', [1, 1, 1, 19], 0],
    ['a jump from 20 to 100 is one spike', [20, 20, 20, 100], 1],
    ['three times the average is a spike', [20, 20, 60], 1],
    ['just below three times the average is none', [20, 20, 59], 0],
    ['a connection that was idle for long is measured by the floor', [100, ...Array<number>(12).fill(0), 20], 1],
    ['a short pause does not make the usual rate a spike', [100, 100, 100, 0, 0, 100], 0],
    ['a slow rise is no spike', [20, 40, 60, 80, 100, 120], 0],
  ]
  for (const [name, windows, spikes] of cases) {
    test(name, () => {
      const detector = createAnomalyDetector()
      // The first call starts the windows, so each row has one in its first window.
      const found = windows.flatMap((calls, index) => callsIn(detector, index * MINUTE, calls))
      expect(found.map((finding) => finding.anomalyType)).toEqual(Array<'rate_spike'>(spikes).fill('rate_spike'))
    })
  }

  test('a spike tells its rate, its threshold and why', () => {
    const detector = createAnomalyDetector()
    callsIn(detector, 0, 20)
    expect(callsIn(detector, MINUTE, 100)).toEqual([{
      anomalyType: 'rate_spike', toolName: null, currentRate: 60, threshold: 60, swallowed: 0,
      reason: '60 calls within 60 s reach the threshold of 60: 3 times the average of 20',
    }])
  })

  test('a rise that stays becomes the average', () => {
    const detector = createAnomalyDetector()
    const calm = { settings: { ...settings, cooldownSeconds: 0 } }
    for (let window = 0; window < 10; window++) callsIn(detector, window * MINUTE, 20, calm)
    const spikes = Array.from({ length: 10 }, (_, window) => callsIn(detector, (10 + window) * MINUTE, 100, calm).length)
    expect(spikes).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
  })

  test('spikes within the cooldown are swallowed, and counted in the next', () => {
    const detector = createAnomalyDetector()
    const spiky = { settings: { ...settings, multiplier: 1, floor: 1, cooldownSeconds: 180 } }
    const found = Array.from({ length: 6 }, (_, window) => callsIn(detector, window * MINUTE, 10, spiky).map((finding) => finding.swallowed))
    expect(found).toEqual([[], [0], [], [], [2], []])
  })

  test('connections do not share their rates', () => {
    const detector = createAnomalyDetector()
    for (const connectionId of ['con_a', 'con_b']) callsIn(detector, 0, 20, { connectionId })
    expect(callsIn(detector, MINUTE, 40, { connectionId: 'con_a' })).toEqual([])
    expect(callsIn(detector, MINUTE, 40, { connectionId: 'con_b' })).toEqual([])
  })

  test('only tool calls count, denied ones included', () => {
    const detector = createAnomalyDetector()
    callsIn(detector, 0, 1)
    expect(callsIn(detector, MINUTE, 100, { isToolCall: false, toolName: null })).toEqual([])
    expect(callsIn(detector, MINUTE, 100, { decisionAction: 'deny' })).toHaveLength(1)
  })

  test('another window length starts anew', () => {
    const detector = createAnomalyDetector()
    callsIn(detector, 0, 1)
    expect(callsIn(detector, MINUTE, 100, { settings: { ...settings, windowSeconds: 600 } })).toEqual([])
  })

  test('a clock that is set back starts anew, and a late call does not', () => {
    const detector = createAnomalyDetector()
    const start = 100 * 3_600_000
    callsIn(detector, start, 1)
    expect(callsIn(detector, start + MINUTE, 19)).toEqual([])
    expect(detector.observe(facts({ now: start - MINUTE }))).toHaveLength(1)
    expect(callsIn(detector, 0, 100)).toEqual([])
  })

  test('switched off, nothing is found; switched on again, it learns first', () => {
    const detector = createAnomalyDetector()
    const off = { settings: { ...settings, enabled: false } }
    callsIn(detector, 0, 1)
    expect(callsIn(detector, MINUTE, 100, { ...off, toolName: 'delete_x' })).toEqual([])
    expect(callsIn(detector, 2 * MINUTE, 100)).toEqual([])
  })
})

describe('destructive_pattern', () => {
  const destructive = ['delete_user', 'drop_table', 'truncate_log', 'destroy_vm', 'purge_cache', 'delete_', 'Delete_User', 'DROP_TABLE']
  const harmless = ['undelete_user', 'deleted_items', 'delete', 'deleteUser', 'get_deleted', 'dropdown_show', 'soft_delete_user', ' delete_x', 'list_purge_jobs', 'delete-user']
  for (const toolName of destructive) test(`"${toolName}" is destructive`, () => expect(createAnomalyDetector().observe(facts({ toolName }))).toMatchObject([{ anomalyType: 'destructive_pattern', toolName, swallowed: 0 }]))
  for (const toolName of harmless) test(`"${toolName}" is not`, () => expect(createAnomalyDetector().observe(facts({ toolName }))).toEqual([]))

  for (const decisionAction of ['allow', 'deny', 'alert'] as const) {
    test(`it is found when the policy said ${decisionAction}`, () => {
      expect(createAnomalyDetector().observe(facts({ toolName: 'delete_x', decisionAction })).map((finding) => finding.anomalyType)).toContain('destructive_pattern')
    })
  }

  test('a prompt or resource of such a name is none', () => expect(createAnomalyDetector().observe(facts({ toolName: 'delete_x', isToolCall: false }))).toEqual([]))

  test('one per connection and tool within the cooldown; the next one counts the swallowed', () => {
    const detector = createAnomalyDetector()
    const at = (now: number, toolName = 'delete_x', connectionId = 'con_a') => detector.observe(facts({ now, toolName, connectionId })).map((finding) => finding.swallowed)
    expect([at(0), at(1), at(299_999), at(1, 'delete_y'), at(1, 'delete_x', 'con_b'), at(300_000), at(300_001), at(600_000)]).toEqual([[0], [], [], [0], [0], [2], [], [1]])
  })
})

describe('policy_alert', () => {
  test('it carries the policy\'s reason, once per tool within the cooldown', () => {
    const detector = createAnomalyDetector()
    const alert = { decisionAction: 'alert', policyReason: 'Alert by rule 1 of policy "p"', toolName: 'write_x' } as const
    expect(detector.observe(facts(alert))).toEqual([{ anomalyType: 'policy_alert', toolName: 'write_x', reason: 'Alert by rule 1 of policy "p"', swallowed: 0 }])
    expect(detector.observe(facts(alert))).toEqual([])
    expect(detector.observe(facts({ ...alert, toolName: 'write_y' }))).toHaveLength(1)
  })

  test('it is found with the detectors switched off', () => {
    expect(createAnomalyDetector().observe(facts({ decisionAction: 'alert', settings: { ...settings, enabled: false } }))).toHaveLength(1)
  })

  test('a destructive tool under an alert rule is two findings', () => {
    expect(createAnomalyDetector().observe(facts({ decisionAction: 'alert', toolName: 'drop_t' })).map((finding) => finding.anomalyType)).toEqual(['destructive_pattern', 'policy_alert'])
  })
})

describe('the memory of the detector', () => {
  test('forgets what was shown longest ago, which shows a finding again', () => {
    const detector = createAnomalyDetector({ cooldownsMax: 3 })
    const found = ['delete_1', 'delete_2', 'delete_3', 'delete_4', 'delete_4', 'delete_1'].map((toolName) => detector.observe(facts({ toolName })).length)
    expect(found).toEqual([1, 1, 1, 1, 0, 1])
  })

  test('forgets the connections longest unseen, which learn again', () => {
    const detector = createAnomalyDetector({ connectionsMax: 2 })
    for (const connectionId of ['con_a', 'con_b', 'con_c']) callsIn(detector, 0, 1, { connectionId })
    expect(callsIn(detector, MINUTE, 100, { connectionId: 'con_c' })).toHaveLength(1)
    expect(callsIn(detector, MINUTE, 100, { connectionId: 'con_a' })).toEqual([])
  })

  test('the same facts in the same order give the same findings, at any times', () => {
    const call = fc.record({ now: fc.oneof(fc.integer({ min: 0, max: 1e7 }), fc.maxSafeInteger()), toolName: fc.constantFrom('delete_x', 'search', null), decisionAction: fc.constantFrom('allow' as const, 'deny' as const, 'alert' as const) })
    const quick = AnomalySettings.parse({ floor: 1, windowSeconds: 1, multiplier: 1, cooldownSeconds: 1 })
    fc.assert(fc.property(fc.array(call, { maxLength: 100 }), (calls) => {
      const [first, second] = [createAnomalyDetector(), createAnomalyDetector()]
      for (const each of calls) expect(first.observe(facts({ ...each, settings: quick }))).toEqual(second.observe(facts({ ...each, settings: quick })))
    }))
  })
})
