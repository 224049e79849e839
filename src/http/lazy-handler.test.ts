import { expect, test } from 'bun:test'
import { lazyHandler } from './lazy-handler.ts'

const request = () => new Request('http://localhost/')

test('loads once, for all requests', async () => {
  let loads = 0
  const handler = lazyHandler(async () => {
    loads += 1
    return { handle: async () => new Response('ok') }
  })
  await Promise.all([handler.handle(request()), handler.handle(request())])
  expect(await (await handler.handle(request())).text()).toBe('ok')
  expect(loads).toBe(1)
})

test('a failure to load fails who waited for it, and the next request tries again', async () => {
  let loads = 0
  const handler = lazyHandler(async () => {
    loads += 1
    if (loads === 1) throw new Error('out of file descriptors')
    return { handle: async () => new Response('ok') }
  })
  const first = await Promise.allSettled([handler.handle(request()), handler.handle(request())])
  expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(loads).toBe(1)
  expect(await (await handler.handle(request())).text()).toBe('ok')
})
