/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'

/** Something that somebody should look at now, and where. */
export interface Concern {
  weight: 'bad' | 'warn'
  says: string
  href: string
}

/** Whether all is well, before any figure: a word, a shape and a colour, and where to go. */
export function Standing({ concerns }: { concerns: readonly Concern[] }) {
  if (concerns.length === 0) {
    return <section class="standing is-good" aria-label="Now"><strong class="badge good">All well</strong><span class="muted">Nothing is suspended, no connection is failing, no anomaly is open.</span></section>
  }
  const weight = concerns.some((concern) => concern.weight === 'bad') ? 'bad' : 'warn'
  return (
    <section class={`standing is-${weight}`} aria-label="Now">
      <strong>Needs a look</strong>
      <ul>{concerns.map(({ weight: own, says, href }) => <li><a class={`badge ${own}`} href={href} safe>{says}</a></li>)}</ul>
    </section>
  )
}
