// Small SVG charts that stretch with their box. Their accessible names contain their values.

/** Bars, and a line for all sessions, both as shares. */
function bars(title, labels, values, ofAll, colour) {
  const share = (xs) => { const sum = xs.reduce((a, b) => a + b, 0) || 1; return Array.from(xs, (x) => x / sum) }
  const [own, all] = [share(values), ofAll ? share(ofAll) : null]
  const most = Math.max(...own, ...(all ?? []), 1e-9)
  const [w, n] = [100 / own.length, own.length]
  const y = (v) => 36 - 34 * v / most
  const top = own.indexOf(Math.max(...own))
  const chart = svg('svg', {
    class: 'bars', viewBox: '0 0 100 36', preserveAspectRatio: 'none', role: 'img',
    'aria-label': `${title}: most at ${labels[top]}, ${percent(own[top])}${all ? `; of all sessions ${percent(all[top])}` : ''}`,
  })
  own.forEach((v, i) => chart.append(svg('rect', { x: i * w + w * 0.1, y: y(v), width: w * 0.8, height: 36 - y(v),
    style: { '--c': colour } },
    svg('title', {}, `${labels[i]}: ${count(values[i])} (${percent(v)}${all ? `, all ${percent(all[i])}` : ''})`))))
  if (all) chart.append(svg('polyline', { class: 'all', points: all.map((v, i) => `${(i + 0.5) * w},${y(v)}`).join(' ') }))
  const every = Math.ceil(n / (labels[0].length > 4 ? 4 : 7))
  const under = h('div.axis', { 'aria-hidden': 'true' },
    labels.map((text, i) => (i % every ? null : h('span', { style: { left: `${(i + 0.5) * w}%` } }, text))))
  return h('figure', {}, h('figcaption', {}, title), chart, under)
}

/** Lines over steps 1, 2, …: [{name, values, colour}]. */
function lines(title, labels, series, { low = null, high = null, format = rate, mark = null } = {}) {
  const all = series.flatMap((s) => Array.from(s.values)).filter(known)
  const [from, to] = [low ?? Math.min(...all), high ?? Math.max(...all)]
  const n = Math.max(...series.map((s) => s.values.length))
  const x = (i) => (n > 1 ? 2 + 96 * i / (n - 1) : 50)
  const y = (v) => 38 - 36 * (v - from) / (to - from || 1)
  const caption = series.map((s) => `${s.name} ends at ${format(s.values.at(-1))}`).join(', ')
  const chart = svg('svg', { class: 'lines', viewBox: '0 0 100 40', preserveAspectRatio: 'none', role: 'img',
    'aria-label': `${title}: ${caption}` })
  if (mark !== null) chart.append(svg('line', { class: 'mark', x1: x(mark), x2: x(mark), y1: 0, y2: 40 }))
  for (const s of series) {
    chart.append(svg('polyline', { points: Array.from(s.values, (v, i) => `${x(i)},${y(v)}`).join(' '), style: { '--c': s.colour } }))
  }
  const legend = h('div.key', {}, series.map((s) => h('span', {}, swatch(s.colour), `${s.name} ${format(s.values.at(-1))}`)))
  return h('figure', {}, h('figcaption', {}, title), chart,
    h('div.axis.ends', { 'aria-hidden': 'true' }, h('span', {}, labels[0]), h('span', {}, labels.at(-1))), legend)
}

/** A value, its interval, and a mark for the value of all sessions. */
function whisker({ value, low, high }, ofAll, [from, to], text) {
  const x = (v) => Math.min(100, Math.max(0, 100 * (v - from) / (to - from || 1)))
  const el = svg('svg', { class: 'whisker', viewBox: '0 0 100 12', preserveAspectRatio: 'none', role: 'img', 'aria-label': text },
    svg('title', {}, text))
  if (known(ofAll)) el.append(svg('line', { class: 'whole', x1: x(ofAll), x2: x(ofAll), y1: 0, y2: 12 }))
  if (known(low) && known(high)) el.append(svg('line', { class: 'interval', x1: x(low), x2: x(high), y1: 6, y2: 6 }))
  if (known(value)) {
    const sign = !known(low) ? '' : low > ofAll ? ' above' : high < ofAll ? ' below' : ''
    el.append(svg('line', { class: `value${sign}`, x1: x(value), x2: x(value), y1: 2, y2: 10 }))
  }
  return el
}

/** One bar of a share, or of a signed number around the middle. */
function bar(share, colour, sign = false) {
  const width = `${Math.min(100, Math.abs(share) * (sign ? 50 : 100))}%`
  const left = !sign ? '0' : share < 0 ? `calc(50% - ${width})` : '50%'
  return h(sign ? 'span.bar.signed' : 'span.bar', { 'aria-hidden': 'true' },
    h('i', { style: { '--w': width, '--l': left, '--c': colour } }))
}

/** Sessions of one customer over time, each a button. */
function strip(app, rows) {
  const { started, n_clicks: clicks, proxy } = app.d.sessions
  const times = rows.map((row, i) => (app.d.hasDates && known(started[row]) ? started[row] : i))
  const [first, last] = [Math.min(...times), Math.max(...times)]
  const seats = new Map()
  const dots = rows.map((row, i) => {
    const left = last > first ? 3 + 94 * (times[i] - first) / (last - first) : 50
    const seat = Math.round(left / 4)
    const level = seats.get(seat) ?? 0
    seats.set(seat, level + 1)
    const label = `${sessionWords(app, row).join(', ')}`
    return h('button.dot', {
      'aria-label': label, title: label, onclick: () => app.go.session(row), 'aria-pressed': String(app.state.session === row),
      style: { left: `${left}%`, bottom: `${4 + 15 * (level % 5)}px`, '--c': app.colour(proxy[row]),
        '--s': `${8 + Math.min(8, Math.sqrt(clicks[row]) * 1.4)}px` },
    })
  })
  const ends = app.d.hasDates ? [day(first), day(last)] : ['first', 'last']
  const height = `${26 + 15 * Math.min(4, Math.max(...seats.values()) - 1)}px`
  return h('figure', {}, h('div.strip', { style: { height } }, dots),
    h('div.axis.ends', { 'aria-hidden': 'true' }, h('span', {}, ends[0]), h('span', {}, ends[1])))
}
