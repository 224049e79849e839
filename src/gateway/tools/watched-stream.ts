import type { UpstreamBody } from '../../core/ports.ts'
import { createEventSplitter } from './event-splitter.ts'

export interface WatchedStream {
  body: UpstreamBody
  /** Puts an event of our own between the upstream's. */
  inject(event: Uint8Array): void
}

export interface StreamWatch {
  eventBytesMax: number
  /** What is passed on in place of the event; the same bytes where nothing is to be changed, null to end the stream after `last`. */
  onEvent(bytes: Uint8Array): Promise<Uint8Array>
  /** An event that is too large to look into: true lets it pass, else what is told instead before the stream ends. */
  onOversize(): true | Uint8Array
}

/** Events that wait to be passed on; a caller who does not read gets no more of ours. */
const INJECTED_MAX = 16
const BLANK_LINE = new TextEncoder().encode('\n\n')

/** An event stream that is looked into event by event before it is passed on. Events reach the reader whole. */
export function watchStream(source: UpstreamBody, watch: StreamWatch): WatchedStream {
  const splitter = createEventSplitter(watch.eventBytesMax)
  const ready: Uint8Array[] = []
  const injected: Uint8Array[] = []
  let reading: Promise<void> | null = null
  let isOver = false
  let failure: { error: unknown } | null = null
  let wake = () => {}

  async function pump(): Promise<void> {
    const chunk = await source.read()
    if (chunk === null) {
      isOver = true
      const rest = splitter.rest()
      if (rest !== null) ready.push(await completed(rest))
      return
    }
    for (const event of splitter.push(chunk)) {
      if (!event.isOversize) {
        ready.push(await watch.onEvent(event.bytes))
        continue
      }
      const verdict = watch.onOversize()
      if (verdict === true) {
        ready.push(event.bytes)
        continue
      }
      ready.push(verdict)
      isOver = true
      source.cancel()
      return
    }
  }

  /** An event that lacks its blank line counts like any other: readers may take it. */
  async function completed(rest: Uint8Array): Promise<Uint8Array> {
    const whole = Buffer.concat([rest, BLANK_LINE])
    const passed = await watch.onEvent(whole)
    return passed === whole ? rest : passed
  }

  async function read(): Promise<Uint8Array | null> {
    for (;;) {
      const next = ready.shift()
      if (next !== undefined) return next
      if (splitter.isBetweenEvents && injected.length > 0) return injected.shift() ?? null
      if (failure !== null) throw failure.error
      if (isOver) return null
      const woken = new Promise<void>((resolve) => (wake = resolve))
      reading ??= pump()
        // It may fail while nobody waits for it: whoever reads next is told.
        .catch((error: unknown) => void (failure = { error }))
        .finally(() => (reading = null))
      await Promise.race([reading, woken])
    }
  }

  return {
    body: { length: null, read, cancel: () => source.cancel() },
    inject(event) {
      if (isOver || injected.length >= INJECTED_MAX) return
      injected.push(event)
      wake()
    },
  }
}
