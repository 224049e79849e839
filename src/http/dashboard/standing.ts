import type { Concern } from '../../../views/components/standing.tsx'
import { ok, type Result } from '../../core/result.ts'
import { healthOf, pulsesOf } from './connection-health.ts'
import type { Asked } from './shown.ts'

/** Beyond it the number is told as "50+": somebody should look either way. */
const COUNTED_MAX = 50
/** What is open for longer is on the page of anomalies; looking through years for it is not for the first page. */
const ANOMALIES_MS = 7 * 86_400_000

/** What is stopped, failing or open right now, heaviest first, as far as the person may see. Empty: all is well. */
export async function standingOf(asked: Asked): Promise<Result<Concern[]>> {
  const { me, viewer, control } = asked
  const limit = COUNTED_MAX
  const [organization, connections, pulses, sessions, anomalies] = await Promise.all([
    control.organization.get(me.actor), control.connections.list(me.actor), pulsesOf(asked),
    control.sessions.list(me.actor, { status: 'suspended' }, { limit }), control.anomalies.list(me.actor, 'open', { limit, from: viewer.now - ANOMALIES_MS }),
  ])
  for (const found of [organization, connections, pulses, sessions, anomalies]) if (!found.ok) return found
  if (!organization.ok || !connections.ok || !pulses.ok || !sessions.ok || !anomalies.ok) return ok([])
  const pulseOf = pulses.value.connections
  const health = connections.value.map((connection) => healthOf(connection, Object.hasOwn(pulseOf, connection.slug) ? pulseOf[connection.slug] : undefined))
  const having = (state: (typeof health)[number]) => health.filter((own) => own === state).length
  return ok([
    ...concern('bad', organization.value.suspended ? 1 : 0, () => 'everything is stopped', '/settings/organization'),
    ...concern('bad', having('suspended'), (count) => `${things(count, 'connection')} suspended`, '/connections?state=suspended'),
    ...concern('bad', having('failing'), (count) => `${things(count, 'connection')} failing`, '/connections?state=failing'),
    ...concern('warn', having('unsteady'), (count) => `${things(count, 'connection')} unsteady`, '/connections?state=unsteady'),
    ...concern('warn', sessions.value.items.length, (count) => `${things(count, 'session')} suspended`, '/sessions?status=suspended'),
    ...concern('warn', anomalies.value.items.length, (count) => `${count === 1 ? '1 open anomaly' : `${told(count)} open anomalies`}`, '/anomalies'),
  ])
}

function concern(weight: Concern['weight'], count: number, says: (count: number) => string, href: string): Concern[] {
  return count === 0 ? [] : [{ weight, says: says(count), href }]
}

function things(count: number, name: string): string {
  return count === 1 ? `1 ${name}` : `${told(count)} ${name}s`
}

function told(count: number): string {
  return count >= COUNTED_MAX ? `${COUNTED_MAX}+` : String(count)
}
