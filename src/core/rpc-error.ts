import { REFUSALS } from './result.ts'
import type { Refusal } from './result.ts'

/** The `data` of a refusal on the MCP path: no more than the caller may know. */
export function refusalFacts(refusal: Refusal, requestId: string): Record<string, unknown> {
  return {
    ...refusal.rpcData,
    code: refusal.code,
    requestId,
    ...(refusal.policy === undefined ? {} : { policy: refusal.policy }),
    ...(refusal.rule === undefined ? {} : { rule: refusal.rule }),
    ...(refusal.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: refusal.retryAfterSeconds }),
  }
}

/** A JSON-RPC error response as text. The id goes in as it was written, so that it comes back to the letter. */
export function rpcErrorText(idText: string | null, refusal: Refusal, requestId: string): string {
  const error = { code: refusal.rpcCode ?? REFUSALS[refusal.code].rpc, message: refusal.message, data: refusalFacts(refusal, requestId) }
  return `{"jsonrpc":"2.0","id":${idText ?? 'null'},"error":${JSON.stringify(error)}}`
}
