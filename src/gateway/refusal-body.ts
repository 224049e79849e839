import type { RpcMessage } from '../core/message.ts'
import type { Refusal } from '../core/result.ts'
import { refusalFacts, rpcErrorText } from '../core/rpc-error.ts'
import type { RefusalShape } from './refusal-shape.ts'

/** The answer to one refused request as JSON text: a JSON-RPC error, or a tool result where that was asked for. */
export function refusalBody(message: RpcMessage, refusal: Refusal, form: RefusalShape['form'], requestId: string): string {
  // A task-augmented call must be answered with a task, so its refusal stays a JSON-RPC error.
  const isPlainToolCall = message.method === 'tools/call' && message.params?.task === undefined
  if (form !== 'result' || !isPlainToolCall) return rpcErrorText(message.idText, refusal, requestId)
  const facts = refusalFacts(refusal, requestId)
  const result = {
    ...(message.era === 'modern' ? { resultType: 'complete' } : {}),
    content: [{ type: 'text', text: refusal.message }],
    isError: true,
    // `data` as in the error form; its fields once more on the level where clients look for them.
    _meta: { ...facts, data: facts },
  }
  return `{"jsonrpc":"2.0","id":${message.idText ?? 'null'},"result":${JSON.stringify(result)}}`
}
