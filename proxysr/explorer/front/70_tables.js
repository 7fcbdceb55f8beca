// SESSIONS and CUSTOMERS: tables that draw only the rows in view, and brushes above them.

const ROW = 26 // pixels

/** A sortable table of `columns` [{key, title, width, values(row) | text, cell(row)}] over any number of rows. */
function virtualTable({ label, columns, testid, isPicked, onpick, first }) {
  const body = h('div.vbody', { role: 'presentation' })
  const head = h('div.vrow.vhead', { role: 'row' })
  const table = h('div.vtable', { role: 'table', 'aria-label': label, 'data-testid': testid, tabindex: 0, onscroll: () => { scrolled = table.scrollTop; draw() },
    onkeydown: keys }, head, body)
  const template = columns.map((c) => c.width).join(' ')
  let [rows, sort, down] = [[], first, true]
  let [scrolled, tall] = [0, 260] // kept, as asking the table would lay out the page at once
  let given = []
  let within = null
  const orders = new Map() // of all rows, made once for each column: a selection only leaves some out

  function drawHead() {
    refill(head, columns.map((c) => h('span', { role: 'columnheader', class: c.number ? 'num' : null,
      'aria-sort': sort === c.key ? (down ? 'descending' : 'ascending') : 'none' },
      c.sortBy ? h('button', { 'data-key': `${label} by ${c.key}`, 'aria-label': `Sort by ${c.title}`,
        onclick: () => { down = sort === c.key ? !down : true; sort = c.key; order(); drawHead() } }, c.title,
        sort === c.key ? (down ? ' ↓' : ' ↑') : '') : c.title)))
  }

  function order() {
    if (within) {
      const key = `${sort} ${down}`
      if (!orders.has(key)) orders.set(key, Uint32Array.from(sorted(Uint32Array.from(within.keys()))))
      rows = new Uint32Array(given.length)
      let n = 0
      for (const row of orders.get(key)) if (within[row]) rows[n++] = row
    } else rows = sorted(given)
    if (scrolled) table.scrollTop = scrolled = 0
    draw()
  }

  function sorted(given) {
    const by = columns.find((c) => c.key === sort).sortBy
    const text = typeof (given.length ? by(given[0]) : 0) === 'string'
    if (text) {
      const words = new Map(Array.from(given, (row) => [row, by(row)]))
      const { compare } = new Intl.Collator('en', { numeric: true })
      return Array.from(given).sort((a, b) => compare(words.get(a), words.get(b)) * (down ? 1 : -1))
    }
    // numbers: sorted by a typed copy, unknown ones last
    const values = Float64Array.from(given, (row) => { const v = by(row); return known(v) ? (down ? -v : v) : Infinity })
    return Array.from(Uint32Array.from(given.keys()).sort((a, b) => values[a] - values[b] || a - b), (i) => given[i])
  }

  function draw() {
    body.style.height = `${rows.length * ROW}px`
    table.setAttribute('aria-rowcount', rows.length + 1)
    const from = Math.max(0, Math.floor(scrolled / ROW) - 4)
    const to = Math.min(rows.length, from + Math.ceil(tall / ROW) + 9)
    const lines = []
    for (let i = from; i < to; i++) {
      const row = rows[i]
      lines.push(h('div.vrow', {
        role: 'row', 'aria-rowindex': i + 2, class: isPicked(row) ? 'vrow picked' : 'vrow',
          style: { transform: `translateY(${i * ROW}px)`, 'grid-template-columns': template },
        onclick: (event) => { if (!event.target.closest('button')) onpick(row) },
      }, columns.map((c) => h('span', { role: 'cell', class: c.number ? 'num' : null }, c.cell(row)))))
    }
    refill(body, lines)
  }

  /** Arrows up and down move through the rows. */
  function keys(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (!step || !rows.length) return
    event.preventDefault()
    const at = Array.from(rows).findIndex(isPicked)
    const next = Math.min(rows.length - 1, Math.max(0, at + step))
    onpick(rows[next])
    table.scrollTop = Math.min(Math.max(table.scrollTop, (next + 3) * ROW - table.clientHeight), next * ROW)
  }

  head.style.setProperty('grid-template-columns', template)
  drawHead()
  new ResizeObserver(([entry]) => { tall = entry.contentRect.height; draw() }).observe(table)
  return { el: table, fill(list, mask = null) { [given, within] = [list, mask]; order() }, draw, rows: () => rows }
}

function makeTables(app) {
  const { d } = app
  const s = d.sessions
  const head = h('header')
  const box = h('div.tablebox')
  const brushes = makeBrushes(app)
  const el = h('section.tables', { 'aria-label': 'Tables' }, head, brushes.el, box)
  const sure = (row) => [bar(s.probability[row], app.colour(s.proxy[row])), percent(s.probability[row])]
  const column = (key, title, width, cell, more = {}) => ({ key, title, width, cell, number: true, sortBy: (row) => s[key][row], ...more })
  const sessions = virtualTable({
    label: 'Sessions', testid: 'sessions-table', first: 'probability', isPicked: (row) => row === app.state.session,
      onpick: (row) => app.go.session(row),
    columns: [
      column('id', 'session', 'minmax(70px,1fr)', (row) => sessionButton(app, row), { number: false, sortBy: (row) => String(s.id[row]) }),
      ...(d.users ? [column('user', 'customer', 'minmax(60px,.9fr)', (row) => userButton(app, s.user[row]),
        { number: false, sortBy: (row) => d.users.id[s.user[row]] ?? '' })] : []),
      ...(d.hasDates ? [column('started', 'date', '86px', (row) => day(s.started[row]))] : []),
      column('proxy', 'interest', 'minmax(110px,1.8fr)', (row) => interestButton(app, app.lead(s.proxy[row])),
        { number: false, sortBy: (row) => d.proxies[s.proxy[row]]?.name ?? '' }),
      column('probability', 'how sure', '92px', sure), column('n_clicks', 'clicks', '54px', (row) => count(s.n_clicks[row])),
      column('since', 'since click', '76px', (row) => count(s.since[row])), column('met', 'met', '46px', (row) => count(s.met[row])),
      column('rank', 'rank', '60px', (row) => shown(s.rank[row])),
      { key: 'what', title: 'clicks on', width: 'minmax(120px,3fr)',
        cell: (row) => Array.from(d.clicks(row).subarray(0, 4), d.title).join(' → ') },
    ],
  })
  const customers = d.users ? virtualTable({
    label: 'Customers', testid: 'customers-table', first: 'n', isPicked: (u) => u.user === app.state.user,
      onpick: (u) => app.go.user(u.user),
    columns: [
      { key: 'id', title: 'customer', width: 'minmax(80px,1fr)', cell: (u) => userButton(app, u.user), sortBy: (u) => d.users.id[u.user] },
      { key: 'n', title: 'sessions', width: '76px', number: true, cell: (u) => count(u.n), sortBy: (u) => u.n },
      { key: 'met', title: 'interests', width: '76px', number: true, cell: (u) => count(u.met), sortBy: (u) => u.met },
      { key: 'faithful', title: 'faithful', width: '104px', number: true,
        cell: (u) => [bar(u.faithful, app.colour(u.top)), percent(u.faithful)], sortBy: (u) => u.faithful },
      { key: 'changes', title: 'changes', width: '76px', number: true, cell: (u) => count(u.changes), sortBy: (u) => u.changes },
      { key: 'top', title: 'mostly', width: 'minmax(120px,2fr)', cell: (u) => interestButton(app, u.top),
        sortBy: (u) => d.proxies[u.top].name },
      { key: 'line', title: 'sessions in order', width: 'minmax(90px,2fr)',
        cell: (u) => h('span.beads', { 'aria-hidden': 'true' }, u.line.slice(-30).map((k) => swatch(app.colour(k)))) },
    ],
  }) : null

  /** Customers of the listed sessions: how many, of how many interests, how faithful. */
  function customerRows() {
    const of = new Map()
    for (const row of app.rows) { const u = s.user[row]; if (u >= 0) (of.get(u) ?? (of.set(u, []), of.get(u))).push(row) }
    return Array.from(of, ([user, rows]) => {
      if (d.hasDates) rows.sort((a, b) => s.started[a] - s.started[b])
      const line = rows.map((row) => app.lead(s.proxy[row]))
      const met = tally(line)
      const [top, n] = met[0]
      return { user, n: rows.length, met: met.length, faithful: n / rows.length, top, line,
        changes: line.filter((k, i) => i && k !== line[i - 1]).length }
    })
  }

  function drawHead(people) {
    const tabs = [['sessions', `Sessions ${count(app.rows.length)}`], ...(d.users ? [['customers', 'Customers']] : [])]
    const caption = people ? `${plural(people.length, 'customer')}; ${count(people.filter((u) => u.changes > 0).length)} of ${count(people.filter((u) => u.n > 1).length)} with several sessions change their interest` : app.rows.length < d.n ? `of ${count(d.n)}` : 'all of them'
    refill(head, choice('table', tabs, app.state.tab, (tab) => app.set({ tab })), h('span.soft', { 'data-testid': 'listed' }, caption))
  }

  function update(changed) {
    const { tab } = app.state
    if (changed.has('tab')) box.replaceChildren((tab === 'customers' && customers ? customers : sessions).el)
    const isCustomers = tab === 'customers' && customers
    if (['listed', 'tab', 'merged', 'all'].some((key) => changed.has(key))) {
      const people = isCustomers ? customerRows() : null
      drawHead(people)
      if (people) customers.fill(people)
      else sessions.fill(app.rows, app.mask)
    } else if (['session', 'names', 'theme'].some((key) => changed.has(key))) (isCustomers ? customers : sessions).draw()
    brushes.update(changed)
  }
  return { el, update, order: () => sessions.rows() }
}

/** Histograms: drag to filter, or use the two sliders below each by keyboard. */
function makeBrushes(app) {
  const { d } = app
  const BINS = 32
  const el = h('div.brushes')
  const made = ['n_clicks', 'started', 'probability',
    'rank'].filter((by) => valuesOf(d, by) && (by !== 'started' || d.hasDates)).map(makeBrush)
  el.append(...made.map((one) => one.el))

  function makeBrush(by) {
    const values = valuesOf(d, by)
    const sorted = Float64Array.from(values).filter(known).sort()
    const [low, high] = by === 'probability' ? [0, 1] : [sorted[0] ?? 0, sorted.at(-1) ?? 1]
    const logs = by === 'n_clicks' || by === 'rank'
    const turn = logs ? (x) => Math.log(Math.max(1e-9, x)) : (x) => x
    const round = logs ? Math.round : (x) => x
    const at = (x) => (turn(x) - turn(low)) / (turn(high) - turn(low) || 1)
    const back = (t) => round(logs ? Math.exp(turn(low) + t * (turn(high) - turn(low))) : low + t * (high - low))
    const bin = Uint8Array.from(values, (x) => (known(x) ? Math.min(BINS - 1, Math.floor(at(x) * BINS)) : 255))
    const all = new Float64Array(BINS)
    for (const b of bin) if (b < BINS) all[b]++
    const height = (n) => 26 * Math.sqrt(n / Math.max(...all))
    const chart = svg('svg', { viewBox: `0 0 ${BINS} 26`, preserveAspectRatio: 'none', 'aria-hidden': 'true' })
    const back_ = Array.from(all, (n, i) => svg('rect', { class: 'of-all', x: i + 0.05, width: 0.9, y: 26 - height(n), height: height(n) }))
    const front = Array.from(all, (_, i) => svg('rect', { class: 'of-listed', x: i + 0.05, width: 0.9 }))
    const window_ = svg('rect', { class: 'window', y: 0, height: 26 })
    chart.append(...back_, ...front, window_)
    const text = h('span.soft')
    const slider = (name) => h('input', { type: 'range', min: 0, max: 100, step: 0.5, 'aria-label': `${name} ${nameOf(by)}`,
      oninput: (event) => move(event.target, valueAt(event.target.value / 100)), onkeydown: byKey })
    const [from, to] = [slider('Least'), slider('Most')]
    const box = h('div.brush', { 'data-testid': `brush-${by}` }, h('div.line', {}, h('b', {}, nameOf(by)), text), chart,
      h('div.sliders', {}, from, to))

    const valueAt = (t) => (t <= 0.004 ? low : t >= 0.996 ? high : back(t))
    const filterNow = () => app.state.filters.find((f) => f.by === by && !f.values)
    const bounds = () => [filterNow()?.low ?? low, filterNow()?.high ?? high]

    /** Keep values from `a` to `b`. At an end of the axis, the filter has no bound on that side. */
    function keep(a, b) {
      const others = app.state.filters.filter((f) => f.by !== by || f.values)
      const filter = { by, low: a <= low ? null : a, high: b >= high ? null : b }
      app.set({ filters: filter.low === null && filter.high === null ? others : [...others, filter] })
    }

    /** Move one bound; the other stays, and is not passed. */
    function move(slider, x) {
      const [a, b] = bounds()
      if (slider === from) keep(Math.min(x, b), b)
      else keep(a, Math.max(x, a))
    }

    /** On an axis of whole numbers, a key goes on by one at least: a step of the slider may be less. */
    function byKey(event) {
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 20, PageDown: -20 }[event.key]
      if (!step || !logs) return
      event.preventDefault()
      const x = bounds()[event.target === from ? 0 : 1]
      const far = back(at(x) + 0.005 * step)
      move(event.target, step > 0 ? Math.max(Math.floor(x) + 1, far) : Math.min(Math.ceil(x) - 1, far))
    }
    let start = null
    const share = (event) => { const r = chart.getBoundingClientRect(); return Math.min(1,
      Math.max(0, (event.clientX - r.left) / r.width)) }
    chart.addEventListener('pointerdown', (event) => { start = share(event); chart.setPointerCapture(event.pointerId) })
    chart.addEventListener('pointermove', (event) => { if (start !== null) place(Math.min(start, share(event)),
      Math.max(start, share(event))) })
    chart.addEventListener('pointerup', (event) => {
      if (start === null) return
      const end = share(event)
      if (Math.abs(end - start) < 0.01) keep(low, high)
      else keep(valueAt(Math.min(start, end)), valueAt(Math.max(start, end)))
      start = null
    })
    function place(a, b) { dress(window_, { x: a * BINS, width: Math.max(0.1, (b - a) * BINS) }) }

    function update() {
      const counts = new Float64Array(BINS)
      for (const row of app.rows) if (bin[row] < BINS) counts[bin[row]]++
      front.forEach((rect, i) => dress(rect, { y: 26 - height(counts[i]), height: height(counts[i]) }))
      const now = filterNow()
      const [a, b] = [now?.low == null ? 0 : at(now.low), now?.high == null ? 1 : at(now.high)]
      place(a, b)
      window_.classList.toggle('whole', !now)
      from.value = 100 * a
      to.value = 100 * b
      const words = bounds().map((x) => shown(x, by))
      text.textContent = words.join(' to ')
      dress(from, { 'aria-valuetext': words[0] })
      dress(to, { 'aria-valuetext': words[1] })
    }
    return { el: box, update }
  }
  return { el, update: (changed) => { if (changed.has('listed')) for (const one of made) one.update() } }
}
