import type { Socket, SocketHandler } from 'bun'

/** Who is told what happens on a socket: first the attempt to connect, then one call after the other. */
export interface WireOwner {
  received(bytes: Buffer): void
  drained(): void
  /** The other side ended or the socket failed. The wire is of no use any more. */
  ended(error: Error | null): void
}

/** Told of what happens while nobody owns the wire. */
export interface WireHome {
  /** The upstream closed an idle wire, or spoke on it, which makes whatever it said worthless. */
  lost(wire: Wire, reason: 'closed' | 'spoke'): void
  /** The socket is gone, for whatever reason. Called once. */
  gone(wire: Wire): void
}

export interface WireOpening {
  opened(): void
  handshaken(isTrusted: boolean, error: Error | null): void
}

/** One socket to an upstream. */
export class Wire {
  socket: Socket<Wire> | null = null
  opening: WireOpening | null = null
  owner: WireOwner | null = null
  isClosed = false
  idleSince = 0
  idleMsMax = 0
  /** The event loop's last look at the sockets when this one became idle. */
  idlePoll = 0
  readonly isTls: boolean
  readonly #home: WireHome

  constructor(home: WireHome, isTls: boolean) {
    this.#home = home
    this.isTls = isTls
  }

  /** Bytes that were taken over, or -1 when the socket is closed and took none. */
  write(bytes: Uint8Array, offset: number): number {
    if (this.isClosed || this.socket === null) return -1
    return this.socket.write(bytes, offset, bytes.byteLength - offset)
  }

  /** Cuts the socket now; the upstream sees a reset. */
  destroy(): void {
    if (this.#leave()) this.socket?.terminate()
  }

  /** Closes after a complete exchange. */
  finish(): void {
    if (this.#leave()) this.socket?.end()
  }

  received(bytes: Buffer): void {
    if (this.isClosed) return
    if (this.owner !== null) return this.owner.received(bytes)
    this.#home.lost(this, 'spoke')
    this.destroy()
  }

  closed(error: Error | null): void {
    const owner = this.owner
    if (!this.#leave()) return
    if (owner === null) this.#home.lost(this, 'closed')
    owner?.ended(error)
    if (error !== null) this.socket?.terminate()
  }

  #leave(): boolean {
    if (this.isClosed) return false
    this.isClosed = true
    this.owner = null
    this.#home.gone(this)
    return true
  }
}

export const WIRE_HANDLERS: SocketHandler<Wire> = {
  open(socket) {
    socket.data.socket = socket
    // Given up for good while it was being opened.
    if (socket.data.isClosed) socket.terminate()
    else socket.data.opening?.opened()
  },
  handshake(socket, isOk, error) {
    socket.data.opening?.handshaken(isOk && socket.authorized, error)
  },
  data(socket, bytes) {
    socket.data.received(bytes)
  },
  drain(socket) {
    socket.data.owner?.drained()
  },
  end(socket) {
    socket.data.closed(null)
  },
  close(socket, error) {
    socket.data.closed(error ?? null)
  },
  error(socket, error) {
    socket.data.closed(error)
  },
}
