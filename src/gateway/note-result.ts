import type { Caller } from '../core/caller.ts'
import type { Connection } from '../core/connection.ts'
import type { RpcMessage } from '../core/message.ts'
import type { McpSessionStore } from '../core/ports.ts'
import { SESSION_TEXT_MAX } from '../core/session.ts'
import type { McpSession } from '../core/session.ts'
import { sortedJson } from '../core/sorted-json.ts'
import { questionsInResult } from './question-book.ts'
import type { Question, QuestionBook } from './question-book.ts'
import { placeOf } from './record-questions.ts'
import { retryName, stateName } from './retry-name.ts'
import { changedSetup } from './session-setup.ts'
import type { TaskOwners } from './task-owners.ts'
import type { Trail } from './trail.ts'

export interface NotePorts {
  mcpSessions: McpSessionStore
  tasks: TaskOwners
  questions: QuestionBook
  hashKey(text: string): string
}

export interface ResultFacts {
  caller: Caller
  connection: Connection
  /** The session of the call: the one it came in, or the one that it opened. */
  mcpSession: McpSession | null
}

/**
 * What a result tells of the session, of a task, or of input that the call waits for; gives the questions in it. Its writes are not awaited:
 * they join the commit that puts the answer on record, so that whoever has the answer finds them, even after a crash.
 */
export function noteResult(ports: NotePorts, trail: Trail, facts: ResultFacts, message: RpcMessage, result: Record<string, unknown>): Question[] {
  const { connection, caller, mcpSession } = facts
  const traceId = traceOf(trail, message)
  const taskId = taskIdOf(result)
  if (taskId !== null) {
    const { requestId } = trail.call
    ports.tasks.note({
      organizationId: caller.organizationId, connectionId: connection.id, taskId, principalId: caller.principal.id, requestId, traceId, createdAt: trail.startedAt,
    })
  }
  if (mcpSession !== null) noteSession(ports.mcpSessions, mcpSession, message, result)
  return result.inputRequests === undefined && result.requestState === undefined ? [] : noteQuestions(ports, trail, facts, message, result)
}

function noteSession(mcpSessions: McpSessionStore, session: McpSession, message: RpcMessage, result: Record<string, unknown>): void {
  if (message.method === 'initialize') {
    const { protocolVersion, capabilities } = result
    const serverCapabilities = sortedJson(capabilities ?? {})
    if (typeof protocolVersion !== 'string' || protocolVersion.length > 64 || serverCapabilities.length > SESSION_TEXT_MAX) return
    void mcpSessions.change(session.id, () => ({ protocolVersion, serverCapabilities })).catch(() => {})
    return
  }
  const change = changedSetup(message)
  if (change !== null) void mcpSessions.change(session.id, change).catch(() => {})
}

function noteQuestions(ports: NotePorts, trail: Trail, facts: ResultFacts, message: RpcMessage, result: Record<string, unknown>): Question[] {
  const { connection, caller } = facts
  const asked = questionsInResult(result)
  if (message.method?.startsWith('tasks/') !== true) {
    const name = retryName(ports, { connectionId: connection.id, principalId: caller.principal.id, message, requestState: result.requestState, asked: asked.map(({ id }) => id) })
    if (typeof result.requestState === 'string') ports.questions.noteState(stateName(ports, connection.id, result.requestState))
    ports.questions.noteRetry(name, { method: message.method ?? '', requestId: trail.call.requestId, traceId: traceOf(trail, message) })
    return asked
  }
  // Whoever polls a task is asked the same again and again: it is one question.
  const ofTask = asked.map((question) => ({ ...question, id: `${String(message.params?.taskId)} ${question.id}` }))
  return ofTask.filter(({ id }) => ports.questions.find(placeOf(trail), id, null) === null)
}

/** The story that the message belongs to: its own call's, or an earlier one's. */
function traceOf(trail: Trail, message: RpcMessage): string | null {
  return trail.entries.find((entry) => entry.message === message)?.tie?.traceId ?? trail.assertions?.traceId ?? null
}

/** 2025-11-25 nests the task in the result, the tasks extension of 2026-07-28 makes it the result. */
function taskIdOf({ task, taskId }: Record<string, unknown>): string | null {
  const id = typeof task === 'object' && task !== null ? (task as { taskId?: unknown }).taskId : taskId
  return typeof id === 'string' ? id : null
}
