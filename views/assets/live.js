// Keeps the list of calls fresh: the server sends it anew when there are other calls, at most once a second. Not while the list is paused, hidden
// or being read with the keyboard; the newest is shown afterwards. Without this file the list is as old as the page.
(() => {
  const list = document.getElementById('feed')
  const button = document.getElementById('feed-pause')
  const said = document.getElementById('feed-state')
  if (list === null || button === null || said === null) return
  let isPaused = false
  let waiting = null

  function say(text) {
    if (said.textContent !== text) said.textContent = text
  }

  function show() {
    if (waiting === null || isPaused || document.hidden || list.contains(document.activeElement)) return
    list.innerHTML = waiting
    waiting = null
  }

  const source = new EventSource('/feed/live')
  source.onopen = () => say(isPaused ? 'Paused' : 'Live')
  source.onerror = () => say('Connecting…')
  source.addEventListener('calls', (event) => {
    waiting = JSON.parse(event.data)
    show()
  })
  source.addEventListener('ended', () => { source.close(); say('Ended') })

  button.hidden = false
  button.addEventListener('click', () => {
    isPaused = !isPaused
    button.textContent = isPaused ? 'Resume' : 'Pause'
    button.setAttribute('aria-pressed', String(isPaused))
    say(isPaused ? 'Paused' : 'Live')
    show()
  })
  document.addEventListener('visibilitychange', show)
  list.addEventListener('focusout', () => setTimeout(show))
})()
