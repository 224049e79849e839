import type { Database } from 'bun:sqlite'
import { z } from 'zod'
import type { Acknowledgement } from '../../core/anomaly/acknowledgement.ts'
import type { AuditEventId, OrganizationId } from '../../core/ids.ts'
import type { AcknowledgementStore } from '../../core/ports.ts'
import type { Durably } from './durable.ts'

const Row = z.object({ event_id: z.string(), at: z.number(), by_label: z.string(), note: z.string().nullable() })

export function acknowledgementStore(db: Database, durably: Durably): AcknowledgementStore {
  const insert = db.prepare('INSERT OR IGNORE INTO anomaly_acknowledgements (organization_id, event_id, at, by_label, note) VALUES (?, ?, ?, ?, ?)')
  const get = db.prepare('SELECT event_id, at, by_label, note FROM anomaly_acknowledgements WHERE organization_id = ? AND event_id = ?')
  const insertAll = db.transaction((acknowledgements: Acknowledgement[]) => {
    for (const { organizationId, eventId, at, by, note } of acknowledgements) insert.run(organizationId, eventId, at, by, note)
  })
  return {
    insert: (acknowledgements) => durably(() => insertAll.immediate(acknowledgements)),
    async find(organizationId, eventIds) {
      const found = new Map<AuditEventId, Acknowledgement>()
      for (const eventId of eventIds) {
        const row = get.get(organizationId, eventId)
        if (row !== null) found.set(eventId, read(organizationId, row))
      }
      return found
    },
  }
}

function read(organizationId: OrganizationId, unread: unknown): Acknowledgement {
  const row = Row.parse(unread)
  return { organizationId, eventId: row.event_id as AuditEventId, at: row.at, by: row.by_label, note: row.note }
}
