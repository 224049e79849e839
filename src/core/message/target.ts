import type { RpcMessage } from '../message.ts'
import type { PolicyTarget } from '../policy/decision.ts'

/**
 * What policies judge in a message that `readMessage` accepted; every one of them must be allowed. Empty for messages that name nothing governable.
 * Looks at the method alone, not at the kind: a call sent without an id is still a call.
 */
export function targetOf(message: RpcMessage): PolicyTarget[] {
  const params = message.params ?? {}
  switch (message.method) {
    case 'tools/call':
      return [{ kind: 'tool', name: text(params.name) }]
    case 'prompts/get':
      return [{ kind: 'prompt', name: text(params.name) }]
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      // Only a modern message may lack it, whose revision has these methods no more.
      if (message.era === 'modern' && params.uri === undefined) return []
      return [{ kind: 'resource', name: text(params.uri) }]
    case 'resources/read':
      return [{ kind: 'resource', name: text(params.uri) }]
    case 'completion/complete': {
      const ref = params.ref as Record<string, unknown>
      return [ref.type === 'ref/prompt' ? { kind: 'prompt', name: text(ref.name) } : { kind: 'resource', name: text(ref.uri) }]
    }
    case 'subscriptions/listen':
      return subscriptionsOf(params).map((uri) => ({ kind: 'resource', name: text(uri) }))
    default:
      return []
  }
}

function subscriptionsOf(params: Record<string, unknown>): unknown[] {
  const notifications = params.notifications as Record<string, unknown> | undefined
  return (notifications?.resourceSubscriptions as unknown[] | undefined) ?? []
}

function text(value: unknown): string {
  // Not a refusal: the reading made sure of it, so anything else is a message that never was read.
  if (typeof value !== 'string') throw new Error('targetOf was given a message that readMessage did not accept')
  return value
}
