import { act, segment } from './act.ts'
import type { Action } from './command.ts'
import { FOLDER_FLAGS } from './help.ts'

/** The kill switch on one kind of thing: the same two actions for keys, connections and sessions. */
export function suspensionActions(noun: string, operand: string, path: string): { suspend: Action; resume: Action } {
  return {
    suspend: {
      summary: `Suspend a ${noun}: calls under way are cut, new ones are refused.`,
      operands: [operand],
      flags: { ...FOLDER_FLAGS, reason: { kind: 'text', value: 'TEXT', says: 'Why; goes on record' } },
      run: (invocation) => {
        const reason = invocation.text('reason') ?? 'suspended on the command line'
        return act(invocation, { method: 'POST', path: `${path}/${segment(invocation.operands[0])}/suspend`, body: { reason } }, () => `Suspended ${invocation.operands[0]}.`)
      },
    },
    resume: {
      summary: `Resume a suspended ${noun}.`,
      operands: [operand],
      flags: FOLDER_FLAGS,
      run: (invocation) => act(invocation, { method: 'POST', path: `${path}/${segment(invocation.operands[0])}/resume` }, () => `Resumed ${invocation.operands[0]}.`),
    },
  }
}
