import type { EventStore, JSONRPCMessage } from '@modelcontextprotocol/server'

/** Keeps the events of one session, so that a stream that broke off can be taken up again. */
export function eventStore(): EventStore {
  const events: { id: string; streamId: string; message: JSONRPCMessage }[] = []
  return {
    async storeEvent(streamId, message) {
      const id = `${streamId}_${events.length}`
      events.push({ id, streamId, message })
      return id
    },
    async getStreamIdForEventId(eventId) {
      return events.find(({ id }) => id === eventId)?.streamId
    },
    async replayEventsAfter(lastEventId, { send }) {
      const last = events.findIndex(({ id }) => id === lastEventId)
      const streamId = events[last]?.streamId
      if (streamId === undefined) throw new Error(`unknown event ${lastEventId}`)
      for (const event of events.slice(last + 1)) if (event.streamId === streamId) await send(event.id, event.message)
      return streamId
    },
  }
}
