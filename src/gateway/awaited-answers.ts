import type { AuditStatus } from '../core/audit.ts'
import type { RpcMessage } from '../core/message.ts'

/** How one message of a call ended. */
export interface Ending {
  status: AuditStatus
  reason: string | null
}

const OK: Ending = { status: 'ok', reason: null }
const INPUT_REQUIRED: Ending = { status: 'ok', reason: 'The MCP server asks for input before it carries the call out.' }
const TASK_MADE: Ending = { status: 'ok', reason: 'The MCP server made a task of the call; its result is fetched later.' }

/** The requests of a call that have no answer yet, and how those that have one ended. Ids match by value, as clients match them. */
export class AwaitedAnswers {
  /** One per message of the call; what awaits no answer counts as ok. */
  readonly endings: Ending[]
  readonly #waiting = new Map<unknown, number>()
  readonly #messages: RpcMessage[]
  readonly #onResult: (message: RpcMessage, result: Record<string, unknown>) => void

  /** @param onResult told of each result, before it is passed on */
  constructor(messages: RpcMessage[], onResult: (message: RpcMessage, result: Record<string, unknown>) => void) {
    this.#messages = messages
    this.#onResult = onResult
    this.endings = messages.length === 0 ? [OK] : messages.map(() => OK)
    for (const [index, message] of messages.entries()) {
      if (message.kind === 'request' && message.idText !== null) this.#waiting.set(JSON.parse(message.idText), index)
    }
  }

  get isWaiting(): boolean {
    return this.#waiting.size > 0
  }

  waiting(): RpcMessage[] {
    return [...this.#waiting.values()].flatMap((index) => this.#messages[index] ?? [])
  }

  /** Takes one JSON-RPC response; false when the value is none, or answers nothing that is awaited. */
  take(value: unknown): boolean {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    const message = value as Record<string, unknown>
    const index = this.#waiting.get(message.id)
    if (message.jsonrpc !== '2.0' || index === undefined) return false
    const ending = 'error' in message ? { status: 'rpc_error' as const, reason: rpcErrorReason(message) } : endingOfResult(message.result, this.#messages[index])
    if (ending === null) return false
    this.#waiting.delete(message.id)
    this.endings[index] = ending
    const request = this.#messages[index]
    if (request !== undefined && !('error' in message)) this.#onResult(request, message.result as Record<string, unknown>)
    return true
  }

  /** Ends what still waits; `isForAll` ends a stream without any request (GET) with it too, which otherwise counts as ok. */
  endRest(ending: Ending, { isForAll = false } = {}): void {
    if (isForAll && this.#messages.length === 0) this.endings[0] = ending
    for (const index of this.#waiting.values()) this.endings[index] = ending
    this.#waiting.clear()
  }
}

function endingOfResult(result: unknown, request: RpcMessage | undefined): Ending | null {
  if (typeof result !== 'object' || result === null) return null
  const { isError, resultType, task } = result as Record<string, unknown>
  if (isError === true) return { status: 'tool_error', reason: null }
  if (resultType === 'input_required') return INPUT_REQUIRED
  const isTask = resultType === 'task' || (request?.params?.task !== undefined && typeof task === 'object' && task !== null)
  return isTask ? TASK_MADE : OK
}

/** The code alone: the text is the upstream's, who knows our credential and may quote it. */
export function rpcErrorReason(message: Record<string, unknown>): string {
  const code = (message.error as { code?: unknown } | null)?.code
  return `The MCP server answered with the error code ${typeof code === 'number' && Number.isFinite(code) ? code : '?'}.`
}
