/** The few parts of the provider that the tests use; it brings no types of its own. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export interface Configuration {
    clients: { client_id: string; client_secret: string; redirect_uris: string[]; response_types: string[]; grant_types: string[] }[]
    claims: Record<string, string[]>
    pkce: { required(): boolean }
    cookies: { keys: string[] }
    findAccount(context: unknown, id: string): Promise<{ accountId: string; claims(): Promise<Record<string, unknown>> } | undefined>
  }

  export default class Provider {
    constructor(issuer: string, configuration: Configuration)
    callback(): (request: IncomingMessage, response: ServerResponse) => void
  }
}
