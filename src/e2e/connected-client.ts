export interface Endpoint {
  url: string
  headers: Record<string, string>
}

export interface ToolAnswer {
  text: string
  isError: boolean
}

/** What every client is asked to do. What a client cannot get done it throws, with all it knows in the message. */
export interface ConnectedClient {
  serverName: string
  /** Null where the client keeps it to itself, or has none. */
  mcpSessionId(): string | null
  listTools(): Promise<string[]>
  callTool(name: string, args: Record<string, unknown>, onProgress?: (progress: number) => void): Promise<ToolAnswer>
  listResources(): Promise<string[]>
  readResource(uri: string): Promise<string>
  listPrompts(): Promise<string[]>
  getPrompt(name: string, args: Record<string, string>): Promise<string>
  /** DELETE of the MCP session. */
  endSession(): Promise<void>
  close(): Promise<void>
}

/** What the client's side answers when the server asks. */
export const SAMPLED = { role: 'assistant' as const, model: 'test-model', content: { type: 'text' as const, text: 'sampled by the client' } }
export const ELICITED = { action: 'accept' as const, content: { name: 'Ada of the client' } }
export const CAPABILITIES = { sampling: {}, elicitation: {} }

export function toolAnswer(result: Record<string, unknown>): ToolAnswer {
  return { text: textOf(result.content as unknown[]), isError: result.isError === true }
}

export function textOf(parts: unknown[]): string {
  return parts.map((part) => (part as { text?: string }).text ?? '').join('\n')
}
