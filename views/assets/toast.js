// Tells what a form did at the edge of the screen, and goes by itself once it was there to be read; never while the pointer or the keyboard is on it.
// Then the address forgets it as well, so that the page can be loaded again without being told twice.
(() => {
  const SHOWN_MS = 10000
  const notice = document.querySelector('main > p.notice[role="status"]')
  if (notice === null) return
  const close = document.createElement('button')
  close.type = 'button'
  close.textContent = '×'
  close.setAttribute('aria-label', 'Close this message')
  notice.append(close)
  notice.classList.add('toast')
  let timer = null
  const leave = () => notice.remove()
  const wait = () => { timer = setTimeout(leave, SHOWN_MS) }
  close.addEventListener('click', leave)
  for (const name of ['pointerenter', 'focusin']) notice.addEventListener(name, () => clearTimeout(timer))
  for (const name of ['pointerleave', 'focusout']) notice.addEventListener(name, wait)
  wait()
  const address = new URL(location.href)
  if (!address.searchParams.has('done')) return
  address.searchParams.delete('done')
  history.replaceState(history.state, '', address)
})()
