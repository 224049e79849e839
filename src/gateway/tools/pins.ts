import { ok, refuse } from '../../core/result.ts'
import type { Result } from '../../core/result.ts'
import { askForTools } from './ask-for-tools.ts'
import { sessionKeyOf, takeLists } from './take-lists.ts'
import type { Checked, ListCall, ListState } from './tool-lists.ts'

/**
 * Whether the tools of a call may be called while the connection's tools are pinned. A session that has not listed is listed for first; where that
 * cannot be done, nothing is called. What is not known is not called either.
 */
export async function checkPinned(state: ListState, call: ListCall): Promise<Checked> {
  const { trail, connection } = call
  const tools = await state.toolBook.of(connection.id)
  if (!state.progress.hasListed(sessionKeyOf(trail))) {
    const looked = await look(state, call)
    if (!looked.ok) return { ...refuse(looked.code, `The tools of "${connection.slug}" are pinned and could not be checked, so the call was not carried out. ${looked.message}`), ...retryOf(looked) }
  }
  for (const [index, { toolName }] of trail.entries.entries()) {
    if (toolName === null) continue
    const tool = tools.get(toolName)
    const why = tool === undefined ? unknownTool(toolName, tools.size) : tool.isChanged ? changedTool(toolName) : null
    if (why !== null) return { ...refuse('policy_denied', `Denied, because the tools of connection "${connection.slug}" are pinned: ${why}`), index }
  }
  return ok(undefined)
}

function retryOf({ retryAfterSeconds }: { retryAfterSeconds?: number }) {
  return retryAfterSeconds === undefined ? {} : { retryAfterSeconds }
}

function changedTool(name: string): string {
  return `the MCP server changed the definition of tool "${short(name)}", and nobody has accepted the change yet. Ask the operator of this gateway to review it.`
}

/** A server that never listed a tool has nothing pinned. */
function unknownTool(name: string, known: number): string | null {
  return known === 0 ? null : `tool "${short(name)}" is in no list that its MCP server gave.`
}

function short(name: string): string {
  return name.length > 200 ? `${name.slice(0, 199)}…` : name
}

/** One look for each session at a time, whoever waits for it. */
async function look(state: ListState, call: ListCall): Promise<Result<void>> {
  const session = sessionKeyOf(call.trail)
  let looking = state.looking.get(session)
  if (looking === undefined) {
    looking = (async (): Promise<Result<void>> => {
      const fetched = await askForTools(state, call)
      if (!fetched.ok) return fetched
      await takeLists(state, call, fetched.value)
      return ok(undefined)
    })().finally(() => state.looking.delete(session))
    state.looking.set(session, looking)
  }
  return looking
}
