/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html, type PropsWithChildren } from '@elysiajs/html'
import { HTMX, ICON, LIVE, STYLES, TOAST, type Asset } from './assets/assets.ts'
import { shownText } from './shown-text.ts'

/** Everything comes from this server, as files: nothing inline runs or applies, and no other site frames a page. */
export const SHELL_HEADERS: Record<string, string> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  // Not "no-referrer": browsers then send "Origin: null" with our own forms.
  'referrer-policy': 'same-origin',
}

const HTMX_CONFIG = JSON.stringify({
  allowEval: false, allowScriptTags: false, selfRequestsOnly: true, includeIndicatorStyles: false, historyCacheSize: 0,
  responseHandling: [{ code: '204', swap: false }, { code: '[23]..', swap: true }, { code: '[45]..', swap: true, error: true, target: '#alerts', select: '#alert' }],
})

/** What every page of a signed-in person knows. */
export interface Viewer {
  name: string
  csrfToken: string
  /** When the page was made, for relative times. */
  now: number
}

const ENTRIES = [
  { href: '/', label: 'Observe' },
  { href: '/connections', label: 'Connections' },
  { href: '/policies', label: 'Policies' },
  { href: '/sessions', label: 'Sessions' },
  { href: '/audit', label: 'Audit' },
  { href: '/anomalies', label: 'Anomalies' },
  { href: '/settings', label: 'Settings' },
] as const

export type Section = (typeof ENTRIES)[number]['label']

type ShellProps = PropsWithChildren<{
  title: string
  section: Section | null
  viewer: Viewer
  notice?: string | null
  alert?: string | null
  isLive?: boolean
  /** Of this page alone. Everything must read, and every form work, without them. */
  scripts?: readonly Asset[]
}>

export function Shell({ title, section, viewer, notice, alert, isLive, scripts = [], children }: ShellProps) {
  return (
    <>
      {'<!doctype html>'}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="color-scheme" content="light dark" />
          <meta name="htmx-config" content={HTMX_CONFIG} />
          <title safe>{`${shownText(title, 80)} · Igris`}</title>
          <link rel="icon" href={ICON.path} type="image/svg+xml" />
          <link rel="stylesheet" href={STYLES.path} />
          <script src={HTMX.path} defer></script>
          {notice == null ? '' : <script src={TOAST.path} defer></script>}
          {isLive === true ? <script src={LIVE.path} defer></script> : ''}
          {scripts.map(({ path }) => <script src={path} defer></script>)}
        </head>
        <body>
          <a class="skip" href="#content">Skip to the content</a>
          <header class="top">
            <a class="brand" href="/"><span class="mark" aria-hidden="true"></span>Igris</a>
            <nav aria-label="Main">
              {ENTRIES.map(({ href, label }) => <a href={href} aria-current={label === section ? 'page' : undefined}>{label}</a>)}
            </nav>
            <div class="me">
              <a href="/account" title="Your account" safe>{shownText(viewer.name, 80)}</a>
              <form method="post" action="/logout">
                <Csrf token={viewer.csrfToken} />
                <button class="quiet" type="submit">Sign out</button>
              </form>
            </div>
          </header>
          <main id="content" tabindex="-1">
            <div id="alerts" aria-live="assertive">{alert == null ? '' : <p id="alert" class="alert" role="alert" safe>{shownText(alert, 500)}</p>}</div>
            {notice == null ? '' : <p class="notice" role="status" safe>{notice}</p>}
            {children}
          </main>
        </body>
      </html>
    </>
  )
}

export function Csrf({ token }: { token: string }) {
  return <input type="hidden" name="csrf" value={token} />
}

/** For what is not there, or not allowed. */
export function ErrorPage({ title, message, viewer }: { title: string; message: string; viewer: Viewer }) {
  return (
    <Shell title={title} section={null} viewer={viewer}>
      <div class="head"><h1 safe>{title}</h1></div>
      <p id="alert" class="alert" role="alert" safe>{shownText(message, 500)}</p>
      <p><a class="button" href="/">Back to Observe</a></p>
    </Shell>
  )
}
