import { expect, test } from 'bun:test'
import { EventQueue } from './event-queue.ts'

test('everybody who waits for a full queue goes on once it was read', async () => {
  const queue = new EventQueue(() => {})
  queue.pushRaw(new Uint8Array(2 * 1024 * 1024))
  const waiting = [queue.drained(), queue.drained(), queue.drained()]
  await queue.read()
  expect(await Promise.all(waiting)).toHaveLength(3)
})
