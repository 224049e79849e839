import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import type { OidcBinding, OidcClient } from '../core/sign-on.ts'
import { testUpstreams } from '../upstream/testing.ts'
import { identityProviders } from './identity-providers.ts'

/* A provider that answers whatever a test wants, honest by default. The real protocol is driven in the e2e tests. */

type Claims = Record<string, unknown>
interface Forged {
  claims: Claims
  header: Record<string, unknown>
  /** Which key signs; `none` leaves the signature empty, `secret` signs with the client's secret. */
  signer: 'own' | 'other' | 'none' | 'secret'
  description: Claims
  userinfo: Claims | null
  token: Claims
  answer: { discovery?: () => Response; token?: () => Response; jwks?: () => Response }
}

const CLIENT_SECRET = 'the-client-secret-of-32-characters'
const BINDING: OidcBinding = { state: 'the-state', nonce: 'the-nonce', codeVerifier: 'v'.repeat(43), redirectUri: 'http://127.0.0.1/login/oidc/callback' }
const upstreams = testUpstreams()
let provider: Bun.Server<undefined>
let keys: Record<'own' | 'other', CryptoKeyPair>
let forged: Forged
let asked: { path: string; authorization: string | null; body: string }[]
let client: OidcClient

const b64 = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
const issuer = () => `http://127.0.0.1:${provider.port}`
const now = () => Math.floor(Date.now() / 1000)

async function signed(): Promise<string> {
  const head = `${b64({ alg: 'RS256', kid: 'one', ...forged.header })}.${b64({ iss: issuer(), aud: 'igris', sub: 'ann', nonce: 'the-nonce', iat: now(), exp: now() + 60, email: 'Ann@Example.com', email_verified: true, name: 'Ann', ...forged.claims })}`
  if (forged.signer === 'none') return `${head}.`
  if (forged.signer === 'secret') return `${head}.${new Bun.CryptoHasher('sha256', CLIENT_SECRET).update(head).digest('base64url')}`
  const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', keys[forged.signer].privateKey, Buffer.from(head))
  return `${head}.${Buffer.from(signature).toString('base64url')}`
}

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url)
  asked.push({ path: pathname, authorization: request.headers.get('authorization'), body: await request.text() })
  if (pathname === '/.well-known/openid-configuration') {
    return forged.answer.discovery?.() ?? Response.json({
      issuer: issuer(), authorization_endpoint: `${issuer()}/authorize`, token_endpoint: `${issuer()}/token`, jwks_uri: `${issuer()}/jwks`, userinfo_endpoint: `${issuer()}/me`, ...forged.description,
    })
  }
  if (pathname === '/jwks') return forged.answer.jwks?.() ?? Response.json({ keys: [{ ...(await crypto.subtle.exportKey('jwk', keys.own.publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }] })
  if (pathname === '/token') return forged.answer.token?.() ?? Response.json({ access_token: 'at', token_type: 'Bearer', id_token: await signed(), ...forged.token })
  return pathname === '/me' && forged.userinfo !== null ? Response.json(forged.userinfo) : new Response('', { status: 404 })
}

/** A fresh adapter each time, so that nothing is remembered. */
const fresh = () => identityProviders({ upstreams, clock: { elapsed: () => performance.now() } })
const redeem = (query = '?code=c&state=the-state') => fresh().redeem(client, BINDING, query)

beforeAll(async () => {
  const pair = () => crypto.subtle.generateKey({ name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: 'SHA-256' }, true, ['sign', 'verify'])
  keys = { own: await pair(), other: await pair() }
  provider = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: answer })
})
beforeEach(() => {
  forged = { claims: {}, header: {}, signer: 'own', description: {}, userinfo: null, token: {}, answer: {} }
  asked = []
  client = { issuer: issuer(), clientId: 'igris', clientSecret: CLIENT_SECRET }
})
afterAll(async () => {
  upstreams.close()
  await provider.stop(true)
})

describe('a sign-in', () => {
  test('is that of the person whom a well-made ID token names', async () => {
    expect(await redeem()).toEqual({ ok: true, value: { issuer: issuer(), subject: 'ann', email: 'Ann@Example.com', isEmailVerified: true, name: 'Ann' } })
    const token = asked.find(({ path }) => path === '/token')
    expect(token?.authorization).toStartWith('Basic ')
    expect(Object.fromEntries(new URLSearchParams(token?.body))).toEqual({ grant_type: 'authorization_code', code: 'c', redirect_uri: BINDING.redirectUri, code_verifier: BINDING.codeVerifier })
  })

  test('asks for the address where the ID token has none, of the same person only', async () => {
    forged.claims = { email: undefined, email_verified: undefined }
    forged.userinfo = { sub: 'ann', email: 'ann@elsewhere.example', email_verified: true }
    expect(await redeem()).toMatchObject({ ok: true, value: { email: 'ann@elsewhere.example', isEmailVerified: true } })
    forged.userinfo = { sub: 'bob', email: 'bob@example.com', email_verified: true }
    expect((await redeem()).ok).toBe(false)
  })

  test('takes the secret into the form where the provider asks for that, and none from a public client', async () => {
    forged.description = { token_endpoint_auth_methods_supported: ['client_secret_post'] }
    await redeem()
    client.clientSecret = null
    await redeem()
    const [posted, open] = asked.filter(({ path }) => path === '/token')
    expect([posted?.authorization, new URLSearchParams(posted?.body).get('client_secret')]).toEqual([null, CLIENT_SECRET])
    expect([open?.authorization, new URLSearchParams(open?.body).get('client_secret')]).toEqual([null, null])
  })

  test.each([['true', false], [1, false], [false, false], [undefined, false], [true, true]])('vouches for an address by the plain true alone: %p', async (email_verified, isEmailVerified) => {
    forged.claims = { email_verified }
    expect(await redeem()).toMatchObject({ ok: true, value: { isEmailVerified } })
  })

  test('begins at the address that the provider names, bound to state, nonce and verifier', async () => {
    const begun = await fresh().authorizationUrl(client, BINDING)
    const url = new URL(begun.ok ? begun.value : '')
    expect(`${url.origin}${url.pathname}`).toBe(`${issuer()}/authorize`)
    const challenge = new Bun.CryptoHasher('sha256').update(BINDING.codeVerifier).digest('base64url')
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: 'igris', response_type: 'code', scope: 'openid email profile', redirect_uri: BINDING.redirectUri, state: 'the-state', nonce: 'the-nonce',
      code_challenge: challenge, code_challenge_method: 'S256',
    })
  })
})

describe('an attack', () => {
  const tokens: [name: string, change: Partial<Forged>][] = [
    ['another nonce', { claims: { nonce: 'another' } }],
    ['no nonce', { claims: { nonce: undefined } }],
    ['the signature of another key under the known name', { signer: 'other' }],
    ['no signature', { signer: 'none', header: { alg: 'none', kid: undefined } }],
    ['no signature, and a provider that allows that', { signer: 'none', header: { alg: 'none', kid: undefined }, description: { id_token_signing_alg_values_supported: ['none', 'RS256'] } }],
    ['a signature with the shared secret', { signer: 'secret', header: { alg: 'HS256', kid: undefined }, description: { id_token_signing_alg_values_supported: ['HS256', 'RS256'] } }],
    ['a signature left off', { signer: 'none' }],
    ['an end in the past', { claims: { iat: 1_000, exp: 2_000 } }],
    ['no end', { claims: { exp: undefined } }],
    ['another audience', { claims: { aud: 'another-client' } }],
    ['our audience beside the one it was made for', { claims: { aud: ['igris', 'another-client'], azp: 'another-client' } }],
    ['another issuer', { claims: { iss: 'https://accounts.example' } }],
    ['nobody', { claims: { sub: undefined } }],
    ['an empty subject', { claims: { sub: '' } }],
    ['a subject without end', { claims: { sub: 's'.repeat(256) } }],
    ['a subject that is no text', { claims: { sub: { toString: 'ann' } } }],
    ['no ID token', { token: { id_token: undefined } }],
    ['an ID token that is none', { token: { id_token: 'a.b.c' } }],
  ]
  test.each(tokens)('by an ID token with %s signs nobody in', async (_name, change) => {
    Object.assign(forged, change)
    const answered = await redeem()
    expect(answered.ok).toBe(false)
    expect(answered.ok ? '' : answered.reason).not.toContain(CLIENT_SECRET)
  })

  const queries: [name: string, query: () => string][] = [
    ['another state', () => '?code=c&state=another'],
    ['no state', () => '?code=c'],
    ['two states', () => '?code=c&state=the-state&state=another'],
    ['another issuer (mix-up)', () => '?code=c&state=the-state&iss=https%3A%2F%2Faccounts.example'],
    ['no code', () => '?state=the-state'],
    ['an ID token in the address', () => '?code=c&state=the-state&id_token=a.b.c'],
    ['a refusal of the provider', () => '?error=access_denied&error_description=%3Cscript%3E&state=the-state'],
  ]
  test.each(queries)('by an answer with %s redeems no code', async (_name, query) => {
    const answered = await redeem(query())
    expect(answered.ok).toBe(false)
    expect(answered.ok ? '' : answered.reason).not.toContain('script')
    expect(asked.map(({ path }) => path)).not.toContain('/token')
  })

  test('by leaving out the issuer is refused where the provider promises it', async () => {
    forged.description = { authorization_response_iss_parameter_supported: true }
    expect((await redeem()).ok).toBe(false)
    expect((await redeem(`?code=c&state=the-state&iss=${encodeURIComponent(issuer())}`)).ok).toBe(true)
  })
})

describe('a provider', () => {
  const descriptions: [name: string, change: () => Partial<Forged>][] = [
    ['calls itself by another name', () => ({ description: { issuer: 'https://accounts.example' } })],
    ['calls itself by nearly the same name', () => ({ description: { issuer: `${issuer()}/` } })],
    ['redirects', () => ({ answer: { discovery: () => new Response('', { status: 302, headers: { location: `${issuer()}/elsewhere` } }) } })],
    ['answers without end', () => ({ answer: { discovery: () => new Response(`{"a":"${'a'.repeat(300_000)}"}`, { headers: { 'content-type': 'application/json' } }) } })],
    ['answers nonsense', () => ({ answer: { discovery: () => new Response('<html>') } })],
    ['names a token endpoint without TLS', () => ({ description: { token_endpoint: 'http://accounts.example/token' } })],
    ['names no keys', () => ({ description: { jwks_uri: undefined } })],
    ['sends people to a script', () => ({ description: { authorization_endpoint: 'javascript:alert(1)' } })],
  ]
  test.each(descriptions)('that %s is not usable', async (_name, change) => {
    Object.assign(forged, change())
    expect((await fresh().check(issuer())).ok).toBe(false)
    expect((await redeem()).ok).toBe(false)
    expect(asked.map(({ path }) => path)).not.toContain('/token')
  })

  test.each(['http://accounts.example', 'https://169.254.169.254', 'https://metadata.google.internal', 'https://[fe80::1]', 'ftp://accounts.example', 'no address'])('at %s is not asked', async (address) => {
    expect((await fresh().check(address)).ok).toBe(false)
    expect(asked).toEqual([])
  })

  test('does not send its client secret on to a metadata service', async () => {
    forged.description = { token_endpoint: 'https://169.254.169.254/latest/meta-data' }
    expect(await redeem()).toEqual({ ok: false, reason: 'the provider cannot be asked (forbidden_address)' })
  })

  test('that answers a token request with a redirect is not followed', async () => {
    forged.answer.token = () => new Response('', { status: 307, headers: { location: `${issuer()}/elsewhere` } })
    expect((await redeem()).ok).toBe(false)
    expect(asked.map(({ path }) => path)).not.toContain('/elsewhere')
  })

  test('is asked for its description once in a while, and for its keys again when a token names an unknown one', async () => {
    const providers = fresh()
    for (let round = 0; round < 3; round++) expect((await providers.redeem(client, BINDING, '?code=c&state=the-state')).ok).toBe(true)
    expect(asked.filter(({ path }) => path === '/.well-known/openid-configuration')).toHaveLength(1)
    expect(asked.filter(({ path }) => path === '/jwks')).toHaveLength(1)
  })
})
