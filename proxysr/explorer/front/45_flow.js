// FLOW: between interests, within sessions or from half-way to the end of training. MATRIX: interests by time, label or rival.

function makeFlow(app) {
  const { d } = app
  const el = h('div.flow.scroll', { 'data-testid': 'flow' })
  let kind = 'within'
  let most = 24

  /** [from, to, n] of the listed sessions, largest n first. */
  function flows() {
    const counts = new Map()
    const note = (from, to) => {
      const [a, b] = [app.lead(from), app.lead(to)]
      if (from < 0 || to < 0 || (kind === 'within' && a === b)) return
      const key = a * d.K + b
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    const { path, offsets, proxy, half_proxy: half } = d.sessions
    for (const row of app.rows) {
      if (kind === 'training') note(half[row], proxy[row])
      else for (let at = offsets[row] + 1; at < offsets[row + 1]; at++) if (path[at] !== path[at - 1]) note(path[at - 1], path[at])
    }
    return [...counts].map(([key, n]) => [Math.floor(key / d.K), key % d.K, n]).sort((x, y) => y[2] - x[2])
  }

  /** Listed sessions that change from one interest to another. */
  function rowsOf(from, to) {
    const { path, offsets, proxy, half_proxy: half } = d.sessions
    const same = (a, b) => app.lead(a) === b
    return Array.from(app.rows.filter((row) => {
      if (kind === 'training') return same(half[row], from) && same(proxy[row], to)
      for (let at = offsets[row] + 1; at < offsets[row + 1]; at++) {
        if (path[at] !== path[at - 1] && same(path[at - 1], from) && same(path[at], to)) return true
      }
      return false
    }))
  }

  function draw() {
    const all = flows()
    const list = all.slice(0, most)
    const total = all.reduce((sum, f) => sum + f[2], 0)
    const kinds = [['within', 'within sessions'], ...(d.sessions.half_proxy ? [['training', 'half-way to end of training']] : [])]
    const caption = kind === 'within'
      ? `${plural(total, 'change')} of the leading interest during ${plural(app.rows.length, 'session')}. Left: before a click, right: after it.`
      : `Leading interest of ${plural(app.rows.length, 'session')} half-way (left) and at the end of training (right).`
    refill(el,
      h('div.bar-of-tools', {}, choice('flow', kinds, kind, (next) => { kind = next; draw() }, 'radio'), h('p', {}, caption)),
      list.length ? sankey(list) : h('p.empty', {}, 'None among the sessions listed.'),
      all.length > most ? h('button.more', { onclick: () => { most += 40; draw() } }, `and ${count(all.length - most)} more`) : null,
      kind === 'training' ? fates() : null)
  }

  function fates() {
    const group = (title, list) => (list?.length
      ? h('p', {}, `${title}: `, list.map((k) => interestButton(app, k)))
      : h('p', {}, `${title}: none.`))
    return h('div.fates', {}, group('Born since half-way', d.flow?.born), group('Died since half-way', d.flow?.died))
  }

  function sankey(list) {
    const width = Math.max(320, el.clientWidth - 24)
    const side = (at) => {
      const sizes = new Map()
      for (const flow of list) sizes.set(flow[at], (sizes.get(flow[at]) ?? 0) + flow[2])
      return [...sizes].sort((a, b) => b[1] - a[1])
    }
    const sides = [side(0), side(1)]
    const sum = list.reduce((a, f) => a + f[2], 0)
    const rows = Math.max(sides[0].length, sides[1].length)
    const height = Math.max(260, rows * 22, el.clientHeight - 110)
    const unit = (height - rows * 6) / sum
    const labelWidth = Math.min(190, width * 0.27)
    const [x0, x1] = [labelWidth, width - labelWidth]
    const nodes = sides.map((sizes) => {
      // every node has room for its name
      const tall = sizes.map(([, n]) => Math.max(15, n * unit))
      const spare = tall.reduce((a, b) => a + b, 0) + 6 * sizes.length
      const shrink = Math.min(1, height / spare)
      let y = 0
      return new Map(sizes.map(([k, n], i) => {
        const at = { y: y * shrink, tall: tall[i] * shrink, n, used: 0 }
        y += tall[i] + 6
        return [k, at]
      }))
    })
    const chart = svg('svg', { class: 'sankey', width, height, role: 'group', 'aria-label': 'Flows between interests' })
    for (const [from, to, n] of list) {
      const [a, b] = [nodes[0].get(from), nodes[1].get(to)]
      const [ha, hb] = [a.tall * n / a.n, b.tall * n / b.n]
      const [ya, yb] = [a.y + a.used, b.y + b.used]
      a.used += ha
      b.used += hb
      const middle = (x0 + x1) / 2
      const path = `M${x0},${ya}C${middle},${ya} ${middle},${yb} ${x1},${yb}V${yb + hb}C${middle},${yb + hb} ${middle},${ya + ha} ${x0},${ya + ha}Z`
      const label = `${d.proxies[from].name} to ${d.proxies[to].name}: ${count(n)}`
      const pick = () => app.go.rows(rowsOf(from, to), `${d.proxies[from].name} → ${d.proxies[to].name}`)
      chart.append(svg('path', { class: 'ribbon', d: path, tabindex: 0, role: 'button', 'aria-label': label,
        style: { '--c': app.colour(from) }, onclick: pick,
        onkeydown: (event) => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); pick() } } },
          svg('title', {}, label)))
    }
    const names = nodes.flatMap((side, right) => [...side].map(([k, at]) => h('button.node', {
      title: d.proxies[k].name, onclick: () => app.go.interest(k),
      style: { top: `${at.y}px`, height: `${at.tall}px`, [right ? 'right' : 'left']: '0', width: `${labelWidth}px`,
        '--c': app.colour(k) }, 'data-side': right ? 'right' : 'left',
    }, h('span', {}, d.proxies[k].name), h('b', {}, count(at.n)))))
    return h('div.alluvial', { style: { width: `${width}px`, height: `${height}px` } }, chart, names)
  }

  new ResizeObserver(() => { if (app.state.view === 'flow') draw() }).observe(el)
  return { el, update: (changed) => { if (app.state.view === 'flow'
    && ['listed', 'view', 'merged', 'names', 'all'].some((key) => changed.has(key))) draw() } }
}

function makeMatrix(app) {
  const { d } = app
  const el = h('div.matrix.scroll', { 'data-testid': 'matrix' })
  const kinds = [
    ...(d.hasDates ? [['month', 'month'], ['weekday', 'weekday']] : []), ['rival', 'runner-up'], ['near', 'nearest'],
    ...d.columns.filter((c) => c.kind === 'label').map((c) => [`column:${c.name}`, c.name])]
  let kind = kinds[0][0]
  let most = 30

  /** Columns, the column of each session, and the filter of a cell. */
  function axis() {
    if (kind === 'month') {
      const { at, labels, first } = d.months()
      return { labels, of: (row) => at[row], filter: (i) => filterOfMonth(first + i) }
    }
    if (kind === 'weekday') return { labels: WEEKDAYS, of: (row) => d.weekdays()[row] }
    const column = d.columns.find((c) => `column:${c.name}` === kind)
    return { labels: column.labels, of: (row) => column.values[row], filter: (i) => ({ by: kind, values: [i] }) }
  }

  function draw() {
    const order = app.leading().filter((k) => d.proxies[k].n > 0).sort((a, b) => app.size(b) - app.size(a))
    const ks = order.slice(0, most)
    const made = kind === 'rival' || kind === 'near' ? between(ks) : byAxis(ks)
    refill(el,
      h('div.bar-of-tools', {}, choice('matrix', kinds, kind, (next) => { kind = next; draw() }, 'radio'), h('p', {}, made.caption)),
        made.table,
      order.length > most ? h('button.more', { onclick: () => { most += 60; draw() } },
        `and ${count(order.length - most)} more interests`) : null)
  }

  function byAxis(ks) {
    const { labels, of, filter } = axis()
    const width = Math.min(labels.length, 40)
    const counts = new Map(ks.map((k) => [k, new Float64Array(width)]))
    const [totals, sums] = [new Float64Array(width), new Map()]
    for (const row of app.rows) {
      const [k, at] = [app.lead(d.sessions.proxy[row]), of(row)]
      if (!(at >= 0 && at < width)) continue
      totals[at]++
      sums.set(k, (sums.get(k) ?? 0) + 1)
      if (counts.has(k)) counts.get(k)[at]++
    }
    const all = totals.reduce((a, b) => a + b, 0)
    const cells = ks.map((k) => Array.from(counts.get(k), (n, i) => {
      const lift = sums.get(k) ? (n + 0.5) / (sums.get(k) * totals[i] / all + 0.5) : 1
      const shade = Math.log2(lift) / 3
      const pick = () => {
        if (filter) return app.set({ ...NO_SELECTION, interest: k, session: null,
          filters: [...app.state.filters.filter((f) => f.by !== filter(i).by), filter(i)] })
        app.go.rows(Array.from(app.rows.filter((row) => app.lead(d.sessions.proxy[row]) === k && of(row) === i)),
          `${d.proxies[k].name}, ${labels[i]}`)
      }
      return { n, colour: diverging(shade, app.dark()), label: `${d.proxies[k].name}, ${labels[i]}: ${plural(n, 'session')}, ${lift.toFixed(1)} times what all have`, pick }
    }))
    return { table: grid(ks, labels.slice(0, width), cells),
      caption: 'Sessions of each interest. Orange: more than all sessions have there; blue: fewer.'
        + (labels.length > width ? ` Of ${count(labels.length)} columns, the first ${width} are shown and counted.` : '') }
  }

  function between(ks) {
    const at = new Map(ks.map((k, i) => [k, i]))
    const cells = kind === 'rival' ? rivals(ks, at) : neighbours(ks)
    const caption = kind === 'rival'
      ? 'Of the sessions that a row’s interest leads, for how many each column’s is the runner-up.'
      : 'How alike the vectors of the nearest interests are (cosine). Nearly 1: they may be one interest.'
    return { table: grid(ks, ks.map((k) => d.proxies[k].name), cells), caption }
  }

  function rivals(ks, at) {
    const counts = ks.map(() => new Float64Array(ks.length))
    const sums = new Float64Array(ks.length)
    for (const row of app.rows) {
      const [i, j] = [at.get(app.lead(d.sessions.proxy[row])), at.get(app.lead(d.sessions.runner_up[row]))]
      if (i === undefined) continue
      sums[i]++
      if (j !== undefined) counts[i][j]++
    }
    return ks.map((k, i) => ks.map((other, j) => {
      const share = counts[i][j] / (sums[i] || 1)
      return {
        n: counts[i][j], colour: diverging(Math.min(1, share * 2), app.dark()),
          label: `${d.proxies[k].name} before ${d.proxies[other].name}: ${plural(counts[i][j], 'session')}, ${percent(share)}`,
        pick: () => app.set({ ...NO_SELECTION, interest: k, session: null,
          filters: [...app.state.filters.filter((f) => f.by !== 'runner_up'), { by: 'runner_up', values: [other] }] }),
      }
    }))
  }

  function neighbours(ks) {
    return ks.map((k) => ks.map((other) => {
      const near = d.proxies[k].nearest.find((x) => x.proxy === other)
      return {
        text: near ? near.cosine.toFixed(2).replace('0.', '.') : '', colour: diverging(Math.max(0, near?.cosine ?? 0), app.dark()),
        label: `${d.proxies[k].name} and ${d.proxies[other].name}: ${near ? `cosine ${near.cosine.toFixed(2)}, runner-up of ${percent(near.overlap)}` : 'not among the nearest'}`,
        pick: () => app.set({ pins: { a: { kind: 'interest', proxy: k }, b: { kind: 'interest', proxy: other } } }),
      }
    }))
  }

  /** A table of buttons; one is in the tab order, arrows move. */
  function grid(ks, labels, cells) {
    const slanted = labels.some((text) => text.length > 7) || labels.length * 52 > el.clientWidth - 190
    const move = (event) => {
      const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key]
      const from = event.target.dataset.cell?.split(',').map(Number)
      if (!step || !from) return
      event.preventDefault()
      el.querySelector(`[data-cell="${from[0] + step[0]},${from[1] + step[1]}"]`)?.focus()
    }
    const head = h('tr', {}, h('td'), labels.map((text) => h('th', { scope: 'col', class: slanted ? 'slant' : null, title: text },
      h('span', {}, text))))
    const body = ks.map((k, i) => h('tr', {}, h('th', { scope: 'row' }, interestButton(app, k)),
      cells[i].map((cell, j) => h('td', {}, h('button.cell', {
      'aria-label': cell.label, title: cell.label, tabindex: i || j ? -1 : 0, 'data-cell': `${i},${j}`, onclick: cell.pick,
        style: { '--c': cell.colour, '--t': inkOn(cell.colour) },
    }, cell.text ?? (cell.n ? count(cell.n) : ''))))))
    return h('div.gridbox', {}, h('table.grid', { onkeydown: move }, h('thead', {}, head), h('tbody', {}, body)))
  }
  return { el, update: (changed) => { if (app.state.view === 'matrix'
    && ['listed', 'view', 'merged', 'names', 'theme', 'all'].some((key) => changed.has(key))) draw() } }
}
