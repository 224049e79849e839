/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { relativeTime, shownText } from '../shown-text.ts'

/** How long ago, with the exact time on hover. */
export function When({ at, now }: { at: string | null; now: number }) {
  return at === null ? <span class="muted">never</span> : <time datetime={at} title={at} safe>{relativeTime(at, now)}</time>
}

const GOOD = new Set(['ok', 'active', 'healthy'])
const BAD = new Set(['denied', 'suspended', 'failed', 'upstream_error', 'timeout', 'unauthorized', 'forbidden', 'failing'])
const PLAIN = new Set(['completed', 'in_flight', 'disabled', 'quiet', 'acknowledged'])

/** A state in words, with a shape and a colour that say the same. */
export function Badge({ state }: { state: string }) {
  return <span class={`badge ${GOOD.has(state) ? 'good' : BAD.has(state) ? 'bad' : PLAIN.has(state) ? 'plain' : 'warn'}`} safe>{state.replaceAll('_', ' ')}</span>
}

/** Something that is on or off; off is no fault. */
export function OnOff({ isOn }: { isOn: boolean }) {
  return <span class={`badge ${isOn ? 'good' : 'plain'}`}>{isOn ? 'on' : 'off'}</span>
}

const WHOLE_MAX = 500

/** Text that somebody else wrote, kept from turning what stands around it. What is cut is on hover. */
export function Foreign({ text, lengthMax = 160 }: { text: string; lengthMax?: number }) {
  if (text.length <= lengthMax) return <bdi dir="auto" safe>{shownText(text, lengthMax)}</bdi>
  return <bdi dir="auto" title={shownText(text, Math.max(WHOLE_MAX, lengthMax))} safe>{`${shownText(text.slice(0, lengthMax), lengthMax)}…`}</bdi>
}
