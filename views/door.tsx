/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html, type PropsWithChildren } from '@elysiajs/html'
import { ICON, STYLES } from './assets/assets.ts'
import { shownText } from './shown-text.ts'

/** The page around a form for people who are not signed in. It runs nothing. Sent with SHELL_HEADERS. */
export function Door({ title, children }: PropsWithChildren<{ title: string }>) {
  return (
    <>
      {'<!doctype html>'}
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="color-scheme" content="light dark" />
          <title safe>{`${shownText(title, 80)} · Igris`}</title>
          <link rel="icon" href={ICON.path} type="image/svg+xml" />
          <link rel="stylesheet" href={STYLES.path} />
        </head>
        <body class="door">
          <main id="content">
            <p class="brand"><span class="mark" aria-hidden="true"></span>Igris</p>
            {children}
          </main>
        </body>
      </html>
    </>
  )
}
