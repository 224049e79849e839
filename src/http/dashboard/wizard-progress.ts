import { reach } from '../../core/role.ts'
import type { Asked } from './shown.ts'

/** Whether the set-up is this person's to do: it makes connections, organization-wide policies and keys. */
export function maySetUp({ me }: Pick<Asked, 'me'>): boolean {
  return me.actor.role === 'owner' || me.actor.role === 'admin' ? reach(me.actor.role, 'governance.write') === 'all' : false
}

/** Where the set-up goes on; null for whom it is not, and where everything is there already. Read from what there is: nothing remembers a step. */
export async function setupHref(asked: Asked): Promise<string | null> {
  const { me, control } = asked
  if (!maySetUp(asked)) return null
  const connections = await control.connections.list(me.actor)
  if (!connections.ok) return null
  const [first] = connections.value
  if (first === undefined) return '/setup/connection'
  const of = `?${new URLSearchParams({ connection: first.slug })}`
  const policies = await control.policies.heads(me.actor)
  if (policies.ok && !policies.value.some(({ connection }) => connection === null || connections.value.some(({ slug }) => slug === connection))) return `/setup/policy${of}`
  const keys = await control.keys.list(me.actor)
  if (keys.ok && !keys.value.some(({ status }) => status === 'active')) return `/setup/key${of}`
  const calls = await control.audit.query(me.actor, { type: 'tool_call' }, { limit: 1 })
  return calls.ok && calls.value.items.length === 0 ? `/setup/first-call${of}` : null
}
