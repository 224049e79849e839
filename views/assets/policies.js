// Makes the pages of policies smoother: dragging, faults at their fields while somebody types, and what is unfolded stays so.
// Every form works without this file; it only presses the same buttons.
(() => {
  const editor = () => document.getElementById('editor')

  // What is unfolded travels with the form.
  function noteOpen(form) {
    const field = form.elements.namedItem('open')
    if (field === null) return
    field.value = [...form.querySelectorAll('details[data-rule][open]')].map((rule) => rule.dataset.rule).join(',')
  }

  function clearFaults(form) {
    for (const small of form.querySelectorAll('small.fault')) small.remove()
    for (const field of form.querySelectorAll('[aria-invalid]')) {
      if (field.id === 'f-json') continue
      field.removeAttribute('aria-invalid')
      field.removeAttribute('aria-describedby')
    }
    for (const rule of form.querySelectorAll('.is-faulty')) rule.classList.remove('is-faulty')
  }

  // The list of problems came alone: each goes to its field as well.
  function placeFaults() {
    const form = editor()
    if (form === null) return
    clearFaults(form)
    for (const item of form.querySelectorAll('#checks [data-field]')) {
      const field = document.getElementById(`f-${item.dataset.field}`)
      if (field === null) continue
      const small = document.createElement('small')
      small.className = 'fault'
      small.id = `${field.id}-fault`
      small.textContent = item.dataset.message
      field.closest('.condition, .cell')?.append(small)
      field.setAttribute('aria-invalid', 'true')
      field.setAttribute('aria-describedby', small.id)
      field.closest('.rule')?.classList.add('is-faulty')
    }
    const json = document.getElementById('f-json')
    if (json !== null) {
      if (form.querySelector('#checks .problems') === null) json.removeAttribute('aria-invalid')
      else json.setAttribute('aria-invalid', 'true')
    }
  }

  function markDeciding() {
    const deciding = document.getElementById('simulation')?.dataset.deciding
    for (const rule of document.querySelectorAll('.rule[data-index]')) rule.classList.toggle('is-deciding', rule.dataset.index === deciding)
  }

  document.addEventListener('htmx:configRequest', (event) => {
    const form = editor()
    if (form === null || !form.contains(event.detail.elt)) return
    noteOpen(form)
    event.detail.parameters.open = form.elements.namedItem('open')?.value ?? ''
  })
  document.addEventListener('htmx:afterSettle', (event) => {
    if (editor() === null) return
    if (event.detail.target.id === 'checks' || event.detail.elt.id === 'checks') placeFaults()
    markDeciding()
    prepare()
  })

  // A link to a field or rule that is folded away unfolds it.
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a[href^="#"]') : null
    const target = link === null ? null : document.getElementById(link.getAttribute('href').slice(1))
    if (target === null || editor()?.contains(target) !== true) return
    event.preventDefault()
    for (let fold = target.closest('details'); fold !== null; fold = fold.parentElement.closest('details')) fold.open = true
    target.focus()
    target.scrollIntoView({ block: 'center' })
  })

  // Where the cursor stands in the JSON.
  document.addEventListener('selectionchange', () => {
    const json = document.getElementById('f-json')
    const caret = document.getElementById('caret')
    if (json === null || caret === null || document.activeElement !== json) return
    const before = json.value.slice(0, json.selectionStart)
    caret.textContent = `Line ${before.split('\n').length}, column ${before.length - before.lastIndexOf('\n')}`
  })

  // Lists whose items can be dragged by their grip. `dropped` gets the item and the one that it was put before, or null.
  function sortable(list, dropped) {
    if (list.dataset.sortable !== undefined) return
    list.dataset.sortable = ''
    list.classList.add('can-drag')
    let dragged = null
    const marked = () => list.querySelector('.drop-before, .drop-after')
    const unmark = () => marked()?.classList.remove('drop-before', 'drop-after')
    for (const item of list.children) {
      const grip = item.querySelector('.grip')
      if (grip === null) continue
      grip.draggable = true
      grip.addEventListener('dragstart', (event) => {
        dragged = item
        item.classList.add('is-dragged')
        event.dataTransfer.effectAllowed = 'move'
        event.dataTransfer.setData('text/plain', '')
        event.dataTransfer.setDragImage(item, 0, 0)
      })
      grip.addEventListener('dragend', () => {
        item.classList.remove('is-dragged')
        unmark()
        dragged = null
      })
    }
    list.addEventListener('dragover', (event) => {
      const item = event.target instanceof Element ? [...list.children].find((child) => child.contains(event.target)) : undefined
      if (dragged === null || item === undefined) return
      event.preventDefault()
      const box = item.getBoundingClientRect()
      const side = event.clientY < box.top + box.height / 2 ? 'drop-before' : 'drop-after'
      if (item.classList.contains(side)) return
      unmark()
      if (item !== dragged) item.classList.add(side)
    })
    list.addEventListener('drop', (event) => {
      const item = marked()
      if (dragged === null || item === null) return
      event.preventDefault()
      const before = item.classList.contains('drop-before') ? item : item.nextElementSibling
      unmark()
      if (before !== dragged && dragged.nextElementSibling !== before) dropped(dragged, before)
    })
  }

  function prepare() {
    const rules = document.getElementById('rules')
    if (rules !== null) {
      sortable(rules, (item, before) => {
        const from = Number(item.dataset.index) + 1
        const last = Number(rules.lastElementChild.dataset.index) + 1
        const place = before === null ? last + 1 : Number(before.dataset.index) + 1
        const button = document.getElementById('do-move')
        button.disabled = false
        button.value = `move-${from}-${place > from ? place - 1 : place}`
        // htmx knows a button by its click alone.
        button.click()
      })
    }
    const form = document.getElementById('policies')
    for (const list of form?.querySelectorAll('ol.policies') ?? []) {
      sortable(list, (item, before) => {
        for (const [name, value] of [['id', item.dataset.id], ['before', before?.dataset.id ?? `after ${list.lastElementChild.dataset.id}`]]) {
          const field = form.elements.namedItem(name)
          field.disabled = false
          field.value = value
        }
        form.requestSubmit()
      })
    }
  }

  // A draft that was touched is not left without a question.
  let isTouched = false
  document.addEventListener('input', (event) => { if (event.target instanceof Element && event.target.closest('.main-column') !== null) isTouched = true })
  document.addEventListener('submit', (event) => {
    const action = event.submitter?.value ?? ''
    if (action === 'save') isTouched = false
    else if (/^(add|remove|move|copy)-/.test(action)) isTouched = true
  })
  document.addEventListener('click', (event) => { if (event.target instanceof Element && event.target.closest('.save a, .overtaken a') !== null) isTouched = false })
  window.addEventListener('beforeunload', (event) => { if (isTouched && editor() !== null) event.preventDefault() })

  prepare()
  markDeciding()
})()
