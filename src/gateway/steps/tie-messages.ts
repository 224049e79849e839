import type { Caller } from '../../core/caller.ts'
import type { Connection } from '../../core/connection.ts'
import type { RpcMessage } from '../../core/message.ts'
import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'
import type { McpSession } from '../../core/session.ts'
import type { QuestionBook } from '../question-book.ts'
import { shownId } from '../record-questions.ts'
import { retryName, stateName } from '../retry-name.ts'
import type { TaskOwners } from '../task-owners.ts'

const INVALID_PARAMS = -32602
const METHOD_NOT_FOUND = -32601
const ANSWERS_SHOWN_MAX = 32

/** What a message goes back to: an earlier call of the same story, whose trace it shares. */
export interface Tie {
  traceId: string | null
  details: Record<string, unknown>
}

export interface TieFacts {
  caller: Caller
  connection: Connection
  mcpSession: McpSession | null
  /** Where the questions of this caller were asked. */
  place: string
  messages: RpcMessage[]
  body: Uint8Array | null
}

/** Whether a message may go back to an earlier one; of most calls none does. */
export function goesBack({ kind, method, params }: RpcMessage): boolean {
  return kind === 'response' || method?.startsWith('tasks/') === true || (params !== null && ('inputResponses' in params || 'requestState' in params))
}

/**
 * Step 4, what went before: the answer to a question that was asked in this session, a call sent again with what it was asked for, the task of an
 * earlier call. Another key's task looks like none, an answer to what nobody asked is refused.
 */
export async function tieMessages(
  deps: { tasks: TaskOwners; questions: QuestionBook; hashKey(text: string): string }, facts: TieFacts,
): Promise<Result<(Tie | null)[]>> {
  const ties: (Tie | null)[] = []
  for (const [index, message] of facts.messages.entries()) {
    const tie = message.kind === 'response' ? tieAnswer(deps.questions, facts, message, index)
      : message.method?.startsWith('tasks/') === true ? await tieTask(deps.tasks, facts, message)
      : tieRetry(deps, facts, message)
    if (!tie.ok) return tie
    ties.push(tie.value)
  }
  return ok(ties)
}

function tieAnswer(questions: QuestionBook, { place, mcpSession, body }: TieFacts, { idText }: RpcMessage, index: number): Result<Tie | null> {
  const id = idText === null ? '' : JSON.stringify(JSON.parse(idText))
  const origin = questions.find(place, id, mcpSession?.createdAt ?? null)
  if (origin === null) return refuse('invalid_request', 'This answers no question that the MCP server asked in this session.')
  const answer = { question: shownId(id), outcome: outcomeOf(responseAt(body, index)) }
  if (origin === 'unknown') return ok({ traceId: null, details: { direction: 'client_to_server', answers: answer } })
  return ok({ traceId: origin.traceId, details: { direction: 'client_to_server', answers: { ...answer, method: origin.method, requestId: origin.requestId } } })
}

/** Its servers have no sessions to list tasks for, so 2026-07-28 dropped the list. A server that has it all the same would list everybody's. */
async function tieTask(tasks: TaskOwners, { connection, caller, mcpSession }: TieFacts, { method, params, era }: RpcMessage): Promise<Result<Tie | null>> {
  if (method === 'tasks/list' && era === 'modern') return refuse('invalid_request', 'Revision 2026-07-28 has no tasks/list.', { httpStatus: 404, rpcCode: METHOD_NOT_FOUND })
  if (method === 'tasks/list' && mcpSession === null) return refuse('invalid_request', 'Tasks are listed within an MCP session only.', { rpcCode: INVALID_PARAMS })
  const taskId = params?.taskId
  const task = typeof taskId === 'string' ? await tasks.find(connection.id, taskId) : null
  if (task === null) return ok(null)
  if (task.principalId !== caller.principal.id) return refuse('invalid_request', 'There is no such task.', { rpcCode: INVALID_PARAMS })
  const answers = answersIn(params)
  return ok({ traceId: task.traceId, details: { task: { id: shownId(task.taskId), requestId: task.requestId }, ...(answers.length === 0 ? {} : { answers }) } })
}

function tieRetry(deps: { questions: QuestionBook; hashKey(text: string): string }, { connection, caller }: TieFacts, message: RpcMessage): Result<Tie | null> {
  if (!goesBack(message)) return ok(null)
  const { requestState, inputResponses } = message.params ?? {}
  const asked = typeof inputResponses === 'object' && inputResponses !== null ? Object.keys(inputResponses) : []
  const origin = deps.questions.findRetry(retryName(deps, { connectionId: connection.id, principalId: caller.principal.id, message, requestState, asked }))
  // Servers see one credential for all callers, so that they cannot tell whose state it is.
  const isForeign = origin === null && typeof requestState === 'string' && deps.questions.hasState(stateName(deps, connection.id, requestState))
  if (isForeign) return refuse('invalid_request', 'This requestState was not given to this caller for this method. Call again without it.', { rpcCode: INVALID_PARAMS })
  const answers = answersIn(message.params)
  return ok({ traceId: origin?.traceId ?? null, details: { ...(origin === null ? {} : { continues: { requestId: origin.requestId } }), ...(answers.length === 0 ? {} : { answers }) } })
}

function answersIn(params: Record<string, unknown> | null): { question: string; outcome: string }[] {
  const responses = params?.inputResponses
  if (typeof responses !== 'object' || responses === null) return []
  return Object.entries(responses).slice(0, ANSWERS_SHOWN_MAX).map(([id, result]) => ({ question: shownId(id), outcome: outcomeOf({ result }) }))
}

function responseAt(body: Uint8Array | null, index: number): unknown {
  const value: unknown = JSON.parse(new TextDecoder().decode(body ?? new Uint8Array(0)))
  return Array.isArray(value) ? value[index] : value
}

/** How a person or client took the question. What was answered is the person's own affair. */
function outcomeOf(response: unknown): string {
  const { error, result } = response as { error?: unknown; result?: { action?: unknown } | null }
  if (error !== undefined) return 'error'
  const action = result?.action
  return action === 'accept' || action === 'decline' || action === 'cancel' ? action : 'result'
}
