import { expect, test } from 'bun:test'
import { Deadlines, type Timed } from './deadlines.ts'

function timed(expired: () => void): Timed {
  return { slot: null, expired }
}

test('deadlines are met in order and never early, and those that were cleared or moved are not', async () => {
  const deadlines = new Deadlines()
  const start = performance.now()
  const met: string[] = []
  const cleared = timed(() => met.push('cleared'))
  const moved = timed(() => met.push(performance.now() - start >= 200 ? 'moved' : 'moved too early'))
  await new Promise<void>((resolve) => {
    deadlines.after(320, timed(resolve))
    deadlines.after(110, timed(() => met.push(performance.now() - start >= 110 ? 'second' : 'second too early')))
    deadlines.after(0, timed(() => met.push('first')))
    deadlines.after(60, cleared)
    deadlines.clear(cleared)
    deadlines.after(10, moved)
    deadlines.after(200, moved)
  })
  expect(met).toEqual(['first', 'second', 'moved'])
  deadlines.close()
})

test('a deadline set while another one is met is met too, and closing meets none', async () => {
  const deadlines = new Deadlines()
  await new Promise<void>((resolve) => deadlines.after(1, timed(() => deadlines.after(1, timed(resolve)))))
  let isMet = false
  deadlines.after(1, timed(() => (isMet = true)))
  deadlines.close()
  await Bun.sleep(120)
  expect(isMet).toBeFalse()
})
