// The top bar: the finding, warnings, the run, active filters, search, and export.

function makeTop(app) {
  const { d } = app
  const { meta } = d
  const search = makeSearch(app)
  const chips = h('div.chips', { role: 'group', 'aria-label': 'Active filters', 'data-testid': 'chips' })
  const notices = h('div.notices', { role: 'status', 'data-testid': 'notices' })
  const formats = app.cannot('save') ? ['csv', 'json'] : ['csv', 'json', 'parquet']
  const file = h('input', { type: 'file', hidden: true, 'aria-label': 'Selection file', accept: formats.map((name) => `.${name}`).join(),
    'data-testid': 'load-file', onchange: () => { load(file.files[0]); file.value = '' } })
  const menu = (label, ...kids) => {
    const el = h('details.menu', {
      onfocusout: (event) => { if (!el.contains(event.relatedTarget)) el.open = false },
      onkeydown: (event) => { if (event.key === 'Escape' && el.open) { event.stopPropagation(); el.open = false; el.firstChild.focus() } },
    }, h('summary', {}, label), h('div', {}, kids))
    return el
  }
  const themes = [['auto', 'system'], ['light', 'light'], ['dark', 'dark']]
  const theme = h('div')
  const el = h('header.top', {},
    h('div.line', {}, h('p.finding', { role: 'heading', 'aria-level': app.host.name === 'widget' ? 2 : 1,
      'data-testid': 'finding' }, meta.finding || meta.title), search.el,
      menu('Selection', formats.map((format) => h('button', { onclick: () => save(format), 'data-testid': `save-${format}` },
        `save as ${format.toUpperCase()}`)), h('button', { onclick: () => file.click() }, 'load …'), file),
      app.host.can.link ? h('button', { onclick: copyLink, 'data-testid': 'copy-link' }, 'Copy link') : null, menu('Theme', theme)),
    (meta.warnings ?? []).map((text) => h('p.warning', { 'data-testid': 'warning' }, text)),
    h('div.line', {}, h('p.facts', {}, [meta.title, meta.subtitle, meta.task,
      meta.recall ? `R@${meta.k} ${rate(meta.recall.value)} (${range(meta.recall.low, meta.recall.high)})` : null].filter(Boolean).join(' · ')), chips),
    notices)

  function drawChips() {
    const list = chipsOf(d, app.state)
    refill(chips, list.map((chip) => h('button.chip', { 'aria-label': `${chip.text} ×: take away`,
      onclick: () => app.set(chip.patch) }, h('span', {}, chip.text), ' ×')),
      list.length ? h('button.reset', { 'data-testid': 'reset', onclick: () => app.reset() }, 'reset all') : null)
  }

  function tell(text) {
    const note = h('p', {}, text, h('button.icon', { 'aria-label': 'Close the message', onclick: () => note.remove() }, '×'))
    notices.replaceChildren(note)
  }

  async function copyLink() {
    const link = location.href.split('#')[0] + linkOf(app.state)
    if (link.length > 30000) return tell('The selection is too large for a link. Save it as a file instead.')
    history.replaceState(null, '', linkOf(app.state))
    try {
      await navigator.clipboard.writeText(link)
      tell('The link is copied.')
    } catch {
      tell('The browser does not allow copying; the link is now in the address bar.')
    }
  }

  async function save(format) {
    if (!app.rows.length) return tell('No session is selected, so there is nothing to save.')
    if (!app.cannot('save')) {
      const answer = await app.ask('save', { rows: Array.from(app.rows), format })
      if (answer) download(answer.name, [Uint8Array.from(atob(answer.base64), (c) => c.charCodeAt(0))], 'application/octet-stream')
    } else download(`selection.${format}`, [selectionText(d, app.rows, format)], format === 'json' ? 'application/json' : 'text/csv')
  }

  async function load(chosen) {
    if (!chosen) return
    try {
      if (!app.cannot('load')) {
        const bytes = new Uint8Array(await chosen.arrayBuffer())
        let text = ''
        for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
        const answer = await app.ask('load', { name: chosen.name, base64: btoa(text) })
        if (answer) loaded(answer.rows, answer.notes, chosen.name)
        return
      }
      const { rows, notes } = rowsOfFile(d, chosen.name, await chosen.text())
      loaded(rows, notes, chosen.name)
    } catch (error) {
      tell(`${chosen.name} could not be read: ${error.message}`)
    }
  }

  function loaded(rows, notes, name) {
    if (rows.length) app.go.rows(rows, `from ${name}`)
    tell([`${plural(rows.length, 'session')} of ${name}.`, ...(notes ?? [])].join(' '))
  }

  function update(changed) {
    if (['listed', 'names', 'all'].some((key) => changed.has(key))) drawChips()
    if (changed.has('theme')) refill(theme, choice('theme', themes, app.state.theme, (next) => app.set({ theme: next }), 'radio'))
    search.update(changed)
  }
  return { el, update, tell }
}
