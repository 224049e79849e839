import { expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { sampleRows } from './audit-sample.ts'

function record(rows: number): Database {
  const db = new Database(':memory:')
  db.run('CREATE TABLE audit_events (id INTEGER PRIMARY KEY, organization INTEGER, timestamp INTEGER, type TEXT, status TEXT, action TEXT, connection TEXT, tool_name TEXT, principal_label TEXT, latency_ms REAL)')
  const insert = db.prepare("INSERT INTO audit_events VALUES (?, ?, ?, 'tool_call', 'ok', 'allow', 'linear', 'search', 'agent', 1)")
  db.transaction(() => {
    for (let id = 1; id <= rows; id++) insert.run(id, id % 4 === 0 ? 2 : 1, id)
  })()
  return db
}

const sampleOf = (db: Database, rowsMax: number) =>
  sampleRows({ db, organization: 1, lastRecordedBy: (at) => Math.max(0, Math.min(10_000, Math.floor(at))) }, { from: 1, to: 10_000, parts: 10, rowsMax })

test('a range within the bound is read as a whole, each row once', async () => {
  const parts = await sampleOf(record(10_000), 10_000)
  const seen = parts.flatMap(({ rows }) => rows.map(({ timestamp }) => timestamp))
  expect(new Set(seen).size).toBe(7_500)
  expect(seen).toHaveLength(7_500)
  expect(parts.every(({ weight }) => weight === 1)).toBe(true)
})

test('beyond the bound a sample stands for the whole, other organizations left out', async () => {
  const parts = await sampleOf(record(10_000), 770)
  const read = parts.reduce((sum, { rows }) => sum + rows.length, 0)
  const estimate = parts.reduce((sum, { rows, weight }) => sum + rows.length * weight, 0)
  expect(read).toBeLessThanOrEqual(770)
  expect(Math.abs(estimate - 7_500)).toBeLessThan(500)
})

test('an empty record gives empty parts', async () => {
  const parts = await sampleRows({ db: record(0), organization: 1, lastRecordedBy: () => 0 }, { from: 0, to: 100, parts: 4, rowsMax: 100 })
  expect(parts.map(({ from, to, weight, rows }) => ({ from, to, weight, rows: rows.length }))).toEqual([0, 25, 50, 75].map((from) => ({ from, to: from + 25, weight: 1, rows: 0 })))
})

test('however many are asked for, no row is read twice and none from outside the range, and they come from all over it', async () => {
  const db = record(10_000)
  db.run('UPDATE audit_events SET organization = 1')
  for (const rowsMax of [10, 11, 73, 90, 97, 640, 999, 5000, 9990]) {
    const parts = await sampleOf(db, rowsMax)
    const seen = parts.flatMap(({ rows }) => rows.map(({ timestamp }) => timestamp))
    expect([rowsMax, new Set(seen).size]).toEqual([rowsMax, seen.length])
    expect([rowsMax, seen.length]).toEqual([rowsMax, Math.max(1, Math.floor(rowsMax / 10)) * 10])
    for (const { rows, from, to } of parts) for (const { timestamp } of rows) expect(timestamp >= Math.floor(from) && timestamp <= Math.ceil(to)).toBe(true)
  }
})
