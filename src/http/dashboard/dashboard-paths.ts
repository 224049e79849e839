const PAGE = /^\/(?:(?:feed|risk|connections|policies|sessions|audit|anomalies|settings|assets)(?:\/|$)|setup\/|$)/

/** Apart from the pages themselves, which are loaded when first asked for. */
export function isDashboardPath(path: string): boolean {
  return PAGE.test(path)
}

/** The root tells programs what this is; browsers, which ask for HTML, get the first page. */
export function wantsPage(path: string, request: Request): boolean {
  return path !== '/' || (request.method === 'GET' && (request.headers.get('accept') ?? '').includes('text/html'))
}
