// The page: draws its parts from the state. `render` is the entry of the widget, `mount` that of all hosts.

const ALL = { has: () => true }

/** Draw the explorer into an element; errors are shown there as text. */
function mount(el, payload, host) {
  const own = host.name !== 'widget' // the page has nothing else
  const root = h(own ? 'main.proxysr' : 'div.proxysr', { 'data-testid': 'proxysr', 'data-host': host.name })
  if (own) document.body.style.margin = 0
  el.replaceChildren(root)
  try {
    const start = performance.now()
    const app = makeApp(root, dataOf(payload.header, payload.buffer), host)
    app.stats.mount = performance.now() - start
    requestAnimationFrame(() => setTimeout(() => {
      app.stats.drawn = performance.now() - start
      root.dataset.drawn = Math.round(app.stats.drawn)
    }))
    el.__proxysr = app
    return app
  } catch (error) {
    root.append(h('p.problem', { role: 'alert' }, error.message))
    console.error(error)
    return null
  }
}

function makeApp(root, d, host) {
  d.shade = proxyColours(d)
  const offline = host.ask ? null : offlineOf(d)
  const latest = {}
  const app = { d, host, root, stats: {}, titles: new Map(), state: null, mask: null, rows: null, dots: null }
  const { state, notes } = checked(host.get_state() ?? d.start ?? {}, d)
  app.state = state

  // -- interests: merged or not, their sizes and colours ----------------------------------------
  app.lead = (k) => (app.state.merged && k >= 0 ? d.leads[k] : k)
  app.members = (k) => (app.state.merged ? d.proxies.flatMap((_, j) => (d.leads[j] === d.leads[k] ? [j] : [])) : [k])
  app.leading = () => d.proxies.flatMap((_, k) => (app.lead(k) === k ? [k] : []))
  app.size = (k) => app.members(k).reduce((sum, j) => sum + d.proxies[j].n, 0)
  app.colour = (k) => (k >= 0 ? SHADES[d.shade[app.lead(k)]] : GREY)
  app.dark = () => root.dataset.theme === 'dark'
  app.titleOf = (index) => { const item = d.byIndex.get(index); return item === undefined
    ? app.titles.get(index) ?? `item ${index}` : d.title(item) }

  // -- requests ---------------------------------------------------------------------------------
  /** '' if a kind of request can be answered here, else the reason. */
  app.cannot = (kind) => {
    if (host.ask || offline?.[kind]) return ''
    return d.meta.offline_what_if || 'This file cannot answer that. Open the run with “proxysr explore”.'
  }
  /** The answer, or null if it failed or a newer question of its kind was asked. */
  app.ask = async (kind, args, line = kind) => {
    const turn = latest[line] = (latest[line] ?? 0) + 1
    try {
      const answer = host.ask ? await host.ask(kind, args) : offline[kind](args)
      return latest[line] === turn ? answer : null
    } catch (error) {
      if (latest[line] === turn) top.tell(error.message)
      return null
    }
  }

  // -- navigation -------------------------------------------------------------------------------
  const none = { ...NO_SELECTION, session: null, edit: null }
  app.go = {
    interest: (k) => app.set({ ...none, interest: k }),
    session: (row) => app.set({ session: row, edit: null }),
    user: (user) => app.set({ ...none, user }),
    rows: (rows, why, search = '') => app.set({ ...none, rows: Array.from(rows), why, search }),
    item: (item, search = '') => app.go.rows(rowsWith(d, new Set([item])), `have “${d.title(item)}”`, search),
  }
  app.filtered = (filter) => app.state.filters.some((f) => JSON.stringify(f) === JSON.stringify(filter))
  /** Add a filter, or remove it if it is active. */
  app.filter = (filter) => {
    const same = (f) => JSON.stringify(f) === JSON.stringify(filter)
    const rest = app.state.filters.filter((f) => (filter.values && f.values ? !same(f) && f.by !== filter.by : f.by !== filter.by))
    app.set({ filters: app.filtered(filter) ? app.state.filters.filter((f) => !same(f)) : [...rest, filter] })
  }
  app.reset = () => app.set({ ...none, filters: [], merged: false })
  app.stepSession = (step) => {
    const rows = Array.from(tables.order())
    if (!rows.length) return
    const at = rows.indexOf(app.state.session)
    app.go.session(rows[at < 0 ? 0 : (at + step + rows.length) % rows.length])
  }

  // -- changing the state -----------------------------------------------------------------------
  function relist() { Object.assign(app, listedRows(d, app.state)) }
  function recolour() { app.dots = coloured(d, app.state.colour, app.state.merged) }
  function applyTheme() {
    const light = document.body.dataset.jpThemeLight // JupyterLab says itself what it looks like
    const dark = light ? light === 'false' : matchMedia('(prefers-color-scheme: dark)').matches
    root.dataset.theme = app.state.theme === 'auto' ? (dark ? 'dark' : 'light') : app.state.theme
  }

  /** Change the state and draw what depends on it immediately; nothing is queued. */
  app.set = (patch, what) => {
    const start = performance.now()
    const changed = new Set(Object.keys(patch).filter((key) => app.state[key] !== patch[key]))
    if (!changed.size) return
    app.state = { ...app.state, ...patch }
    if (LISTING.some((key) => changed.has(key))) { relist(); changed.add('listed') }
    if (changed.has('colour') || changed.has('merged')) recolour()
    if (changed.has('theme')) applyTheme()
    for (const part of parts) part.update(changed)
    app.stats[what ?? [...changed][0]] = performance.now() - start
    if (what === 'lasso') app.stats.lassos = (app.stats.lassos ?? 0) + 1
    host.set_state?.(app.state)
  }
  app.refresh = (key) => { for (const part of parts) part.update(new Set([key])) }

  // -- parts ------------------------------------------------------------------------------------
  relist()
  recolour()
  applyTheme()
  const map = makeMap(app)
  const views = { map, flow: makeFlow(app), matrix: makeMatrix(app) }
  const middle = makeMiddle(app, views)
  const [interests, detail, tables, top] = [makeInterests(app), makeDetail(app), makeTables(app), makeTop(app)]
  const parts = [middle, ...Object.values(views), interests, detail, tables, top]
  root.append(h('div.page', {}, top.el, interests.el, middle.el, tables.el, detail.el))
  for (const part of parts) part.update(ALL)
  app.map = map.debug
  if (notes.length) top.tell(notes.join(' '))

  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { applyTheme(); app.refresh('theme') })
  host.on_state?.((given) => {
    const next = checked(given, d)
    if (next.notes.length) top.tell(next.notes.join(' '))
    const differs = Object.fromEntries(Object.entries(next.state).filter(([key,
      x]) => JSON.stringify(x) !== JSON.stringify(app.state[key])))
    app.set(differs, 'from outside')
  })
  return app
}

/** The middle: tabs of the views, progress of training, colours and their legend. */
function makeMiddle(app, views) {
  const { d } = app
  const tools = h('div.tools')
  const legend = h('div.legend', { 'data-testid': 'legend', role: 'group', 'aria-label': 'Legend' })
  const panel = h('div.view', { role: 'tabpanel', 'aria-label': 'View' })
  const el = h('section.middle', { 'aria-label': 'Views' }, tools, panel, legend)
  const slider = h('input', { type: 'range', min: 50, max: 100, 'aria-label': 'Progress of training', 'data-testid': 'progress',
    oninput: () => app.set({ progress: Number(slider.value) }) })
  let moving = 0

  /** Move the dots to their positions at another progress. */
  function moveTo(to) {
    cancelAnimationFrame(moving)
    const [from, start] = [app.state.progress, performance.now()]
    const time = matchMedia('(prefers-reduced-motion: reduce)').matches ? 1 : 900
    const step = (now) => {
      const t = Math.min(1, Math.max(0, (now - start) / time))
      app.set({ progress: t === 1 ? to : from + (to - from) * t * t * (3 - 2 * t) })
      if (t < 1) moving = requestAnimationFrame(step)
    }
    moving = requestAnimationFrame(step)
  }

  function drawTools() {
    const { state } = app
    refill(tools, choice('view', [['map', 'Map'], ['flow', 'Flow'], ['matrix', 'Matrix']], state.view, (view) => app.set({ view })),
      state.view === 'map' ? [h('label', {}, 'colour ', select('Colour by', colourChoices(d), state.colour,
        (colour) => app.set({ colour }, 'recolour'))),
        d.hasHalf ? h('div.progress', {}, h('button', { onclick: () => moveTo(50), title: `epoch ${d.meta.half_epoch ?? ''}` },
          'half'), slider, h('button', { onclick: () => moveTo(100), title: `epoch ${d.meta.epoch ?? ''}` }, 'end')) : null] : null)
  }

  function drawLegend() {
    const entries = app.state.view === 'map' ? app.dots.legend : []
    legend.hidden = !entries.length
    refill(legend, entries.length ? h('span.soft', {}, nameOf(app.state.colour)) : null,
      entries.map((entry) => h('button', { 'aria-pressed': String(app.filtered(entry.filter)),
      onclick: () => app.filter(entry.filter), title: filterText(d, entry.filter) }, swatch(entry.colour), h('span', {}, entry.text))))
  }

  function update(changed) {
    if (changed.has('view')) panel.replaceChildren(views[app.state.view].el)
    if (changed.has('view') || changed.has('colour')) drawTools()
    if (['view', 'colour', 'listed', 'merged'].some((key) => changed.has(key))) drawLegend()
    if (changed.has('progress')) slider.value = app.state.progress
  }
  return { el, update }
}

/** Requests by message: {ask, receive}; answers and requests have the same id. */
function asker(send) {
  const open = new Map()
  let id = 0
  return {
    ask: (kind, args) => new Promise((resolve, reject) => { open.set(++id, { resolve, reject }); send({ ...args, id, kind }) }),
    receive(message) {
      const waiting = open.get(message?.id)
      if (!waiting) return
      open.delete(message.id)
      if (message.error) waiting.reject(new Error(message.error))
      else waiting.resolve(message.answer)
    },
  }
}

/** The state in the address of a page. */
function linkedState() {
  return {
    get_state: () => stateOf(location.hash),
    on_state: (tell) => window.addEventListener('hashchange', () => { const state = stateOf(location.hash); if (state) tell(state) }),
  }
}

/** The widget: data from traits, requests as messages, the state shared both ways. */
function render({ model, el }) {
  const line = asker((message) => model.send(message))
  const receive = (message) => line.receive(message)
  let sent = null
  let later = 0
  model.on('msg:custom', receive)
  const host = {
    name: 'widget', ask: line.ask, can: { save: true, rename: true, link: false },
    get_state: () => model.get('state') ?? {},
    set_state: (state) => { // at most some per second: while dots move, each frame is a state
      clearTimeout(later)
      later = setTimeout(() => { sent = JSON.stringify(state); model.set('state', state); model.save_changes() }, 60)
    },
    on_state: (tell) => { host.tell = () => { if (JSON.stringify(model.get('state')) !== sent) tell(model.get('state')) }; model.on('change:state', host.tell) },
  }
  const draw = () => {
    const blob = model.get('blob')
    mount(el, { header: model.get('header'), buffer: blob.buffer.slice(blob.byteOffset, blob.byteOffset + blob.byteLength) }, host)
  }
  draw()
  return () => { model.off('msg:custom', receive); if (host.tell) model.off('change:state', host.tell) }
}

export default { render }
