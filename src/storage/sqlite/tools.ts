import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { KnownTool, ToolDefinition, ToolStore } from '../../core/tools/known-tool.ts'
import type { GroupCommit } from './group-commit.ts'
import { Flag, jsonColumn } from './suspension.ts'

const Definition = z.record(z.string(), z.unknown())
const Row = z.object({
  name: z.string(), fingerprint: z.string(), definition: jsonColumn(Definition), accepted_fingerprint: z.string(), accepted_definition: jsonColumn(Definition).nullable(),
  is_new: Flag, is_changed: Flag, first_seen_at: z.number(), changed_at: z.number().nullable(), removed_at: z.number().nullable(),
  accepted_at: z.number().nullable(), accepted_by: z.string().nullable(),
})

const COLUMNS = [
  'fingerprint', 'definition', 'accepted_fingerprint', 'accepted_definition', 'is_new', 'is_changed', 'first_seen_at', 'changed_at', 'removed_at', 'accepted_at', 'accepted_by',
]

export function toolStore(db: Database, commit: GroupCommit): ToolStore {
  const list = db.prepare('SELECT * FROM tools WHERE connection_id = ? ORDER BY name')
  const save = db.prepare(
    `INSERT INTO tools (connection_id, name, ${COLUMNS.join(', ')}) SELECT id, ?, ${COLUMNS.map(() => '?').join(', ')} FROM connections WHERE id = ?
     ON CONFLICT (connection_id, name) DO UPDATE SET ${COLUMNS.map((column) => `${column} = excluded.${column}`).join(', ')}`)
  return {
    async list(connectionId) {
      return list.all(connectionId).map(read)
    },
    async save(connectionId, tools) {
      await commit.submit(() => {
        for (const tool of tools) save.run(tool.name, ...values(tool), connectionId)
      })
    },
  }
}

function values(tool: KnownTool) {
  return [
    tool.fingerprint, JSON.stringify(tool.definition), tool.acceptedFingerprint, tool.acceptedFingerprint === tool.fingerprint ? null : JSON.stringify(tool.acceptedDefinition),
    tool.isNew ? 1 : 0, tool.isChanged ? 1 : 0, tool.firstSeenAt, tool.changedAt, tool.removedAt, tool.acceptedAt, tool.acceptedBy,
  ]
}

function read(unread: unknown): KnownTool {
  const row = Row.parse(unread)
  const definition = row.definition as ToolDefinition
  return {
    name: row.name, fingerprint: row.fingerprint, definition, acceptedFingerprint: row.accepted_fingerprint,
    acceptedDefinition: row.accepted_definition === null ? definition : (row.accepted_definition as ToolDefinition), isNew: row.is_new, isChanged: row.is_changed,
    firstSeenAt: row.first_seen_at, changedAt: row.changed_at, removedAt: row.removed_at, acceptedAt: row.accepted_at, acceptedBy: row.accepted_by,
  }
}
