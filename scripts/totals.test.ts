import { expect, test } from 'bun:test'
import { totalsOf } from './totals.ts'

test.each([
  [' 12 pass\n 0 fail\n 40 expect() calls\n', { passed: 12, failed: 0, skipped: 0 }],
  [' 12 pass\n 2 skip\n 1 fail\n', { passed: 12, failed: 1, skipped: 2 }],
  [' 3 pass\n 1 todo\n 0 fail\n', { passed: 3, failed: 0, skipped: 1 }],
  ['(pass) prints\n 99 pass\n\n 5 pass\n 0 fail\n', { passed: 5, failed: 0, skipped: 0 }],
  ['nothing ran', { passed: 0, failed: 0, skipped: 0 }],
])('the totals of %j are %j', (text, expected) => {
  expect(totalsOf(text)).toEqual(expected)
})
