import { describe, expect, test } from 'bun:test'
import { CancelSwitch } from './cancel-signal.ts'

describe('a cancel switch', () => {
  test('tells every listener before abort returns, functions and objects alike, each once', () => {
    const cancel = new CancelSwitch()
    const told: string[] = []
    cancel.addEventListener('abort', () => told.push('function'))
    cancel.addEventListener('abort', { handleEvent: () => void told.push('object') })
    cancel.abort()
    cancel.abort()
    expect(told).toEqual(['function', 'object'])
    expect(cancel.aborted).toBe(true)
  })

  test('a listener that was removed is not told, and may be removed twice', () => {
    const cancel = new CancelSwitch()
    const told: string[] = []
    const removed = () => void told.push('removed')
    const kept = () => void told.push('kept')
    cancel.addEventListener('abort', removed)
    cancel.addEventListener('abort', kept)
    cancel.removeEventListener('abort', removed)
    cancel.removeEventListener('abort', removed)
    cancel.abort()
    expect(told).toEqual(['kept'])
  })

  test('one that is added twice is told once, one that comes after the abort never', () => {
    const cancel = new CancelSwitch()
    let count = 0
    const listener = () => void (count += 1)
    cancel.addEventListener('abort', listener)
    cancel.addEventListener('abort', listener)
    cancel.abort()
    cancel.addEventListener('abort', listener)
    cancel.abort()
    expect(count).toBe(1)
  })

  test('follows another signal', () => {
    const outer = new AbortController()
    const cancel = new CancelSwitch()
    outer.signal.addEventListener('abort', cancel)
    outer.abort()
    expect(cancel.aborted).toBe(true)
  })
})
