import { foresee } from '../../core/policy/prospect.ts'
import type { ListeningStream } from './listening-streams.ts'
import type { ListCall, ListState } from './tool-lists.ts'

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId'

export interface OpenedStream {
  stream: ListeningStream
  /** The upstream said something: what opens a subscription comes first, and from it. */
  sawEvent(): void
}

/** The stream of a call that listens, as whoever has news for it sees it. */
export function listeningStreamOf(state: ListState, call: ListCall, inject: (event: Uint8Array) => void): OpenedStream {
  const { trail, connection, caller } = call
  const subscription = trail.call.messages.find(({ method }) => method === 'subscriptions/listen') ?? null
  let isOpen = subscription === null
  let last = visibleTools(state, call).catch(() => '')

  function send(method: string, params: Record<string, unknown>): void {
    if (!isOpen) return
    const _meta = subscription?.idText == null ? {} : { _meta: { [SUBSCRIPTION_ID]: JSON.parse(subscription.idText) as unknown } }
    const whole = { ...params, ..._meta }
    const message = { jsonrpc: '2.0', method, ...(Object.keys(whole).length === 0 ? {} : { params: whole }) }
    inject(new TextEncoder().encode(`event: message\ndata: ${JSON.stringify(message)}\n\n`))
  }

  const wanted = subscription?.params?.notifications as { toolsListChanged?: unknown } | null | undefined
  return {
    stream: {
      organizationId: caller.organizationId,
      connectionId: connection.id,
      principalId: caller.principal.id,
      mcpSessionId: trail.mcpSession?.id ?? null,
      wantsToolChanges: subscription === null || wanted?.toolsListChanged === true,
      send,
      async seesOtherTools() {
        const before = last
        last = visibleTools(state, call).catch(() => '')
        return (await before) !== (await last)
      },
    },
    sawEvent() {
      isOpen = true
    },
  }
}

/** Stands for the names that the caller sees of the tools that are known: the same text for the same names. */
async function visibleTools(state: ListState, { connection, caller, trail }: ListCall): Promise<string> {
  const current = await state.connections.findBySlug(connection.organizationId, connection.slug)
  const [policies, tools] = await Promise.all([state.policies.current(caller.organizationId), state.toolBook.of(connection.id)])
  const names = tools.all().map(({ name }) => name)
  if (current?.hideDeniedTools !== true) return state.hash(JSON.stringify(names))
  const facts = {
    connection: connection.slug, user: trail.assertions?.user ?? null, metadata: trail.assertions?.metadata ?? {},
    key: { id: caller.principal.id, label: caller.principal.label },
  }
  const visible = names.filter((name) => foresee(policies, { ...facts, target: { kind: 'tool', name } }).action !== 'deny')
  return state.hash(JSON.stringify(visible))
}
