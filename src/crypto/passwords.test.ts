import { expect, test } from 'bun:test'
import { createPasswords } from './passwords.ts'

test('the right password is right, every other one wrong, and an account without one has none', async () => {
  const passwords = createPasswords()
  const hash = await passwords.hash('correct horse')
  expect(hash).toStartWith('$argon2id$')
  expect(await passwords.verify('correct horse', hash)).toBe(true)
  for (const wrong of ['correct horsf', '', ' ']) expect(await passwords.verify(wrong, hash)).toBe(false)
  for (const none of [null, '']) expect(await passwords.verify('correct horse', none)).toBe(false)
})

test('beyond the queue nothing is verified, and those who wait are served', async () => {
  const passwords = createPasswords({ runningMax: 1, waitingMax: 3 })
  const hash = await passwords.hash('correct horse')
  await passwords.verify('x', null)
  const answers = await Promise.all(Array.from({ length: 12 }, () => passwords.verify('correct horse', hash)))
  expect(answers).toEqual([...Array<boolean>(4).fill(true), ...Array<null>(8).fill(null)])
  expect(await passwords.verify('correct horse', hash)).toBe(true)
})
