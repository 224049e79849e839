import { restHeaders } from '../rest-reply.ts'
import type { LiveFeeds } from '../sse-feed.ts'
import { route, type AnyRoute } from './route.ts'

const LAST_EVENT_ID_LENGTH_MAX = 128

export function eventRoutes(feeds: LiveFeeds): AnyRoute[] {
  return [
    route({
      method: 'GET', path: '/events', id: 'followEvents', tag: 'Live events', summary: 'Follow calls, anomalies and sessions as they happen', permission: 'audit.read',
      description:
        'Server-Sent Events named `tool_call`, `anomaly` and `session_update`, each with an `id` and JSON data. `Last-Event-ID` replays what was missed; '
        + 'where that is not complete, an event `missed` comes first. A subscriber that does not keep up gets `dropped` and is closed; one whose access ends gets `ended`. '
        + 'A comment every 15 seconds is the heartbeat.',
      answer: { kind: 'document', mediaTypes: ['text/event-stream'], description: 'Events, until either side closes.' },
      run: async ({ actor, request, requestId, resolveAgain }) => {
        const lastEventId = request.headers.get('last-event-id')
        const opened = feeds.open({ actor, lastEventId: lastEventId?.slice(0, LAST_EVENT_ID_LENGTH_MAX) ?? null, signal: request.signal, resolveAgain })
        if (!opened.ok) return opened
        return new Response(opened.value, { headers: { ...restHeaders(requestId), 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' } })
      },
    }),
  ]
}
