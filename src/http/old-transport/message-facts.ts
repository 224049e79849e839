import type { RpcMessage } from '../../core/message.ts'

/** The revision that the answer to `initialize` names; null where it names none. */
export function versionIn(text: string): string | null {
  const version = (objectIn(text)?.result as { protocolVersion?: unknown } | undefined)?.protocolVersion
  return typeof version === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(version) ? version : null
}

/** True for a response, an error included. */
export function isResponse(text: string): boolean {
  const message = objectIn(text)
  return message !== null && message.method === undefined && message.id !== undefined
}

/** An answer for the stream: an error that a server could not say the id of gets that of the request, since there is no other tie to it. */
export function answerText(text: string, messages: RpcMessage[]): string {
  const [request, another] = messages.filter(({ kind }) => kind === 'request')
  const message = objectIn(text)
  const lacksId = message !== null && message.error !== undefined && (message.id === null || message.id === undefined)
  if (!lacksId || request === undefined || another !== undefined) return text
  return `{"jsonrpc":"2.0","id":${request.idText ?? 'null'},"error":${JSON.stringify(message.error)}}`
}

function objectIn(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}
