import type { AuthorizationServer, Client, ClientAuth, IDToken, TokenEndpointResponse } from 'oauth4webapi'
import { UpstreamFailure, type Clock, type Upstreams } from '../core/ports.ts'
import type { IdentityProviders, OidcBinding, OidcClient, ProviderAnswer, VerifiedIdentity } from '../core/sign-on.ts'
import { isAcceptable, isLoopback, providerFetch } from './provider-fetch.ts'

type Library = typeof import('oauth4webapi')

/** How long a provider's description is kept; its keys are kept as long, and asked for anew when a token names another one. */
const KNOWN_MS = 5 * 60_000
const KNOWN_MAX = 20
const SCOPE = 'openid email profile'

/** Providers over the gateway's own HTTP client. The library is loaded when somebody first signs in this way. */
export function identityProviders(deps: { upstreams: Upstreams; clock: Pick<Clock, 'elapsed'> }): IdentityProviders {
  const fetch = providerFetch(deps.upstreams)
  const known = new Map<string, { at: number; server: AuthorizationServer }>()

  async function describe(library: Library, issuer: string): Promise<AuthorizationServer> {
    const now = deps.clock.elapsed()
    const found = known.get(issuer)
    if (found !== undefined && now - found.at < KNOWN_MS) return found.server
    const url = new URL(issuer)
    if (!isAcceptable(url)) throw new Error('the issuer must begin with https://')
    const answer = await library.discoveryRequest(url, { algorithm: 'oidc', ...optionsFor(library, url) })
    const server = await library.processDiscoveryResponse(url, answer)
    // The library compares addresses; tokens are compared with the text.
    if (server.issuer !== issuer) throw new Error(`the provider calls itself ${server.issuer.slice(0, 200)}`)
    checkEndpoints(server)
    known.delete(issuer)
    for (const oldest of known.keys()) {
      if (known.size < KNOWN_MAX) break
      known.delete(oldest)
    }
    known.set(issuer, { at: now, server })
    return server
  }

  function optionsFor(library: Library, url: URL) {
    return { [library.customFetch]: fetch, [library.allowInsecureRequests]: url.protocol === 'http:' && isLoopback(url) }
  }

  async function redeem(library: Library, client: OidcClient, binding: OidcBinding, query: string): Promise<VerifiedIdentity> {
    const server = await describe(library, client.issuer)
    const own: Client = { client_id: client.clientId }
    const options = optionsFor(library, new URL(client.issuer))
    const parameters = library.validateAuthResponse(server, own, new URLSearchParams(query), binding.state)
    const auth = authOf(library, server, client)
    const answer = await library.authorizationCodeGrantRequest(server, own, auth, parameters, binding.redirectUri, binding.codeVerifier, options)
    const tokens = await library.processAuthorizationCodeResponse(server, own, answer, { expectedNonce: binding.nonce, requireIdToken: true })
    // Also where TLS says who answered: a token that nobody signed is worth nothing here.
    await library.validateApplicationLevelSignature(server, answer, options)
    const claims = library.getValidatedIdTokenClaims(tokens)
    if (claims === undefined) throw new Error('the answer holds no ID token')
    return identityOf(claims, await profileOf(library, { server, own, tokens, claims, options }))
  }

  return {
    check: (issuer) => answerOf(async (library) => void (await describe(library, issuer))),
    authorizationUrl: (client, binding) => answerOf(async (library) => {
      const server = await describe(library, client.issuer)
      const url = new URL(server.authorization_endpoint ?? '')
      const challenge = await library.calculatePKCECodeChallenge(binding.codeVerifier)
      for (const [name, value] of Object.entries({
        client_id: client.clientId, response_type: 'code', scope: SCOPE, redirect_uri: binding.redirectUri, state: binding.state, nonce: binding.nonce,
        code_challenge: challenge, code_challenge_method: 'S256',
      })) url.searchParams.set(name, value)
      return url.href
    }),
    redeem: (client, binding, query) => answerOf((library) => redeem(library, client, binding, query)),
  }
}

/** All that is asked of the provider, or where people are sent, is HTTPS (or on this machine, where the issuer is). */
function checkEndpoints(server: AuthorizationServer): void {
  const isLocal = isLoopback(new URL(server.issuer))
  for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const) {
    const text = server[name]
    const url = text === undefined ? null : URL.parse(text)
    if (url === null) throw new Error(`the provider names no ${name}`)
    if (!isAcceptable(url) || (isLoopback(url) && !isLocal)) throw new Error(`the provider names a ${name} that is not HTTPS`)
  }
}

function authOf(library: Library, server: AuthorizationServer, { clientSecret }: OidcClient): ClientAuth {
  if (clientSecret === null) return library.None()
  // Without a list, Basic is what the standard says.
  const ways = server.token_endpoint_auth_methods_supported
  return ways === undefined || ways.includes('client_secret_basic') ? library.ClientSecretBasic(clientSecret) : library.ClientSecretPost(clientSecret)
}

/** Some providers keep the address out of the ID token; asked with the access token, they must speak of the same person. */
async function profileOf(library: Library, facts: {
  server: AuthorizationServer; own: Client; tokens: TokenEndpointResponse; claims: IDToken; options: object
}): Promise<Record<string, unknown>> {
  const { server, own, tokens, claims, options } = facts
  if (claims.email !== undefined || server.userinfo_endpoint === undefined) return claims
  const answer = await library.userInfoRequest(server, own, tokens.access_token, options)
  return { ...(await library.processUserInfoResponse(server, own, claims.sub, answer)) }
}

function identityOf(claims: IDToken, profile: Record<string, unknown>): VerifiedIdentity {
  const text = (value: unknown) => (typeof value === 'string' && value.trim() !== '' ? value.trim() : null)
  // Longer than any that a provider may give (255 signs); it is a key of ours.
  if (claims.sub === '' || claims.sub.length > 255) throw new Error('the subject of the ID token is empty or too long')
  return {
    issuer: claims.iss, subject: claims.sub, email: text(profile.email)?.slice(0, 255) ?? null, isEmailVerified: profile.email_verified === true,
    name: text(profile.name)?.slice(0, 120) ?? null,
  }
}

async function answerOf<T>(work: (library: Library) => Promise<T>): Promise<ProviderAnswer<T>> {
  try {
    return { ok: true, value: await work(await import('oauth4webapi')) }
  } catch (error) {
    return { ok: false, reason: reasonOf(error) }
  }
}

/** A word about what went wrong. The library's messages name what did not fit, never its value; an upstream failure's may hold addresses, so only its kind is told. */
function reasonOf(error: unknown): string {
  if (error instanceof UpstreamFailure) return `the provider cannot be asked (${error.kind})`
  if (!(error instanceof Error)) return 'the provider failed'
  const code = 'error' in error && typeof error.error === 'string' && /^[a-z_]{1,60}$/.test(error.error) ? ` (${error.error})` : ''
  return `${error.message.replace(/[^\x20-\x7e]/g, '?').slice(0, 300)}${code}`
}
