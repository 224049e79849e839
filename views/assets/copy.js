// Buttons with data-copy="id" put the text of that element on the clipboard, and say so. Without this file they are hidden.
(() => {
  const SAID_MS = 2000
  const said = document.createElement('p')
  said.className = 'hidden'
  said.setAttribute('role', 'status')
  document.body.append(said)

  function show() {
    for (const button of document.querySelectorAll('button[data-copy][hidden]')) button.hidden = false
  }

  function select(element) {
    const range = document.createRange()
    range.selectNodeContents(element)
    const selection = getSelection()
    selection.removeAllRanges()
    selection.addRange(range)
  }

  // The clipboard's own interface is there on HTTPS and on this machine only.
  async function copy(element) {
    try {
      await navigator.clipboard.writeText(element.textContent)
      return true
    } catch {
      select(element)
      return document.execCommand('copy')
    }
  }

  document.addEventListener('click', async (event) => {
    const button = event.target instanceof Element ? event.target.closest('button[data-copy]') : null
    const element = button === null ? null : document.getElementById(button.dataset.copy)
    if (element === null) return
    const isDone = await copy(element)
    button.textContent = isDone ? 'Copied' : 'Selected'
    said.textContent = isDone ? 'Copied.' : 'Selected. Copy it with your keyboard.'
    setTimeout(() => { button.textContent = 'Copy'; said.textContent = '' }, SAID_MS)
  })
  document.addEventListener('htmx:afterSwap', show)
  show()
})()
