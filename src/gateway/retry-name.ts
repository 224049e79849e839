import type { RpcMessage } from '../core/message.ts'

/**
 * The name under which a call that was asked for input finds its retry, which has another id: what the server had it carry, else what it asked
 * for. Only the same caller's on the same connection.
 */
export function retryName(
  { hashKey }: { hashKey(text: string): string },
  facts: { connectionId: string; principalId: string; message: RpcMessage; requestState: unknown; asked: string[] },
): string {
  const { connectionId, principalId, message, requestState, asked } = facts
  const what = typeof requestState === 'string' ? { requestState } : { name: message.params?.name ?? message.params?.uri ?? null, asked: asked.toSorted() }
  return hashKey(JSON.stringify([connectionId, principalId, message.method, what]))
}

/** The name of a state that some caller of the connection was given to bring back. */
export function stateName({ hashKey }: { hashKey(text: string): string }, connectionId: string, requestState: string): string {
  return hashKey(JSON.stringify([connectionId, { requestState }]))
}
