import { Elysia } from 'elysia'
import { timingSafeEqual } from 'node:crypto'
import { FirstOwner, type SetupControl } from '../control/setup.ts'
import type { PersonId } from '../core/ids.ts'
import { PAGE_HEADERS } from '../../views/layout.tsx'
import { SetupClosedPage, SetupPage, type SetupFormProps } from '../../views/pages/setup.tsx'

export interface SetupRouteDeps {
  setup: SetupControl
  /** In the link that the first start prints; null once somebody owns the installation. Works once. */
  token: SetupToken
  /** Fills the form in. */
  organization: string
  nextRequestId(): string
  /** Signs the new owner in: the value of Set-Cookie, or null where that failed and they sign in by hand. */
  signIn?(ownerId: PersonId, request: Request): Promise<string | null>
}

/** The secret of the set-up link. Lives in memory, so that a restart prints another one. */
export interface SetupToken {
  /** Constant time; false once used. */
  matches(text: string): boolean
  /** True for exactly one asker. */
  take(text: string): boolean
  /** Gives it back, when the set-up was refused. */
  giveBack(): void
  /** Another one in its place, when nobody owns the installation any more. */
  replace(secret: string): void
}

export function setupToken(first: string): SetupToken {
  let secret = first
  let isUsed = false
  const digest = (text: string) => new Bun.CryptoHasher('sha256').update(text).digest()
  const matches = (text: string) => !isUsed && timingSafeEqual(digest(text), digest(secret))
  return {
    matches,
    take(text) {
      if (!matches(text)) return false
      isUsed = true
      return true
    },
    giveBack() {
      isUsed = false
    },
    replace(next) {
      secret = next
      isUsed = false
    },
  }
}

const FORM_BYTES_MAX = 16_384
const FIELDS = ['organization', 'email', 'password'] as const
/** Where the new owner goes on; the steps from there are pages of somebody who is signed in. */
const NEXT_STEP = '/setup/connection'
const CLOSED = 'It has been used, or it belongs to an earlier start. While nobody owns this installation, each start of Igris prints a new link.'

/** `/setup`, for the first owner. */
export function setupRoutes(deps: SetupRouteDeps) {
  return new Elysia()
    .get('/setup', ({ request }) => showForm(deps, request), { parse: 'none' })
    .post('/setup', ({ request }) => submitForm(deps, request), { parse: 'none' })
}

async function showForm(deps: SetupRouteDeps, request: Request): Promise<Response> {
  const token = new URL(request.url).searchParams.get('token') ?? ''
  if (!deps.token.matches(token) || !(await deps.setup.isNeeded())) return closed(deps)
  return form(deps, 200, { token, values: { organization: deps.organization, email: '' }, faults: {}, alert: null })
}

async function submitForm(deps: SetupRouteDeps, request: Request): Promise<Response> {
  // The token in the form already proves that whoever sends it has seen the link; this refuses to even look at another site's form.
  if (!isOwnOrigin(request)) return closed(deps)
  const fields = await readForm(request)
  const token = fields?.get('token') ?? ''
  if (fields === null || !deps.token.matches(token)) return closed(deps)
  const written = { organization: fields.get('organization') ?? '', email: fields.get('email') ?? '', password: fields.get('password') ?? '' }
  const values = { organization: written.organization, email: written.email }
  const parsed = FirstOwner.safeParse(written)
  if (!parsed.success) {
    const faults: SetupFormProps['faults'] = {}
    for (const issue of parsed.error.issues) {
      const field = FIELDS.find((name) => name === issue.path[0])
      if (field !== undefined) faults[field] ??= issue.message
    }
    return form(deps, 400, { token, values, faults, alert: null })
  }
  if (!deps.token.take(token)) return closed(deps)
  const made = await deps.setup.createOwner(parsed.data).catch((error: unknown) => {
    deps.token.giveBack()
    throw error
  })
  if (!made.ok) {
    deps.token.giveBack()
    return made.code === 'conflict' ? closed(deps) : form(deps, 503, { token, values, faults: {}, alert: made.message })
  }
  const cookie = (await deps.signIn?.(made.value.owner.id as PersonId, request)) ?? null
  const headers = { 'cache-control': 'no-store', 'x-igris-request-id': deps.nextRequestId() }
  if (cookie === null) return new Response(null, { status: 303, headers: { ...headers, location: `/login?next=${encodeURIComponent(NEXT_STEP)}` } })
  return new Response(null, { status: 303, headers: { ...headers, location: NEXT_STEP, 'set-cookie': cookie } })
}

function isOwnOrigin(request: Request): boolean {
  const origin = request.headers.get('origin')
  const site = request.headers.get('sec-fetch-site')
  if (site !== null && site !== 'same-origin') return false
  if (origin === null) return true
  // The scheme may differ behind a proxy that ends TLS; the host is what the browser shows.
  return URL.parse(origin)?.host === (request.headers.get('host') ?? new URL(request.url).host)
}

/** Null for what is not a form of ours: wrong type, too large. */
async function readForm(request: Request): Promise<URLSearchParams | null> {
  if (!(request.headers.get('content-type') ?? '').toLowerCase().startsWith('application/x-www-form-urlencoded')) return null
  if (request.body === null) return null
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    length += chunk.byteLength
    if (length > FORM_BYTES_MAX) return null
    chunks.push(chunk)
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
}

async function form(deps: SetupRouteDeps, status: number, props: SetupFormProps): Promise<Response> {
  return page(deps, status, await SetupPage(props))
}

async function closed(deps: SetupRouteDeps): Promise<Response> {
  return page(deps, 404, await SetupClosedPage({ message: CLOSED }))
}

function page(deps: SetupRouteDeps, status: number, html: string): Response {
  return new Response(html, { status, headers: { ...PAGE_HEADERS, 'x-igris-request-id': deps.nextRequestId() } })
}
