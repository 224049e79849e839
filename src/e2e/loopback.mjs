// Preloaded into servers that offer no host option: whatever they listen on becomes 127.0.0.1, and the port they got is printed.
import http from 'node:http'
import net from 'node:net'

// Two classes in some runtimes, one chain of prototypes in others: a server is held back once at least.
for (const Server of new Set([net.Server, http.Server])) {
  const listen = Server.prototype.listen
  Server.prototype.listen = function (port, ...rest) {
    const callback = rest.find((given) => typeof given === 'function')
    this.once('listening', () => console.log(`loopback port ${this.address().port}`))
    return listen.call(this, Number(port), '127.0.0.1', ...(callback === undefined ? [] : [callback]))
  }
}
