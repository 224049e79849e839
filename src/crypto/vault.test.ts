import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createVault, swappableVault } from './vault.ts'

const key = (fill: number) => new Uint8Array(32).fill(fill)
const vault = createVault(key(1))

describe('a sealed value', () => {
  test('opens to what was sealed', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (plain, place) => vault.open(vault.seal(plain, place), place) === plain))
  })

  test('does not open when any bit is changed', () => {
    const sealed = vault.seal('a credential', 'con_1')
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Uint8Array.from(sealed)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => vault.open(changed, 'con_1')).toThrow()
    }
  })

  test('does not open when it is cut, lengthened or empty', () => {
    const sealed = vault.seal('a credential', 'con_1')
    for (let length = 0; length < sealed.length; length++) expect(() => vault.open(sealed.subarray(0, length), 'con_1')).toThrow()
    expect(() => vault.open(Uint8Array.of(...sealed, 0), 'con_1')).toThrow()
  })

  test('opens in its own place only', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (place, other) => {
      fc.pre(place !== other)
      const sealed = vault.seal('a credential', place)
      expect(() => vault.open(sealed, other)).toThrow()
    }))
  })

  test('opens with its own key only', () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (other) => {
      fc.pre(other.some((byte) => byte !== 1))
      expect(() => createVault(other).open(vault.seal('a credential', 'con_1'), 'con_1')).toThrow()
    }), { numRuns: 50 })
  })

  test('never looks the same twice, and does not hold what it seals', () => {
    const seals = Array.from({ length: 200 }, () => Buffer.from(vault.seal('a credential', 'con_1')).toString('latin1'))
    expect(new Set(seals).size).toBe(200)
    expect(seals.some((sealed) => sealed.includes('credential'))).toBe(false)
  })

  test('needs a key of 32 bytes', () => {
    for (const length of [0, 16, 31, 33]) expect(() => createVault(new Uint8Array(length))).toThrow()
  })

  test('from before a rotation still opens, and new ones are sealed with the new key', () => {
    const next = createVault(key(2))
    const swapping = swappableVault(vault)
    const before = swapping.seal('old', 'con_1')
    swapping.adopt(next)
    expect(swapping.open(before, 'con_1')).toBe('old')
    expect(next.open(swapping.seal('new', 'con_1'), 'con_1')).toBe('new')
    expect(() => swapping.open(before, 'con_2')).toThrow()
  })
})
