// Keeps the list of calls fresh: the feed says that something happened, the server renders what. Not more often than every two seconds,
// never while the page is hidden or paused. Without this file the list is as old as the page.
(() => {
  const QUIET_MS = 2000
  const list = document.getElementById('feed')
  const button = document.getElementById('feed-pause')
  const said = document.getElementById('feed-state')
  if (list === null || button === null || said === null) return
  let isPaused = false
  let isDirty = false
  let timer = null

  function show(text) {
    if (said.textContent !== text) said.textContent = text
  }

  function refresh() {
    timer = null
    if (!isDirty || isPaused || document.hidden || list.contains(document.activeElement)) return
    isDirty = false
    list.dispatchEvent(new CustomEvent('calls'))
    timer = setTimeout(refresh, QUIET_MS)
  }

  function changed() {
    isDirty = true
    if (timer === null) timer = setTimeout(refresh, 150)
  }

  const source = new EventSource('/api/v1/events')
  source.onopen = () => show(isPaused ? 'Paused' : 'Live')
  source.onerror = () => show('Connecting…')
  for (const name of ['tool_call', 'anomaly', 'missed']) source.addEventListener(name, changed)
  source.addEventListener('ended', () => { source.close(); show('Ended') })

  button.hidden = false
  button.addEventListener('click', () => {
    isPaused = !isPaused
    button.textContent = isPaused ? 'Resume' : 'Pause'
    button.setAttribute('aria-pressed', String(isPaused))
    show(isPaused ? 'Paused' : 'Live')
    if (!isPaused) changed()
  })
  document.addEventListener('visibilitychange', () => { if (isDirty) changed() })
  list.addEventListener('focusout', () => { if (isDirty) changed() })
})()
