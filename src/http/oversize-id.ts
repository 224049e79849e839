const HEAD_BYTES = 64 * 1024
const TAIL_BYTES = 4 * 1024
const ID = String.raw`("(?:[^"\\\x00-\x1f]|\\.){0,256}"|-?\d{1,19})`
/** An id among the first members, where only plain texts stand before it: how most clients write a message. */
const AT_START = new RegExp(String.raw`^\s*\{\s*(?:"(?:jsonrpc|method)"\s*:\s*"[^"\\]{0,256}"\s*,\s*)*"id"\s*:\s*${ID}\s*[,}]`)
/** An id as the last member, directly before the end of the body. */
const AT_END = new RegExp(String.raw`[,{]\s*"id"\s*:\s*${ID}\s*\}\s*$`)

/** Remembers the ends of a body that is too large to keep, so that its refusal can still echo the request's id. */
export class OversizeId {
  #head = ''
  #tail = new Uint8Array(0)
  #isWhole = false

  push(chunk: Uint8Array): void {
    if (this.#head.length < HEAD_BYTES) this.#head += Buffer.from(chunk.subarray(0, HEAD_BYTES - this.#head.length)).toString('latin1')
    this.#tail = chunk.length >= TAIL_BYTES ? chunk.slice(-TAIL_BYTES) : Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES)
  }

  /** The body ended: what came last is its end. */
  end(): void {
    this.#isWhole = true
  }

  /** The id as JSON text, or null where it stands elsewhere. Good for an echo, never for a decision. */
  idText(): string | null {
    const found = AT_START.exec(this.#head)?.[1] ?? (this.#isWhole ? AT_END.exec(Buffer.from(this.#tail).toString('latin1'))?.[1] : undefined)
    if (found === undefined) return null
    // The text was taken byte for byte; a name beyond ASCII becomes itself again.
    return Buffer.from(found, 'latin1').toString('utf8')
  }
}
