import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { SlidingWindow } from './sliding-window.ts'

describe('a sliding window', () => {
  test('lets exactly max of many parallel takes through', () => {
    const limiter = new SlidingWindow()
    const allowed = Array.from({ length: 1000 }, () => limiter.take('b', 100, 60_000, 5_000)).filter((take) => take.allowed)
    expect(allowed.length).toBe(100)
  })

  test('opens again when the oldest take leaves the window, not a millisecond before', () => {
    const limiter = new SlidingWindow()
    expect(limiter.take('b', 2, 1000, 0).allowed).toBe(true)
    expect(limiter.take('b', 2, 1000, 400).allowed).toBe(true)
    expect(limiter.take('b', 2, 1000, 999)).toEqual({ allowed: false, retryAfterMs: 1 })
    expect(limiter.take('b', 2, 1000, 1000).allowed).toBe(true)
    expect(limiter.take('b', 2, 1000, 1001)).toEqual({ allowed: false, retryAfterMs: 399 })
  })

  test('counts each bucket for itself', () => {
    const limiter = new SlidingWindow()
    expect(limiter.take('a', 1, 1000, 0).allowed).toBe(true)
    expect(limiter.take('b', 1, 1000, 0).allowed).toBe(true)
    expect(limiter.take('a', 1, 1000, 0).allowed).toBe(false)
  })

  test('a refused take uses nothing up', () => {
    const limiter = new SlidingWindow()
    limiter.take('b', 1, 1000, 0)
    for (let at = 1; at < 1000; at += 1) expect(limiter.take('b', 1, 1000, at).allowed).toBe(false)
    expect(limiter.take('b', 1, 1000, 1000).allowed).toBe(true)
  })

  test('a clock that is set back frees nothing', () => {
    const limiter = new SlidingWindow()
    limiter.take('b', 1, 1000, 10_000)
    expect(limiter.take('b', 1, 1000, 5000).allowed).toBe(false)
    expect(limiter.take('b', 1, 1000, 10_999).allowed).toBe(false)
    expect(limiter.take('b', 1, 1000, 11_000).allowed).toBe(true)
  })

  test('a limit that was lowered refuses until few enough are left', () => {
    const limiter = new SlidingWindow()
    for (let at = 0; at < 5; at += 1) limiter.take('b', 5, 1000, at)
    expect(limiter.take('b', 2, 1000, 10)).toEqual({ allowed: false, retryAfterMs: 993 })
    expect(limiter.take('b', 2, 1000, 1003).allowed).toBe(true)
  })

  test('full of live buckets it refuses new ones, and takes them when the old have expired', () => {
    const limiter = new SlidingWindow({ bucketsMax: 3 })
    for (const name of ['a', 'b', 'c']) limiter.take(name, 1, 1000, 0)
    expect(limiter.take('d', 1, 1000, 500).allowed).toBe(false)
    expect(limiter.take('a', 1, 1000, 999).allowed).toBe(false)
    expect(limiter.take('d', 1, 1000, 1000).allowed).toBe(true)
  })

  test('out of memory for marks it refuses, and no bucket forgets a take', () => {
    const limiter = new SlidingWindow({ marksMax: 4 })
    for (let at = 0; at < 4; at += 1) expect(limiter.take('b', 100, 1000, at).allowed).toBe(true)
    expect(limiter.take('b', 100, 1000, 4).allowed).toBe(false)
    expect(limiter.take('b', 100, 1000, 1000).allowed).toBe(true)
    expect(limiter.size()).toEqual({ buckets: 1, marks: 4 })
  })

  test('a million takes of many subjects leave no more behind than what still counts', () => {
    const limiter = new SlidingWindow()
    for (let at = 0; at < 200_000; at += 1) limiter.take(`user ${at}`, 10, 100, at)
    expect(limiter.size().buckets).toBeLessThan(500)
  })

  test('a restart keeps what was counted', () => {
    const before = new SlidingWindow()
    for (let at = 0; at < 3; at += 1) before.take('b', 3, 1000, at)
    before.take('old', 3, 10, 0)
    const snapshot: unknown = JSON.parse(JSON.stringify(before.snapshot(500)))
    const after = new SlidingWindow()
    expect(after.restore(snapshot, 600)).toBe(true)
    expect(after.size().buckets).toBe(1)
    expect(after.take('b', 3, 1000, 999).allowed).toBe(false)
    expect(after.take('b', 3, 1000, 1000).allowed).toBe(true)
    expect(after.take('b', 3, 1000, 1000).allowed).toBe(false)
  })

  test('a snapshot that is not one of ours is not taken up', () => {
    for (const odd of [null, {}, { version: 2, buckets: [] }, { version: 1, buckets: [['b', 1000, [2, 1], [1, 1]]] }, { version: 1, buckets: [['b', 1000, [1], []]] }, { version: 1, buckets: [['b', 1000, [1], [-5]]] }]) {
      const limiter = new SlidingWindow()
      expect(limiter.restore(odd, 0)).toBe(false)
      expect(limiter.size().buckets).toBe(0)
    }
  })

  test('agrees with a list that remembers everything', () => {
    const step = fc.record({ bucket: fc.integer({ min: 0, max: 3 }), pause: fc.integer({ min: 0, max: 40 }), restart: fc.boolean() })
    fc.assert(fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 1, max: 5 }), (steps, max) => {
      let limiter = new SlidingWindow()
      const all: Record<number, number[]> = {}
      let now = 0
      for (const { bucket, pause, restart } of steps) {
        now += pause
        if (restart && pause > 35) {
          const snapshot = limiter.snapshot(now)
          limiter = new SlidingWindow()
          expect(limiter.restore(snapshot, now)).toBe(true)
        }
        const taken = (all[bucket] ??= [])
        const live = taken.filter((at) => at > now - 100).length
        const take = limiter.take(String(bucket), max, 100, now)
        expect(take.allowed).toBe(live < max)
        if (take.allowed) taken.push(now)
      }
    }))
  })
})
