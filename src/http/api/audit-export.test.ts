import { describe, expect, test } from 'bun:test'
import type { AuditEvent } from '../../core/audit.ts'
import { presentAuditEvent } from '../../control/present.ts'
import { actorOf, testControl } from '../../testing/test-control.ts'
import { csvCell, exportBody } from './audit-export.ts'

describe('a CSV cell', () => {
  test.each([
    ['plain', 'plain'],
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\t=1', "'\t=1"],
    ['\r=1', '"\'\r=1"'],
    [' =1', "' =1"],
    ['＝1', "'＝1"],
    ['a=1', 'a=1'],
    ['a,b', '"a,b"'],
    ['say "hi"', '"say ""hi"""'],
    ['two\nlines', '"two\nlines"'],
    [-5, '-5'],
    [null, ''],
    [{ a: 1 }, '"{""a"":1}"'],
  ])('%j is written as %s', (value, written) => {
    expect(csvCell(value)).toBe(written)
  })
})

async function* chunks(events: AuditEvent[]) {
  for (const event of events) yield [presentAuditEvent(event)]
}

async function someEvents() {
  const { control, auditLog } = await testControl()
  await control.organization.rename(actorOf('owner'), '=HYPERLINK("http://evil")')
  await control.organization.rename(actorOf('owner'), 'two')
  return { control, auditLog }
}

test('an export has one event a line, and CSV a head even when there are none', async () => {
  const { auditLog } = await someEvents()
  const jsonl = await new Response(exportBody(chunks(auditLog.events), 'jsonl')).text()
  expect(jsonl.trimEnd().split('\n').map((line) => (JSON.parse(line) as { method: string }).method)).toEqual(['organization.update', 'organization.update'])
  const csv = await new Response(exportBody(chunks(auditLog.events), 'csv')).text()
  expect(csv.split('\r\n')).toHaveLength(4)
  expect(await new Response(exportBody(chunks([]), 'csv')).text()).toStartWith('id,type,timestamp,')
  expect(await new Response(exportBody(chunks([]), 'jsonl')).text()).toBe('')
})

test('an export that is given up stops reading the record', async () => {
  const { auditLog } = await someEvents()
  let isReleased = false
  async function* endless() {
    try {
      for (;;) yield auditLog.events.map(presentAuditEvent)
    } finally {
      isReleased = true
    }
  }
  const reader = exportBody(endless(), 'jsonl').getReader()
  await reader.read()
  await reader.cancel()
  expect(isReleased).toBe(true)
})

test('that somebody took the record along is on record, and without that nobody can', async () => {
  const { control, auditLog } = await someEvents()
  const auditor = actorOf('auditor')
  expect((await control.audit.export(auditor, { type: 'admin', from: 0 }, 'csv')).ok).toBe(true)
  expect(auditLog.events.at(-1)).toMatchObject({
    type: 'admin', method: 'audit.export', principal: auditor.principal, details: { format: 'csv', filter: { type: 'admin', from: '1970-01-01T00:00:00.000Z' } },
  })
  auditLog.isFull = true
  expect(await control.audit.export(auditor, {}, 'csv')).toMatchObject({ ok: false, code: 'audit_unavailable' })
})
