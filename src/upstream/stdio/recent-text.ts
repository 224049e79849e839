/** The last text of a stream, whole lines only at its beginning: what a program said before it ended is what people ask for. */
export class RecentText {
  readonly #bytesMax: number
  #chunks: Uint8Array[] = []
  #held = 0
  #wasCut = false

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  push(chunk: Uint8Array): void {
    // Copied: a slice would keep the runtime's whole buffer alive.
    const kept = chunk.length > this.#bytesMax ? chunk.slice(-this.#bytesMax) : chunk.slice()
    if (kept.length < chunk.length) this.#wasCut = true
    this.#chunks.push(kept)
    this.#held += kept.length
    if (this.#held > 2 * this.#bytesMax || this.#chunks.length > 1024) this.#settle()
  }

  text(): string {
    this.#settle()
    const text = new TextDecoder().decode(this.#chunks[0] ?? new Uint8Array(0))
    if (!this.#wasCut) return text
    const line = text.indexOf('\n')
    return line < 0 ? text : text.slice(line + 1)
  }

  #settle(): void {
    const whole = Buffer.concat(this.#chunks, this.#held)
    if (whole.length > this.#bytesMax) this.#wasCut = true
    const kept = Uint8Array.from(whole.subarray(Math.max(0, whole.length - this.#bytesMax)))
    this.#chunks = [kept]
    this.#held = kept.length
  }
}
