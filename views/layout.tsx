/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html, type PropsWithChildren } from '@elysiajs/html'
import styles from './assets/igris.css' with { type: 'text' }

/** Written into each page: a page is one answer, works offline, and its policy names the only style that may apply. */
const STYLE_ELEMENT = `<style>${styles}</style>`
const STYLE_HASH = new Bun.CryptoHasher('sha256').update(styles).digest('base64')

/** For pages that run nothing and load nothing. Forms go to this server alone. */
export const PAGE_HEADERS: Record<string, string> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  // Not "no-referrer": browsers then send "Origin: null" with our own forms.
  'referrer-policy': 'same-origin',
}

type LayoutProps = PropsWithChildren<{
  title: string
  /** Wide pages are for reading tables; narrow ones hold a form. */
  isWide?: boolean
}>

export function Layout({ title, isWide, children }: LayoutProps) {
  return (
    <>
      {'<!doctype html>'}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="color-scheme" content="light dark" />
          <title safe>{`${title} · Igris`}</title>
          {STYLE_ELEMENT as 'safe'}
        </head>
        <body>
          <header class="bar">
            <span class="mark" aria-hidden="true"></span>
            <strong>Igris</strong>
          </header>
          <main class={isWide === true ? 'wide' : 'narrow'}>{children}</main>
        </body>
      </html>
    </>
  )
}
