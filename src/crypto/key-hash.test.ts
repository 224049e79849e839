import { expect, test } from 'bun:test'
import { API_KEY_PATTERN } from '../core/key.ts'
import { systemIds } from './ids.ts'
import { generateApiKey, hashApiKey } from './key-hash.ts'

test('a generated key has the public form, a hash and a prefix that tells little', () => {
  const { key, hash, prefix } = generateApiKey()
  expect(key).toMatch(API_KEY_PATTERN)
  expect(hash).toBe(hashApiKey(key))
  expect(prefix).toBe(`${key.slice(0, 7)}…`)
})

test('the hash is SHA-256 in hexadecimal digits', () => {
  expect(hashApiKey('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

test('every character is as likely as another', () => {
  const counts = new Map<string, number>()
  for (let count = 0; count < 4_000; count++) for (const sign of generateApiKey().key.slice(3)) counts.set(sign, (counts.get(sign) ?? 0) + 1)
  expect(counts.size).toBe(62)
  // 128,000 characters, 2,065 each; ten standard deviations either way.
  for (const count of counts.values()) expect(Math.abs(count - 2_065)).toBeLessThan(450)
})

test('ids sort by when they were made, and do not repeat', () => {
  const ids = systemIds()
  const made = Array.from({ length: 5_000 }, () => ids.next('con'))
  expect(new Set(made).size).toBe(5_000)
  expect(made.every((id) => /^con_[0-9a-f]{32}$/.test(id))).toBe(true)
  const times = made.map((id) => id.slice(4, 16))
  expect(times).toEqual([...times].sort())
  expect(ids.randomHex(16)).toMatch(/^[0-9a-f]{32}$/)
})
