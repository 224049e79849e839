/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { encode } from 'uqr'

/** A square code as a drawing in the page: nothing is loaded, and nobody else learns the text. Dark on light in both themes, or cameras do not read it. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { data: modules, size } = encode(text, { border: 3, ecc: 'M' })
  const path = modules.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : []))).join('')
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <rect width={size} height={size} fill="#ffffff" />
      <path d={path} fill="#000000" />
    </svg>
  )
}
