import { openStorage } from '../open.ts'
import { ACME, DONE, draft } from '../contract.ts'
import { SILENT } from './temporary-storage.ts'

/*
 * A process for the crash tests to kill: reserves and completes rows from many callers as fast as it can, and says on stdout what it got
 * an answer for: `r <row>` reserved, `c <row>` completed, `x` refused. The parent believes only what arrived.
 */
const [folder = '', callers = '8', auditSync = 'window'] = process.argv.slice(2)
const opened = await openStorage({
  folder, auditSync: auditSync === 'full' ? 'full' : 'window', log: SILENT,
  clock: { now: () => Date.now(), elapsed: () => performance.now() }, ids: { next: (prefix) => prefix, randomHex: () => '' },
})
if (!opened.ok) throw new Error(opened.message)
const { auditLog } = opened.value
process.stdout.write(`recovered ${await auditLog.recover()}\n`)

await Promise.all(Array.from({ length: Number(callers) }, async () => {
  for (;;) {
    try {
      const tickets = await auditLog.reserve([draft({ timestamp: Date.now(), organizationId: ACME, arguments: { text: 'x'.repeat(200) } })])
      process.stdout.write(`r ${tickets[0]?.rowId}\n`)
      await auditLog.complete(tickets, DONE)
      process.stdout.write(`c ${tickets[0]?.rowId}\n`)
    } catch {
      process.stdout.write('x\n')
      await Bun.sleep(20)
    }
  }
}))
