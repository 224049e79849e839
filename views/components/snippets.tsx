/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import type { ClientSnippet } from '../../src/core/client-snippets.ts'

/** What to paste into each client, one open at a time. Pages that show it need the script COPY for its buttons. */
export function Snippets({ snippets }: { snippets: ClientSnippet[] }) {
  return (
    <div class="snippets">
      {snippets.map((snippet, index) => (
        <details name="client" open={index === 0}>
          <summary><strong safe>{snippet.client}</strong> <span class="muted" safe>{snippet.where}</span></summary>
          <Copied id={`snippet-${snippet.id}`} text={snippet.text} what={`the text for ${snippet.client}`} />
        </details>
      ))}
    </div>
  )
}

/** A text to take along. The button is there once its script runs; the text can be selected without it. */
export function Copied({ id, text, what }: { id: string; text: string; what: string }) {
  return (
    <div class="copied">
      <pre tabindex="0"><code id={id} safe>{text}</code></pre>
      <button type="button" class="copy" data-copy={id} aria-label={`Copy ${what}`} hidden>Copy</button>
    </div>
  )
}
