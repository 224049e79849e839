import type { UpstreamAnswer, UpstreamBody } from '../core/ports.ts'
import type { IncomingCall } from './incoming-call.ts'

/** Enough for any error; a longer body is none about a session. */
const BODY_BYTES_MAX = 64 * 1024
/** Codes with which servers say that they do not know a session, among other things. */
const SESSION_NOT_FOUND = -32001
const GENERIC = -32000

/**
 * What an answer within a session says about the session. `lost`: the upstream does not know it, so nothing of the call was carried out.
 * `doubtful`: servers answer so for a lost session, and for other reasons.
 */
export type LossVerdict = 'lost' | 'doubtful' | 'no'

/** Whether an answer is worth a closer look. */
export function mayBeLost({ status }: UpstreamAnswer): boolean {
  return status === 404 || status === 400
}

/** Looks into an answer, which may be read on from what is returned. */
export async function judgeLoss(answer: UpstreamAnswer, call: IncomingCall): Promise<{ verdict: LossVerdict; answer: UpstreamAnswer }> {
  if (!mayBeLost(answer)) return { verdict: 'no', answer }
  const { text, body } = await readAhead(answer.body)
  return { verdict: verdictOn(answer.status, text, call), answer: { ...answer, body } }
}

function verdictOn(status: number, text: string | null, call: IncomingCall): LossVerdict {
  const response = text === null ? null : responseIn(text)
  const isOwn = response !== null && call.messages.some(({ idText }) => idText !== null && JSON.parse(idText) === response.id)
  if (!isOwn) return status === 404 ? 'lost' : 'doubtful'
  // What names the request is about the request, unless it says otherwise. Where that may be, a ping tells.
  const { code, message } = response
  if (status === 404) return code === SESSION_NOT_FOUND || (code === GENERIC && /session/i.test(message)) ? 'lost' : 'doubtful'
  return code === SESSION_NOT_FOUND || code === GENERIC ? 'doubtful' : 'no'
}

function responseIn(text: string): { id: unknown; code: unknown; message: string } | null {
  try {
    const { id, error } = JSON.parse(text) as { id?: unknown; error?: { code?: unknown; message?: unknown } | null }
    return { id, code: error?.code, message: typeof error?.message === 'string' ? error.message : '' }
  } catch {
    return null
  }
}

/** The whole body as text where it is short, and a body that gives the same bytes again. */
async function readAhead(body: UpstreamBody): Promise<{ text: string | null; body: UpstreamBody }> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  let isWhole = false
  while (!isWhole && bytes <= BODY_BYTES_MAX) {
    const chunk = await body.read()
    if (chunk === null) isWhole = true
    else {
      chunks.push(chunk)
      bytes += chunk.length
    }
  }
  const text = isWhole ? new TextDecoder().decode(Buffer.concat(chunks)) : null
  const again: UpstreamBody = {
    length: body.length,
    read: async () => chunks.shift() ?? (isWhole ? null : body.read()),
    cancel: () => body.cancel(),
  }
  return { text, body: again }
}
