/**
 * True when the browser says that one of our own pages sent this. Cookies go along with other sites' requests too, so whatever a cookie
 * authorizes asks for this first. Without either header nothing is known, and that is not enough.
 */
export function isSameOrigin(request: Request, publicUrl: string | undefined): boolean {
  const site = request.headers.get('sec-fetch-site')
  if (site !== null && site !== 'same-origin') return false
  const origin = request.headers.get('origin')
  if (origin === null) return site === 'same-origin'
  return isOwnOrigin(origin, request, publicUrl)
}

/** True when a browser says that another site's page sent this. For forms that no cookie authorizes, where saying nothing is no harm. */
export function isForeign(request: Request, publicUrl: string | undefined): boolean {
  return (request.headers.has('origin') || request.headers.has('sec-fetch-site')) && !isSameOrigin(request, publicUrl)
}

/** True where one of our own pages says so in `Origin`, which only a browser's script or form can write for it. */
export function hasOwnOrigin(request: Request, publicUrl: string | undefined): boolean {
  return request.headers.has('origin') && isSameOrigin(request, publicUrl)
}

function isOwnOrigin(origin: string, request: Request, publicUrl: string | undefined): boolean {
  const written = /^(https?):\/\/([^/?#@\s]+)$/i.exec(origin)
  if (written === null) return false
  const lower = origin.toLowerCase()
  const own = publicUrl === undefined ? null : new URL(publicUrl).origin
  if (lower === own) return true
  const host = (request.headers.get('host') ?? new URL(request.url).host).trim().toLowerCase()
  if (written[2]?.toLowerCase() !== host) return false
  // A page that came unencrypted may be anybody's on the way; where people reach us by HTTPS it does not speak for us.
  return own === null || !own.startsWith('https:') || new URL(own).host !== host || written[1]?.toLowerCase() === 'https'
}
