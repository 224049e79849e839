import { SESSION_COOKIE } from '../core/person-session.ts'

/** The session token that a request carries; null without one, and null where two differ: one of them was planted. */
export function readSessionToken(headers: Headers): string | null {
  const header = headers.get('cookie')
  if (header === null || !header.includes(SESSION_COOKIE)) return null
  let found: string | null = null
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (equals === -1 || pair.slice(0, equals).trim() !== SESSION_COOKIE) continue
    const value = pair.slice(equals + 1).trim()
    if (found !== null && found !== value) return null
    found = value
  }
  return found === '' ? null : found
}

/** For this host alone, out of reach of scripts, and not sent along with what other sites post. */
export function sessionCookie(token: string, options: { isSecure: boolean; maxAgeSeconds: number }): string {
  return `${SESSION_COOKIE}=${token}; Path=/; Max-Age=${options.maxAgeSeconds}; HttpOnly; SameSite=Lax${options.isSecure ? '; Secure' : ''}`
}

export function endedSessionCookie(isSecure: boolean): string {
  return sessionCookie('', { isSecure, maxAgeSeconds: 0 })
}

/** Whether people reach us by HTTPS: we speak plain HTTP ourselves, so the public URL or the proxy in front says so. A proxy's word can only make the cookie stricter. */
export function isHttps(request: Request, publicUrl: string | undefined): boolean {
  return publicUrl?.startsWith('https:') === true || request.headers.get('x-forwarded-proto')?.split(',')[0]?.trim().toLowerCase() === 'https'
}
