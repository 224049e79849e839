import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider, { type Configuration } from 'oidc-provider'

/** Somebody with an account at the provider. */
export interface ProviderPerson {
  email: string
  isVerified: boolean
  name: string
}

export interface TestProvider {
  issuer: string
  /** By the name that they type at the provider. Tests add to it. */
  people: Map<string, ProviderPerson>
  stop(): Promise<void>
}

export const CLIENT = { id: 'igris', secret: 'the-secret-at-the-provider' }

/** A certified provider on loopback, with its own development pages: any password, then a consent. */
export async function startProvider(redirectUri: string): Promise<TestProvider> {
  const people = new Map<string, ProviderPerson>()
  const configuration: Configuration = {
    clients: [{ client_id: CLIENT.id, client_secret: CLIENT.secret, redirect_uris: [redirectUri], response_types: ['code'], grant_types: ['authorization_code'] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    pkce: { required: () => true },
    cookies: { keys: ['a key for tests'] },
    async findAccount(_context, id) {
      const person = people.get(id)
      if (person === undefined) return undefined
      return { accountId: id, claims: async () => ({ sub: id, email: person.email, email_verified: person.isVerified, name: person.name }) }
    },
  }
  // The issuer holds the port, which is known once something listens there.
  let handle: ((request: IncomingMessage, response: ServerResponse) => void) | null = null
  const server = createServer((request, response) => handle?.(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  handle = new Provider(issuer, configuration).callback()
  return {
    issuer, people,
    async stop() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
