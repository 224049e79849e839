// Keeps a part of the page fresh: when something was called, the server is asked for the part again, not more often than every three seconds and never
// while the page is hidden or the part is being used. Without this file the part is as old as the page.
(() => {
  const EVERY_MS = 3000
  const place = document.querySelector('[data-refresh]')
  if (place === null) return
  let isDue = false
  let timer = null

  // The part is replaced each time: it is looked up anew.
  const part = () => document.querySelector('[data-refresh]')

  function refresh() {
    timer = null
    const now = part()
    if (!isDue || now === null || document.hidden || now.contains(document.activeElement) || now.matches(':hover')) return
    isDue = false
    now.dispatchEvent(new CustomEvent('refresh'))
    timer = setTimeout(refresh, EVERY_MS)
  }

  function wake() {
    if (isDue && timer === null) timer = setTimeout(refresh, 200)
  }

  const source = new EventSource('/feed/live')
  // Also the first: something may have been called between the page and it.
  source.addEventListener('calls', () => { isDue = true; wake() })
  source.addEventListener('ended', () => source.close())
  for (const name of ['visibilitychange', 'focusout', 'pointerout']) document.addEventListener(name, () => setTimeout(wake))
})()
