// DETAIL: the run, an interest, a selection, a customer or a session; and the differences of two of them.

const CURVES = ['R@20', 'MRR@20', 'loss', 'effective_proxies', 'proxies_in_use', 'largest_share']

function makeDetail(app) {
  const { d } = app
  const el = h('aside.detail', { 'aria-label': 'Detail', 'data-testid': 'detail' })
  const pins = h('div.pins')
  const body = h('div.scroll', { tabindex: -1 })
  el.append(pins, body)
  const session = makeSession(app)
  const ofLast = `R@${d.meta.k} of the last click` // ranks of earlier targets are not in the payload
  let subjectNow = ''

  /** The current subject: its value as a pin, title and rows. */
  function subject() {
    const { state } = app
    if (state.session !== null) return pinned({ kind: 'session', row: state.session })
    if (state.interest !== null && !state.filters.length) return pinned({ kind: 'interest', proxy: state.interest })
    if (app.rows.length < d.n) return { pin: { kind: 'group', rows: Array.from(app.rows),
      why: chipsOf(d, state).map((c) => c.text).join(', ') } }
    return null
  }

  function pinned(pin) {
    if (pin.kind === 'session') return { pin, name: `session ${d.sessions.id[pin.row]}`, rows: [pin.row] }
    if (pin.kind === 'group') return { pin, name: pin.why || 'group', rows: pin.rows }
    const rows = []
    for (let row = 0; row < d.n; row++) if (app.lead(d.sessions.proxy[row]) === app.lead(pin.proxy)) rows.push(row)
    return { pin, name: d.proxies[pin.proxy].name, rows }
  }

  function drawPins() {
    const { pins: now } = app.state
    const here = subject()
    const slot = (key) => {
      const word = key.toUpperCase()
      if (!now[key]) return h('button.pin', { disabled: !here, 'data-testid': `pin-${key}`,
        title: 'Pin the current view, to compare it', onclick: () => app.set({ pins: { ...app.state.pins,
        [key]: subject().pin } }) }, `pin as ${word}`)
      const name = pinned(now[key]).name
      return h('span.pin.full', {}, h('b', {}, word), h('span', { title: name }, name),
        h('button.icon', { 'aria-label': `Unpin ${word}`, onclick: () => app.set({ pins: { ...app.state.pins, [key]: null } }) }, '×'))
    }
    refill(pins, slot('a'), slot('b'))
  }

  function draw() {
    const { state } = app
    drawPins()
    const both = state.pins.a && state.pins.b
    const panel = state.session !== null ? session.el
      : state.user !== null ? customerPanel()
        : state.interest !== null && !state.filters.length ? interestPanel(app.lead(state.interest))
          : app.rows.length < d.n ? groupPanel() : overview()
    refill(body, both ? comparison(pinned(state.pins.a), pinned(state.pins.b)) : null, panel)
    const key = JSON.stringify([state.session, state.user, state.interest, Boolean(both)])
    if (key !== subjectNow) body.scrollTop = 0
    subjectNow = key
  }

  const title = (kind, text, ...kids) => h('header', {}, h('span.kind', {}, kind), h('h2', {}, text), kids)
  const details = (pairs) => h('dl', {}, pairs.filter(([, value]) => value != null).map(([name, ...value]) => [h('dt', {}, name),
    h('dd', {}, value)]))
  const close = (label, patch) => h('button.icon', { 'aria-label': label, title: label, onclick: () => app.set(patch) }, '×')

  // -- an interest --------------------------------------------------------------------------

  function interestPanel(k) {
    const p = d.proxies[k]
    const served = servedOf(app, k)
    const own = profile(d, app.rows)
    const merged = app.members(k).length > 1
    const items = merged || !p.items.length && p.n >= 5 ? typical(d, own) : p.items
    return h('div.panel', { 'data-testid': 'interest-panel' },
      title('interest', p.name, renamer(app, k), close('Close the interest', NO_SELECTION)),
      p.by === 'mixed' ? h('p.soft', {}, 'Mixed: no item is significantly more frequent here.') : null,
      merged ? h('p.soft', {}, `Merged from ${app.members(k).length} similar interests.`) : null,
      details([
        ['sessions', `${count(app.size(k))} (${percent(app.size(k) / d.meta.n_sessions, 1)})`],
          ['half-way', p.n_half == null ? null : count(p.n_half)],
        [`R@${d.meta.k}`, h('b', {}, rate(served.recall)), ` ${range(served.low, served.high)}`],
        ['against all', h('b', { class: served.difference_low > 0 ? 'above' : served.difference_high < 0 ? 'below' : null },
          signed(served.difference)), known(served.difference_low) ? ` ${range(served.difference_low, served.difference_high)}` : ''],
        d.compare && !merged ? ['run A − run B', ...versus(d.compare.by_proxy[k])] : ['', null],
        ['followed by', d.users ? `${plural(p.n_users ?? own.users.size, 'customer')}, ${percent(p.faithful)} of whose sessions it has` : null],
      ]),
      section('Items it has more than others', items.length ? itemList(items) : h('p.soft', {}, 'None that is significant.')),
      when(own, app.colour(k)), hits(),
      d.users ? section('Who follows it', followers(own)) : null,
      section('Nearest interests', p.nearest.length ? h('ul.plain', {},
        p.nearest.map((x) => h('li', {}, interestButton(app, x.proxy),
        h('span.soft', {}, `cosine ${rate(x.cosine)}, 2nd of ${percent(x.overlap)}`)))) : h('p.soft', {}, 'None.')))
  }

  function versus(b) {
    if (!b || !known(b.difference)) return ['too few targets']
    return [h('b', { class: b.low > 0 ? 'above' : b.high < 0 ? 'below' : null }, signed(b.difference)),
      ` ${range(b.low, b.high)}, ${small(b.p)}`]
  }

  function itemList(items) {
    return h('ul.items', {}, firstOf(items, 8, (x) => h('li', {},
      h('button.go', { onclick: () => app.go.item(x.item), title: `Sessions that have ${d.title(x.item)}` },
        h('span', {}, d.title(x.item))),
      bar(x.share, 'var(--accent)'), h('span.num', {}, percent(x.share)),
        h('span.num', { title: small(x.p) }, `${x.lift < 10 ? x.lift.toFixed(1) : Math.round(x.lift)}×`))))
  }

  function when(own, colour) {
    const all = d.all()
    const lengths = Array.from({ length: 16 }, (_, i) => (i === 15 ? '15+' : String(i)))
    return h('div.charts', {},
      own.months && d.months().labels.length > 1 ? bars('Months', d.months().labels, own.months, all.months, colour) : null,
      own.weekdays ? bars('Weekdays', WEEKDAYS, own.weekdays, all.weekdays, colour) : null,
      bars('Clicks', lengths.slice(1), own.lengths.slice(1), all.lengths.slice(1), colour),
      h('p.soft.note', {}, 'Bars: these sessions. Line: all.'))
  }

  function followers(own) {
    const top = tally(Array.from(own.rows, (row) => d.sessions.user[row]))
    return h('ul.plain.wrap', {}, firstOf(top.slice(0, 60), 8,
      ([u, n]) => h('li', {}, userButton(app, u), h('span.soft', {}, `${n} of ${d.userRows()(u).length}`))))
  }

  // -- a selection, a customer, the run ---------------------------------------------------------

  function groupPanel() {
    const own = profile(d, app.rows)
    const chips = chipsOf(d, app.state)
    if (!own.n) return h('div.panel', {}, title('selection', 'No session'),
      h('p.soft', {}, 'No session passes all filters. Remove one above, or reset all.'))
    return h('div.panel', { 'data-testid': 'group-panel' },
      title('selection', plural(own.n, 'session'), close('Close the selection', { ...NO_SELECTION, filters: [] })),
      h('p.soft', {}, chips.map((c) => c.text).join(', ')),
      details(groupFacts(own)),
      section('Interests', interestShares(own.rows)),
      section('Items they have more than others', itemsOrNone(typical(d, own))), when(own, 'var(--accent)'), hits())
  }
  const itemsOrNone = (items) => (items.length ? itemList(items) : h('p.soft', {}, 'None that is significant.'))

  function groupFacts(own) {
    return [
      ['customers', d.users ? count(own.users.size) : null],
      [ofLast, h('b', {}, rate(own.recall.value)),
        ` ${range(own.recall.low, own.recall.high)}, ${plural(own.recall.n, 'session')}`],
      ['of all sessions', rate(d.all().recall.value)]]
  }

  function interestShares(rows) {
    const top = tally(Array.from(rows, (row) => app.lead(d.sessions.proxy[row])))
    return h('ul.items', {}, firstOf(top, 6, ([k, n]) => h('li', {}, interestButton(app, k), bar(n / rows.length, app.colour(k)),
      h('span.num', {}, percent(n / rows.length)), h('span.num', {}, count(n)))))
  }

  function customerPanel() {
    const { user } = app.state
    const rows = Array.from(d.userRows()(user))
    if (d.hasDates) rows.sort((a, b) => d.sessions.started[a] - d.sessions.started[b])
    const own = profile(d, rows)
    const switches = rows.filter((row, i) => i && app.lead(d.sessions.proxy[row]) !== app.lead(d.sessions.proxy[rows[i - 1]])).length
    return h('div.panel', { 'data-testid': 'customer-panel' },
      title('customer', d.users.id[user], close('Close the customer', NO_SELECTION)),
      details([['sessions', count(rows.length)], ['changes of interest', `${switches} between sessions`], ...groupFacts(own).slice(1)]),
      section('Sessions over time, by interest', strip(app, rows)),
      section('Interests', interestShares(rows)), section('Items this customer has more than others', itemsOrNone(typical(d, own))))
  }

  function overview() {
    const { meta } = d
    const curves = CURVES.flatMap((name) => (meta.curves?.series[name]?.some(known)
      ? [[name.replaceAll('_', ' '), meta.curves.series[name]]] : []))
    return h('div.panel', { 'data-testid': 'overview' },
      title('run', meta.title),
      details([
        ['model', meta.model], ['task', meta.task], ['part', meta.part],
          ['sessions', d.n < meta.n_sessions ? `${count(d.n)} shown of ${count(meta.n_sessions)}` : count(d.n)],
          ['items', count(meta.n_items)],
        [`R@${meta.k}`, h('b', {}, rate(meta.recall?.value)), ` ${range(meta.recall?.low, meta.recall?.high)}`], ['epoch', meta.epoch],
        d.compare ? ['run A − run B', ...versus(d.compare.overall)] : ['', null]]),
      hits(),
      curves.length ? section('Training', h('div.charts', {},
        curves.map(([name, values], i) => lines(name, meta.curves.epoch.map((e) => `epoch ${e}`),
        [{ name, values, colour: HUES[i] }])))) : null,
      meta.quality?.length ? section('How far to trust the map', meta.quality.map((text) => h('p', {}, text))) : null,
      meta.notes?.length ? section('Notes', meta.notes.map((text) => h('p', {}, text))) : null,
      (meta.origin ?? []).map((part) => h('details.fold', {}, h('summary', {}, part.name),
        details(part.pairs.map(([name, text]) => [name, String(text)])))))
  }

  /** Filters: sessions where the model is right or wrong, or where one run is better. */
  function hits() {
    const bands = BANDS.map(([low, high, text]) => [`rank ${text}`, { by: 'rank', low, high }])
    const reasons = [['a repeat of an earlier click', { by: 'repeat', values: [1] }], ['new in its session', { by: 'repeat', values: [0] }]]
    const better = [['run A ranks it better', { by: 'compare', values: [-1] }], ['run B ranks it better', { by: 'compare', values: [1] }]]
    return [section('The last click', filterList([...bands, ...reasons, ...(d.compare ? better : [])])),
      d.compare ? h('p.soft', {}, `A is this run, B is ${d.compare.title}. ${d.compare.note ?? ''}`) : null]
  }

  function filterList(list) {
    return h('ul.items', {}, list.map(([text, filter]) => {
      const test = testOf(d, filter)
      let n = 0
      for (const row of app.rows) if (test(row)) n++
      return h('li', {}, h('button.go', { onclick: () => app.filter(filter), 'aria-pressed': String(app.filtered(filter)) },
        h('span', {}, text)), bar(n / (app.rows.length || 1), 'var(--accent)'),
        h('span.num', {}, percent(n / (app.rows.length || 1))), h('span.num', {}, count(n)))
    }))
  }

  // -- A | B --------------------------------------------------------------------------------

  function comparison(a, b) {
    const [one, two] = [profile(d, a.rows), profile(d, b.rows)]
    const [blue, orange] = ['#0072B2', '#E69F00']
    const items = []
    one.counts.forEach((x, item) => {
      const [p, q] = [x / one.n, two.counts[item] / two.n]
      if (p !== q) items.push({ item, p, q, z: (p - q) / Math.sqrt((p + q) / 2 * (1 / one.n + 1 / two.n)) })
    })
    items.sort((x, y) => Math.abs(y.z) - Math.abs(x.z))
    const mean = (rows, values) => { const all = rows.map((row) => values[row]).filter(known); return all.length
      ? all.reduce((s, v) => s + v, 0) / all.length : NaN }
    const lengths = Array.from({ length: 15 }, (_, i) => (i === 14 ? '15+' : String(i + 1)))
    const both = (name, labels, x, y) => lines(name, labels,
      [[x, one.n, 'A', blue], [y, two.n, 'B', orange]].map(([v, n, key, colour]) => ({ name: key, colour,
      values: Array.from(v, (c) => c / n) })), { low: 0, format: percent })
    const row = (name, x, y) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, x), h('td', {}, y))
    return h('div.panel.versus', { 'data-testid': 'comparison' },
      title('A | B', 'Differences', close('Unpin both', { pins: { a: null, b: null } })),
      h('table.facts', {},
        h('thead', {}, h('tr', {}, h('td'), h('th', { scope: 'col', title: a.name }, swatch(blue), `A ${a.name}`),
          h('th', { scope: 'col', title: b.name }, swatch(orange), `B ${b.name}`))),
        h('tbody', {}, row('sessions', count(one.n), count(two.n)),
          d.users ? row('customers', count(one.users.size), count(two.users.size)) : null,
          row(ofLast, rate(one.recall.value), rate(two.recall.value)),
            row('interval', range(one.recall.low, one.recall.high), range(two.recall.low, two.recall.high)),
          row('clicks', mean(a.rows, d.sessions.n_clicks).toFixed(1), mean(b.rows, d.sessions.n_clicks).toFixed(1)),
          row('probability', percent(mean(a.rows, d.sessions.probability)), percent(mean(b.rows, d.sessions.probability))))),
      h('ul.items.sides', {}, firstOf(items.slice(0, 60), 8,
        (x) => h('li', {}, h('button.go', { onclick: () => app.go.item(x.item), title: d.title(x.item) }, h('span', {}, d.title(x.item))),
        bar(x.q - x.p, x.q > x.p ? orange : blue, true), h('span.num', {}, percent(x.p)), h('span.num', {}, percent(x.q))))),
      h('div.charts', {}, one.months && d.months().labels.length > 1
        ? both('Months', d.months().labels, one.months, two.months) : null,
        both('Clicks', lengths, one.lengths.slice(1), two.lengths.slice(1))))
  }

  function update(changed) {
    if (['listed', 'session', 'pins', 'names', 'theme', 'all'].some((key) => changed.has(key))) draw()
    session.update(changed)
  }
  return { el, update }
}
