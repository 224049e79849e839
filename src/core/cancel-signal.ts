type CancelListener = (() => void) | { handleEvent(): void }

/** What a call needs of an `AbortSignal`; every `AbortSignal` is one. */
export interface CancelSignal {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: CancelListener): void
  removeEventListener(type: 'abort', listener: CancelListener): void
}

/**
 * A signal and its switch in one plain object. The runtime's own are native objects with native listeners, which cost each call several
 * microseconds and the garbage collector more. Every listener runs, once, before `abort` returns; one that throws stops no other.
 */
export class CancelSwitch implements CancelSignal {
  aborted = false
  #listeners: CancelListener[] = []

  addEventListener(_type: 'abort', listener: CancelListener): void {
    if (!this.aborted && !this.#listeners.includes(listener)) this.#listeners.push(listener)
  }

  removeEventListener(_type: 'abort', listener: CancelListener): void {
    const index = this.#listeners.indexOf(listener)
    if (index !== -1) this.#listeners.splice(index, 1)
  }

  abort(): void {
    if (this.aborted) return
    this.aborted = true
    const listeners = this.#listeners
    this.#listeners = []
    for (const listener of listeners) {
      try {
        if (typeof listener === 'function') listener()
        else listener.handleEvent()
      } catch (error) {
        reportError(error)
      }
    }
  }

  /** So that it can listen to another signal by itself. */
  handleEvent(): void {
    this.abort()
  }
}
