import type { RehearsalProgress, RehearsalWatch } from '../../control/policy-rehearsal.ts'
import { ok, refuse, type Result } from '../../core/result.ts'
import { restHeaders, type RestData } from '../rest-reply.ts'

type Rehearse = (watch: RehearsalWatch) => Promise<Result<unknown>>

/** A plain answer that takes longer goes out bit by bit: a door that is silent for ten seconds is closed by the runtime. */
const PATIENCE_MS = 4000
const ENCODER = new TextEncoder()

/**
 * Answers with the result as JSON, or as an event stream where the caller asked for one: `progress` events, then `result`, or `failed`.
 * A request that is refused is refused with its status either way. The reading ends when the caller leaves.
 */
export async function rehearse(work: Rehearse, { request, requestId }: { request: Request; requestId: string }): Promise<Result<RestData> | Response> {
  const left = new AbortController()
  const signal = AbortSignal.any([request.signal, left.signal])
  const progress = listeners()
  const running = work({ onProgress: progress.tell, signal })
  const wantsEvents = acceptsEvents(request.headers.get('accept') ?? '')
  const early = await Promise.race([running, wantsEvents ? progress.first : afterMs(PATIENCE_MS)])
  if (early !== undefined) return early.ok ? ok({ data: early.value }) : early
  const write = wantsEvents ? eventLines : patientJson
  const type = wantsEvents ? 'text/event-stream; charset=utf-8' : 'application/json; charset=utf-8'
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      try {
        await write({ running, progress, say: (text) => controller.enqueue(ENCODER.encode(text)) })
        controller.close()
      } catch (error) {
        // The caller left, or the reading failed after the head of the answer went out.
        if (!signal.aborted) controller.error(error)
      }
    },
    cancel: () => left.abort(),
  })
  return new Response(body, { headers: { ...restHeaders(requestId), 'content-type': type, 'x-accel-buffering': 'no' } })
}

interface Writing {
  running: Promise<Result<unknown>>
  progress: ReturnType<typeof listeners>
  say(text: string): void
}

async function eventLines({ running, progress, say }: Writing): Promise<void> {
  const event = (name: string, content: unknown) => `event: ${name}\ndata: ${JSON.stringify(content)}\n\n`
  progress.listen((step) => say(event('progress', step)))
  // The head is out: a failure is told in the stream, in words that say no more than an error page would.
  const result = await running.catch(() => refuse('internal', 'Igris failed on this request.'))
  say(result.ok ? event('result', result.value) : event('failed', { code: result.code, message: result.message }))
}

/** White space before the document keeps the door open. */
async function patientJson({ running, say }: Writing): Promise<void> {
  say('\n')
  const timer = setInterval(() => say('\n'), PATIENCE_MS)
  try {
    const result = await running
    if (!result.ok) throw new Error(result.message)
    say(JSON.stringify({ data: result.value }))
  } finally {
    clearInterval(timer)
  }
}

/** Passes progress on; what comes before anybody listens is kept in its latest form. */
function listeners() {
  let latest: RehearsalProgress | null = null
  let listener: ((step: RehearsalProgress) => void) | null = null
  let announce: () => void = () => {}
  const first = new Promise<undefined>((resolve) => { announce = () => resolve(undefined) })
  return {
    first,
    tell(step: RehearsalProgress) {
      latest = step
      announce()
      listener?.(step)
    },
    listen(next: (step: RehearsalProgress) => void) {
      listener = next
      if (latest !== null) next(latest)
    },
  }
}

function acceptsEvents(accept: string): boolean {
  return accept.split(',').some((part) => part.split(';')[0]?.trim().toLowerCase() === 'text/event-stream')
}

function afterMs(ms: number): Promise<undefined> {
  return new Promise((resolve) => void setTimeout(() => resolve(undefined), ms).unref())
}
