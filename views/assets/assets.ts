import base from './dashboard.css' with { type: 'text' }
import overview from './overview.css' with { type: 'text' }
import connections from './connections.css' with { type: 'text' }
import policies from './policies.css' with { type: 'text' }
import settings from './settings.css' with { type: 'text' }
import copy from './copy.js' with { type: 'text' }
import live from './live.js' with { type: 'text' }
import policiesScript from './policies.js' with { type: 'text' }
import refresh from './refresh.js' with { type: 'text' }
import toast from './toast.js' with { type: 'text' }
import htmx from 'htmx.org/dist/htmx.min.js' with { type: 'text' }

export interface Asset {
  path: string
  type: string
  text: string
}

/** Named by its content, so that a browser may keep it for good and a new version is never mixed with an old one. */
function asset(name: string, ending: string, type: string, text: string): Asset {
  const hash = new Bun.CryptoHasher('sha256').update(text).digest('hex').slice(0, 12)
  return { path: `/assets/${name}.${hash}.${ending}`, type: `${type}; charset=utf-8`, text }
}

export const STYLES = asset('igris', 'css', 'text/css', [base, overview, connections, policies, settings].join('\n'))
/** Takes away what a form said it did. */
export const TOAST = asset('toast', 'js', 'text/javascript', toast)
/** Keeps the part marked `data-refresh` fresh. */
export const REFRESH = asset('refresh', 'js', 'text/javascript', refresh)
export const LIVE = asset('live', 'js', 'text/javascript', live)
/** Buttons that copy; see `Copied`. */
export const COPY = asset('copy', 'js', 'text/javascript', copy)
/** Dragging, the live check and what was unfolded, for the pages of policies. */
export const POLICIES_SCRIPT = asset('policies', 'js', 'text/javascript', policiesScript)
export const HTMX = asset('htmx', 'js', 'text/javascript', htmx)
export const ICON = asset('icon', 'svg', 'image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="#a8394a" d="M2 0h12v10l-6 6-6-6z"/></svg>')
export const ASSETS: readonly Asset[] = [STYLES, LIVE, REFRESH, TOAST, COPY, POLICIES_SCRIPT, HTMX, ICON]
