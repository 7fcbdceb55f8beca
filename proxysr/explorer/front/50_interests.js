// The list of interests: size, name and recall. Also buttons that open an interest, a session or a customer.

function interestButton(app, k) {
  const name = app.d.proxies[k]?.name
  if (name == null) return h('span', {}, '–')
  return h('button.go', { onclick: () => app.go.interest(k), title: name }, swatch(app.colour(k)), h('span', {}, name))
}

function sessionButton(app, row) {
  return h('button.go', { onclick: () => app.go.session(row), 'aria-label': `session ${app.d.sessions.id[row]}` },
    h('span', {}, app.d.sessions.id[row]))
}

function userButton(app, user) {
  if (!app.d.users || user < 0) return h('span.soft', {}, 'unknown')
  return h('button.go', { onclick: () => app.go.user(user), 'aria-label': `customer ${app.d.users.id[user]}` },
    h('span', {}, app.d.users.id[user]))
}

/** Recall of an interest; in the merged view, of all interests merged into it. */
function servedOf(app, k) {
  const members = app.members(k)
  if (members.length === 1) return app.d.proxies[k]
  const n = members.reduce((sum, m) => sum + (app.d.proxies[m].n_targets || 0), 0)
  const hits = members.reduce((sum, m) => sum + (app.d.proxies[m].recall ?? 0) * (app.d.proxies[m].n_targets || 0), 0)
  const { value, low, high } = wilson(hits, n)
  return { recall: value, low, high, n_targets: n, difference: value - app.d.meta.recall?.value }
}

/** The name, and a control to rename it if the host stores names. */
function renamer(app, k) {
  if (!app.host.can.rename) return null
  const open = () => {
    const field = h('input', { value: app.d.proxies[k].name,
      'aria-label': `New name of ${app.d.proxies[k].name}; empty: the one from its items`, maxlength: 80 })
    const done = () => { if (form.isConnected) form.replaceWith(button) }
    const form = h('form.rename', {
      onsubmit: async (event) => {
        event.preventDefault()
        done()
        const answer = await app.ask('rename', { proxy: k, name: field.value.trim() })
        if (!answer) return
        rename(app.d, answer.proxy, answer)
        app.refresh('names')
      },
      onkeydown: (event) => { if (event.key === 'Escape') { event.stopPropagation(); done(); button.focus() } },
    }, field, h('button', { type: 'submit' }, 'keep'))
    button.replaceWith(form)
    field.focus()
    field.select()
  }
  const button = h('button.icon', { 'aria-label': `Rename ${app.d.proxies[k].name}`, title: 'Rename', onclick: open }, '✎')
  return button
}

function makeInterests(app) {
  const { d } = app
  const el = h('section.interests', { 'aria-label': 'Interests', 'data-testid': 'interests' })
  const list = h('div.scroll')
  const head = h('header')
  el.append(head, list)
  let sort = 'n'
  const sorts = [['n', 'by size'], ['name', 'by name'], ['recall', `best R@${d.meta.k}`], ['worst', `worst R@${d.meta.k}`],
    ...(d.compare ? [['b', 'run B better'], ['a', 'run A better']] : [])]
  const differences = (k) => d.compare?.by_proxy[k]?.difference
  const orders = {
    n: (k) => -app.size(k), name: null, recall: (k) => -(servedOf(app, k).recall ?? -1), worst: (k) => servedOf(app, k).recall ?? 2,
    a: (k) => -(differences(k) ?? -9), b: (k) => differences(k) ?? 9,
  }
  let rows = new Map()

  function build() {
    const all = app.leading()
    const full = all.filter((k) => app.size(k) > 0)
    const empty = all.filter((k) => app.size(k) === 0)
    const key = orders[sort]
    full.sort(key ? (a, b) => key(a) - key(b) : (a, b) => d.proxies[a].name.localeCompare(d.proxies[b].name))
    const joined = d.leads.filter((lead, k) => lead !== k).length
    refill(head,
      h('h2', {}, 'Interests'),
      h('p.soft', {}, `${full.length} in use, ${known(d.meta.effective) ? `as many as ${d.meta.effective.toFixed(1)} of equal size` : ''}${empty.length ? `, ${empty.length} empty` : ''}`),
      h('div.line', {}, select('Sort interests', sorts, sort, (next) => { sort = next; build(); update(ALL) }),
        h('label.tick', {}, h('input', { type: 'checkbox', checked: app.state.merged, disabled: !joined && !app.state.merged,
          'data-testid': 'merged', onchange: (event) => app.set({ merged: event.target.checked }) }),
          `join alike${joined ? ` (${joined})` : ': none'}`)))
    const values = full.flatMap((k) => { const s = servedOf(app, k); return [s.low, s.high] }).filter(known)
    const domain = [Math.min(...values, d.meta.recall?.low ?? 1), Math.max(...values, d.meta.recall?.high ?? 0)]
    const most = Math.max(...full.map(app.size), 1)
    rows = new Map()
    const lines = full.map((k) => { const line = drawLine(k, most, domain); rows.set(k, line); return line.el })
    refill(list, columnHead(), h('div', { role: 'list', 'aria-label': 'Interests in use' }, lines),
      empty.length ? h('details.fold', {}, h('summary', {}, `${empty.length} empty`),
      empty.map((k) => h('div', {}, interestButton(app, k)))) : null)
  }

  function columnHead() {
    return h('div.row.names', { 'aria-hidden': 'true' }, h('span', {}, 'interest'), h('span.n', {}, 'sessions'),
      h('span.served', {}, `R@${d.meta.k}`), h('span.delta', {}, d.compare ? 'A − B' : 'Δ all'))
  }

  function drawLine(k, most, domain) {
    const p = d.proxies[k]
    const served = servedOf(app, k)
    const b = d.compare?.by_proxy[k]
    const delta = b ? b.difference : served.difference
    const [low, high] = b ? [b.low, b.high] : [served.difference_low, served.difference_high]
    const sure = known(low) && (low > 0 || high < 0)
    const caption = `${rate(served.recall)} (${range(served.low, served.high)}), ${signed(served.difference)} against all; ${plural(served.n_targets ?? 0, 'target')}`
    const inList = h('i.part')
    const button = h('button.name', { 'aria-pressed': 'false', title: p.name, 'data-proxy': k,
      onclick: () => (app.state.interest === k ? app.set(NO_SELECTION) : app.go.interest(k)) }, swatch(app.colour(k)),
      h('span', {}, p.name))
    const line = h('div.row', { role: 'listitem' }, button,
      h('span.n', { style: { '--w': `${100 * app.size(k) / most}%`, '--c': app.colour(k) } }, h('i'), inList,
        h('b', {}, count(app.size(k)))),
      h('span.served', { title: caption }, whisker({ value: served.recall, low: served.low, high: served.high }, d.meta.recall?.value,
        domain, caption)),
      h('span.delta', { class: sure ? `delta ${delta > 0 ? 'above' : 'below'}` : 'delta',
        title: b ? `run A − run B: ${signed(delta)} (${range(low, high)}), ${small(b.p)}` : caption }, signed(delta)))
    return { el: line, button, inList, most, k }
  }

  function update(changed) {
    if (changed.has('merged') || changed.has('names')) build()
    const narrowed = app.rows.length < d.n
    const counts = new Map()
    if (narrowed) for (const row of app.rows) { const k = app.lead(d.sessions.proxy[row]); counts.set(k, (counts.get(k) ?? 0) + 1) }
    const chosen = app.state.interest === null ? null : app.lead(app.state.interest)
    for (const [k, line] of rows) {
      line.button.setAttribute('aria-pressed', String(chosen === k))
      line.el.classList.toggle('chosen', chosen === k)
      line.el.classList.toggle('out', narrowed && !counts.get(k))
      line.inList.style.setProperty('--w', `${narrowed ? 100 * (counts.get(k) ?? 0) / line.most * (d.meta.n_sessions / d.n) : 0}%`)
    }
    if (changed.has('interest') && chosen !== null) rows.get(chosen)?.el.scrollIntoView({ block: 'nearest' })
  }
  return { el, update }
}
