// Search: one box over items, sessions, customers and interests.

let combos = 0

/**
 * A text box with a list below. `find(text)` gives entries {group, text, note, pick} at once, `later(text)` more of them.
 * Arrows choose, Enter picks, Escape closes; the same text can be sought again.
 */
function combo({ label, placeholder, find, later, onclear, testid }) {
  const id = `proxysr-list-${combos++}`
  const list = h('ul', { id, role: 'listbox', 'aria-label': `${label}: found`, hidden: true })
  const field = h('input', {
    type: 'search', role: 'combobox', 'aria-label': label, placeholder, autocomplete: 'off', 'aria-expanded': 'false',
      'aria-controls': id, 'aria-autocomplete': 'list', 'data-testid': testid,
    oninput: () => { if (!field.value) onclear?.(); seek() }, onfocus: () => { if (field.value) seek() }, onkeydown: keys,
  })
  const el = h('div.combo', { onfocusout: (event) => { if (!el.contains(event.relatedTarget)) close() } }, field, list)
  let entries = []
  let at = -1
  let asked = 0

  async function seek() {
    const text = field.value.trim().toLowerCase()
    const turn = ++asked
    if (!text) return close()
    show(find(text))
    if (!later) return
    const more = await later(text)
    const have = new Set(entries.map((e) => e.text))
    if (turn === asked && more.length && !list.hidden) show([...entries, ...more.filter((e) => !have.has(e.text))].slice(0, 20))
  }

  function show(matches) {
    entries = matches
    at = matches.length ? 0 : -1
    let group = ''
    const lines = []
    matches.forEach((entry, i) => {
      if (entry.group !== group) lines.push(h('li.group', { role: 'presentation' }, group = entry.group))
      lines.push(h('li', { role: 'option', id: `${id}-${i}`, 'aria-selected': String(i === at),
        onpointerdown: (event) => { event.preventDefault(); pick(i) } }, h('span', {}, entry.text),
        entry.note ? h('span.soft', {}, entry.note) : null))
    })
    refill(list, lines.length ? lines : h('li.group', { role: 'presentation' }, 'No match.'))
    list.hidden = false
    field.setAttribute('aria-expanded', 'true')
    mark()
  }

  function mark() {
    for (const option of list.querySelectorAll('[role=option]')) option.setAttribute('aria-selected', String(option.id === `${id}-${at}`))
    const now = at < 0 ? null : list.querySelector(`#${id}-${at}`)
    if (now) { field.setAttribute('aria-activedescendant',
      now.id); now.scrollIntoView({ block: 'nearest' }) } else field.removeAttribute('aria-activedescendant')
  }

  function keys(event) {
    if (event.key === 'Escape') { if (!list.hidden) event.stopPropagation(); return close() }
    if (event.key === 'Enter') { event.preventDefault(); if (list.hidden) seek(); else if (at >= 0) pick(at); return }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (!step) return
    event.preventDefault()
    if (list.hidden) return seek()
    at = (at + step + entries.length) % entries.length
    mark()
  }

  function pick(i) {
    const { pick: go } = entries[i]
    close()
    go()
  }

  function close() {
    asked++
    list.hidden = true
    field.setAttribute('aria-expanded', 'false')
    field.removeAttribute('aria-activedescendant')
  }
  return { el, field }
}

const lower = lazilyOf((list) => Array.from(list, (text) => String(text).toLowerCase()))

function lazilyOf(make) {
  const made = new WeakMap()
  return (key) => made.get(key) ?? (made.set(key, make(key)), made.get(key))
}

/** Indices of the texts that contain a text; those that begin with it come first. */
function having(list, text, most = Infinity) {
  const [first, rest] = [[], []]
  lower(list).forEach((one, i) => { if (one.startsWith(text)) first.push(i); else if (one.includes(text)) rest.push(i) })
  return first.concat(rest).slice(0, most)
}

function searchItems(app, text, most) {
  const { items } = app.d
  const matches = new Set([...having(items.title, text), ...having(items.id, text)])
  return [...matches].sort((a, b) => items.count[b] - items.count[a]).slice(0, most)
}

function makeSearch(app) {
  const { d } = app

  function find(text) {
    const entries = []
    const group = (name, matches, draw, all) => {
      for (const match of matches.slice(0, 5)) entries.push({ group: name, ...draw(match) })
      if (matches.length > 5 && all) entries.push({ group: name, text: `all ${count(matches.length)} of them`, note: 'their sessions',
        pick: () => all(matches) })
    }
    const pickRows = (rows, why) => app.go.rows(rows, why, box.field.value)
    group('Interests', having(d.proxies.map((p) => p.name), text),
      (k) => ({ text: d.proxies[k].name, note: plural(d.proxies[k].n, 'session'), pick: () => app.go.interest(k) }))
    group('Items', searchItems(app, text, Infinity), (item) => ({ text: d.title(item), note: plural(d.items.count[item], 'session'),
      pick: () => app.go.item(item, box.field.value) }),
      (items) => pickRows(rowsWith(d, new Set(items)), `items with “${text}”`))
    group('Sessions', having(d.sessions.id, text), (row) => ({ text: d.sessions.id[row],
      note: d.proxies[d.sessions.proxy[row]]?.name, pick: () => app.go.session(row) }),
      (rows) => pickRows(rows, `sessions with “${text}”`))
    if (d.users) {
      group('Customers', having(d.users.id, text), (user) => ({ text: d.users.id[user],
        note: plural(d.userRows()(user).length, 'session'), pick: () => app.go.user(user) }),
        (users) => pickRows(users.flatMap((user) => Array.from(d.userRows()(user))), `customers with “${text}”`))
    }
    return entries
  }

  const box = combo({
    label: 'Search items, sessions, customers and interests',
      placeholder: `Search items, sessions${d.users ? ', customers' : ''} …`, testid: 'search', find,
    onclear: () => { if (app.state.search) app.set({ rows: null, why: '', search: '' }) },
  })
  return { el: box.el, update: (changed) => { if (changed.has('listed') || changed.has('search')) box.field.value = app.state.search } }
}

/** Sessions with at least one of these items. */
function rowsWith(d, items) {
  const rows = []
  const { clicks, offsets } = d.sessions
  for (let row = 0; row < d.n; row++) {
    for (let at = offsets[row]; at < offsets[row + 1]; at++) if (items.has(clicks[at])) { rows.push(row); break }
  }
  return rows
}
