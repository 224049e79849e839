/**
 * Lets a caller wait until the event loop has looked at all sockets once more. A kept-alive socket that the upstream closed before
 * the call began has then reported it, so a request is never written to it. Costs two turns of the loop, a few microseconds.
 */
export class PollGate {
  /** Number of looks that have begun. */
  polls = 0
  #waiting: ((poll: number) => void)[] = []

  /** Calls back after the next look, with its number: what was idle before that number is known to be alive. */
  wait(callback: (poll: number) => void): void {
    this.#waiting.push(callback)
    // The first immediate runs before the loop polls, the second one after it.
    if (this.#waiting.length === 1) setImmediate(this.#begin)
  }

  #begin = (): void => {
    const poll = ++this.polls
    const batch = this.#waiting
    this.#waiting = []
    setImmediate(() => {
      for (const callback of batch) callback(poll)
    })
  }
}
