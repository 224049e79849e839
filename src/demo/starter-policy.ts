import type { z } from 'zod'
import type { NewPolicy } from '../core/policy/schema.ts'

/** A first policy that shows each kind of rule once. The first rule that matches decides. */
export const STARTER_POLICY = {
  name: 'starter',
  connection: 'demo',
  description: 'What the demo starts with: change it and call again.',
  rules: [
    { tool: 'delete_*', action: 'deny', reason: 'customers are deleted by people, not by agents' },
    { tool: 'update_order_status', action: 'deny', conditions: { 'args.status': 'refunded' }, reason: 'refunds go through refund_order' },
    { tool: 'refund_*', action: 'alert', rateLimit: { max: 5, windowSeconds: 60, per: 'key' } },
    { tool: 'search_*', action: 'allow', rateLimit: { max: 60, windowSeconds: 60, per: 'key' } },
    { tool: '*', action: 'allow' },
  ],
} satisfies z.input<typeof NewPolicy>
