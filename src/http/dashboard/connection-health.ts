import type { HEALTH } from '../../../views/pages/connections.tsx'
import type { ConnectionPulse } from '../../control/observe.ts'
import type { Asked } from './shown.ts'

const DAY_MS = 86_400_000

/** Figures of the last day, by slug. */
export function pulsesOf({ me, viewer, control }: Asked) {
  return control.observe.overview(me.actor, { from: viewer.now - DAY_MS, to: viewer.now, parts: 24 })
}

/** What a person would say who looked at the last day. */
export function healthOf(connection: { suspended: boolean; enabled: boolean }, pulse: ConnectionPulse | undefined): (typeof HEALTH)[number] {
  if (connection.suspended) return 'suspended'
  if (!connection.enabled) return 'disabled'
  if (pulse === undefined || pulse.calls === 0) return 'quiet'
  const share = pulse.failed / pulse.calls
  return share >= 0.5 ? 'failing' : share >= 0.05 ? 'unsteady' : 'healthy'
}
