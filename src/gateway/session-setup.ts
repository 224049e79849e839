import type { RpcMessage } from '../core/message.ts'
import { SESSION_TEXT_MAX } from '../core/session.ts'
import type { McpSession, McpSessionChange, SessionSetup } from '../core/session.ts'

const SUBSCRIPTIONS_MAX = 64
const LEVEL_CHARS_MAX = 32
const URI_CHARS_MAX = 2048

/** How a request that succeeded changes what its session is set up to; null where it does not. What is beyond the bounds is not kept. */
export function changedSetup({ method, params }: RpcMessage): ((session: McpSession) => McpSessionChange | null) | null {
  const { uri, level } = params ?? {}
  switch (method) {
    case 'logging/setLevel':
      if (typeof level !== 'string' || level.length > LEVEL_CHARS_MAX) return null
      return (session) => stored({ ...readSetup(session), logLevel: level })
    case 'resources/subscribe':
      if (typeof uri !== 'string' || uri.length > URI_CHARS_MAX) return null
      return (session) => {
        const setup = readSetup(session)
        const subscriptions = [...(setup.subscriptions ?? []).filter((each) => each !== uri), uri]
        return stored({ ...setup, subscriptions: subscriptions.slice(-SUBSCRIPTIONS_MAX) })
      }
    case 'resources/unsubscribe':
      return (session) => {
        const setup = readSetup(session)
        return stored({ ...setup, subscriptions: (setup.subscriptions ?? []).filter((each) => each !== uri) })
      }
    default:
      return null
  }
}

export function readSetup({ setup }: Pick<McpSession, 'setup'>): SessionSetup {
  return setup === null ? {} : (JSON.parse(setup) as SessionSetup)
}

function stored(setup: SessionSetup): McpSessionChange | null {
  const text = JSON.stringify(setup)
  return text.length > SESSION_TEXT_MAX ? null : { setup: text }
}
