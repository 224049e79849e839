import { Outcome, type TestOutcome } from '../../../views/pages/connections-form.tsx'
import type { ProbeReport } from '../../control/probe-upstream.ts'
import type { Result } from '../../core/result.ts'
import { faultsOf, type Read, type Values } from './connection-form.ts'
import { statusOf } from './page.ts'
import { shown, type Asked } from './shown.ts'

/** What a form shows besides what was typed. */
export interface Told {
  values: Values
  faults?: Values
  alert?: string | null
  outcome?: TestOutcome
  isSecretGone?: boolean
  status?: number
}

/** Within the page, the part of it that tells the outcome; without a script, the page again. What could not be sent is an outcome too. */
export async function answerTest<T>(asked: Asked, read: Read<T>, test: (value: T) => Promise<Result<ProbeReport>>, again: (told: Omit<Told, 'values'>) => Promise<Response>): Promise<Response> {
  const tested = read.ok ? await test(read.value) : null
  const faults = !read.ok ? read.faults : tested !== null && !tested.ok ? faultsOf(tested).faults : {}
  const named = Object.entries(faults).map(([field, fault]) => `${LABELS[field] ?? field}: ${fault}`)
  const outcome: TestOutcome = tested?.ok === true ? { report: tested.value } : { sentences: named.length > 0 ? named : [tested !== null && !tested.ok ? tested.message : ''] }
  if (asked.page.request.headers.get('hx-request') === 'true') return shown(asked, await Outcome({ outcome, isSecretGone: false }))
  return again({ outcome, faults, status: tested?.ok === true ? 200 : tested === null ? 400 : statusOf(tested) })
}

const LABELS: Values = {
  slug: 'Slug', name: 'Name', upstreamUrl: 'Address', authType: 'How Igris shows who it is', authHeaderName: 'Name of that header', credential: 'Credential', caPem: 'CA certificates',
  timeoutMs: 'Timeout', 'anomaly.multiplier': 'Spike: times the average', 'anomaly.floor': 'Spike: at least so many calls', 'anomaly.windowSeconds': 'Window', 'anomaly.cooldownSeconds': 'Cooldown',
}
