// The map: dots, rings of interests, names, lasso. One function finds the object under the pointer.

const REACH = 8 // pixels within which a dot is picked
const RING = 30 // pixels of the largest ring
const HUB = 4 // pixels of the mark in its middle
const TOOLS = 40 // pixels at the left, where the buttons are

function makeMap(app) {
  const { d } = app
  const overlay = svg('svg', { class: 'overlay', 'aria-hidden': 'true' })
  const tip = h('div.tip', { role: 'status', 'aria-live': 'off', hidden: true })
  const surface = h('div.surface', {
    tabindex: 0, role: 'application', 'data-testid': 'map',
    'aria-label': 'Map of sessions. Arrows move, plus and minus zoom, 0 shows all, v chooses what is in view, n and p go through sessions, Escape clears.',
  })
  const view = { scale: 1, x: 0, y: 0, width: 0, height: 0, size: 3, t: 1, zoom: 1 }
  let points = makePoints(d.sessions.xy, d.sessions.half_xy, fallBack)
  let tool = 'lasso'
  let drag = null
  let labels = []
  let rings = []
  const tools = h('div.maptools', { role: 'toolbar', 'aria-label': 'Map tools' })
  const el = h('div.map', {}, surface, tools)
  surface.append(points.canvas, overlay, tip)
  drawTools()

  function fallBack() {
    const canvas = h('canvas', { 'aria-hidden': 'true' })
    const next = plainPoints(canvas, d.sessions.xy, d.sessions.half_xy)
    points.canvas.replaceWith(canvas)
    points = next
    resize()
    update(ALL)
  }

  function drawTools() {
    const button = (text, label, onclick, on) => h('button',
      { onclick, 'aria-label': label, title: label, 'aria-pressed': on == null ? null : String(on) }, text)
    const turn = (name) => () => { tool = name; surface.classList.toggle('pan', name === 'pan'); drawTools() }
    refill(tools,
      button('⬠', 'Lasso: drag around sessions (Shift adds, Alt takes away)', turn('lasso'), tool === 'lasso'),
      button('✥', 'Move the map by dragging (or hold Ctrl)', turn('pan'), tool === 'pan'),
      button('+', 'Zoom in', () => zoom(1.5)), button('−', 'Zoom out', () => zoom(1 / 1.5)),
      button('⤢', 'Show the whole map', fit), button('▣', 'Choose the sessions in view', chooseInView))
  }

  // -- positions ----------------------------------------------------------------------------

  const toPixels = ([x, y]) => [view.x + view.scale * x, view.y - view.scale * y]
  const toMap = ([x, y]) => [(x - view.x) / view.scale, (view.y - y) / view.scale]

  function resize() {
    const { clientWidth: width, clientHeight: height } = surface
    if (!width || !height) return
    const first = !view.width
    const middle = first ? null : toMap([view.width / 2, view.height / 2])
    const ratio = devicePixelRatio || 1
    const grown = Math.min(width, height) / Math.min(view.width, view.height)
    Object.assign(view, { width, height })
    points.canvas.width = Math.round(width * ratio)
    points.canvas.height = Math.round(height * ratio)
    overlay.setAttribute('viewBox', `0 0 ${width} ${height}`)
    if (first) return fit()
    view.scale *= grown
    view.x = width / 2 - view.scale * middle[0]
    view.y = height / 2 + view.scale * middle[1]
    draw()
  }

  /** All dots and rings, at any progress, with room for names. */
  const extent = lazily(() => {
    const box = [Infinity, -Infinity, Infinity, -Infinity]
    const take = (x, y) => { if (x < box[0]) box[0] = x; if (x > box[1]) box[1] = x; if (y < box[2]) box[2] = y; if (y > box[3]) box[3] = y }
    for (const xy of [d.sessions.xy, d.sessions.half_xy]) for (let i = 0; xy && i < xy.length; i += 2) take(xy[i], xy[i + 1])
    for (const p of d.proxies) for (const xy of [p.xy, p.half_xy]) if (xy) take(...xy)
    return box[0] < box[1] ? box : [0, 1, 0, 1]
  })

  function fit() {
    const [x0, x1, y0, y1] = extent()
    view.scale = Math.max(20, Math.min((view.width - 90) / (x1 - x0), (view.height - 70) / (y1 - y0)))
    view.zoom = 1
    view.x = view.width / 2 - view.scale * (x0 + x1) / 2
    view.y = view.height / 2 + view.scale * (y0 + y1) / 2
    draw()
  }

  function zoom(factor, [px, py] = [view.width / 2, view.height / 2]) {
    if (view.zoom * factor > 200 || view.zoom * factor < 0.4) return
    const [x, y] = toMap([px, py])
    view.zoom *= factor
    view.scale *= factor
    view.x = px - view.scale * x
    view.y = py + view.scale * y
    draw()
  }

  /** Names once the view stands still: placing 300 of them takes longer than drawing 50,000 dots. */
  function draw() {
    if (!view.width) return
    view.t = d.hasHalf ? (app.state.progress - 50) / 50 : 1
    view.size = (d.n > 20000 ? 2.6 : d.n > 4000 ? 3.6 : 5.5) * Math.min(3, view.zoom ** 0.35)
    points.draw(view)
    drawOverlay()
  }

  // -- rings, names, the lasso, the picked session --------------------------------------------

  function drawOverlay() {
    const { state } = app
    const lines = []
    placeRings()
    placeLabels()
    const named = new Set(labels.map((label) => label.k))
    for (const ring of rings) {
      const chosen = state.interest !== null && app.lead(state.interest) === ring.k
      lines.push(svg('circle', { class: chosen ? 'ring chosen' : named.has(ring.k) ? 'ring' : 'ring faint', cx: ring.x, cy: ring.y,
        r: ring.r, style: { '--c': app.colour(ring.k) } }),
        svg('circle', { class: 'hub', cx: ring.x, cy: ring.y, r: HUB, style: { '--c': app.colour(ring.k) } }))
    }
    for (const label of labels) {
      const chosen = state.interest !== null && app.lead(state.interest) === label.k
      lines.push(svg('text', { class: chosen ? 'label chosen' : 'label', x: label.x + 2, y: label.y + 11 }, label.text))
    }
    const outline = drag?.path ?? (state.lasso && state.lasso_at === Math.round(state.progress) ? state.lasso.map(toPixels) : null)
    if (outline) lines.push(svg('path', { class: 'lasso', d: `M${outline.map((p) => p.map((v) => v.toFixed(1)).join(',')).join('L')}Z` }))
    if (state.session !== null) lines.push(...marker(state.session))
    overlay.replaceChildren(...lines)
  }

  function marker(row) {
    const [x, y] = toPixels(placeOf(d, row, state().progress))
    if (!known(x)) return []
    return [svg('circle', { class: 'halo', cx: x, cy: y, r: 9 }),
      svg('circle', { class: 'picked', cx: x, cy: y, r: 9, 'data-testid': 'picked' })]
  }
  const state = () => app.state

  function placeRings() {
    const t = view.t
    const most = Math.max(...d.proxies.map((p) => p.n))
    rings = []
    for (const k of app.leading()) {
      const p = d.proxies[k]
      const [to, from] = [p.xy ?? p.half_xy, d.hasHalf ? p.half_xy ?? p.xy : p.xy]
      const now = t * app.size(k) + (1 - t) * (p.n_half ?? p.n)
      if (!to || now < 0.5) continue
      const [x, y] = toPixels([from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1])])
      const r = (4 + RING * Math.sqrt(now / most)) * Math.min(4, Math.max(0.6, view.zoom ** 0.5))
      if (x > -r && y > -r && x < view.width + r && y < view.height + r) rings.push({ k, x, y, r, now })
    }
    rings.sort((a, b) => b.now - a.now)
  }

  /** Names by size, each where it covers no other: above its ring, below, right or left. */
  function placeLabels() {
    labels = []
    const chosen = state().interest
    const order = chosen === null ? rings : [...rings].sort((a, b) => (b.k === app.lead(chosen)) - (a.k === app.lead(chosen)))
    const most = view.width * view.height / 9000 // more would hide the dots
    for (const { k, x, y, r } of order) {
      if (labels.length >= most) break
      const { name, by } = d.proxies[k]
      if (by === 'mixed' && rings.length > 40 && k !== chosen) continue
      const text = name.length > 26 ? `${name.slice(0, 25)}…` : name
      const width = text.length * 6.1 + 6
      for (const [left, top] of [[x - width / 2, y - r - 16], [x - width / 2, y + r + 2], [x + r + 3, y - 7], [x - r - 3 - width, y - 7]]) {
        const box = { k, text, x: left, y: top, width, height: 15 }
        const inside = left > TOOLS && top > 0 && left + width < view.width && top + 15 < view.height
        const free = labels.every((o) => left > o.x + o.width || left + width < o.x || top > o.y + 15 || top + 15 < o.y)
        if (inside && free) { labels.push(box); break }
      }
    }
  }

  // -- the object under the pointer -------------------------------------------------------------

  /** A name, the middle of a ring, a dot close by, the rim of a ring, or a dot within reach: in this order. */
  function targetAt([px, py]) {
    const label = labels.find((o) => px >= o.x && px <= o.x + o.width && py >= o.y && py <= o.y + o.height)
    if (label) return { interest: label.k }
    const hub = rings.find((o) => Math.hypot(px - o.x, py - o.y) <= HUB + 1)
    if (hub) return { interest: hub.k }
    const dot = nearest(px, py)
    if (dot && dot.distance <= 3.5) return { session: dot.row }
    const rim = rings.find((o) => Math.abs(Math.hypot(px - o.x, py - o.y) - o.r) <= 3)
    if (rim) return { interest: rim.k }
    return dot ? { session: dot.row } : null
  }

  function nearest(px, py) {
    const { xy, half_xy: half } = d.sessions
    const { t } = view
    let [best, found, bestListed] = [REACH * REACH, -1, 0]
    for (let row = 0; row < d.n; row++) {
      let [x, y] = [xy[2 * row], xy[2 * row + 1]]
      if (t < 1) { x = half[2 * row] + t * (x - half[2 * row]); y = half[2 * row + 1] + t * (y - half[2 * row + 1]) }
      const far = (view.x + view.scale * x - px) ** 2 + (view.y - view.scale * y - py) ** 2
      const listed = app.mask[row] // a listed dot goes before one that is filtered out
      if (far > REACH * REACH || listed < bestListed || (listed === bestListed && far >= best)) continue
      [best, found, bestListed] = [far, row, listed]
    }
    return found < 0 ? null : { row: found, distance: Math.sqrt(best) }
  }

  function hover(at) {
    const found = at && targetAt(at)
    surface.classList.toggle('over', Boolean(found))
    tip.hidden = !found
    if (!found) return
    const lines = found.session === undefined ? interestWords(app, found.interest) : sessionWords(app, found.session)
    refill(tip, lines.map((line, i) => h(i ? 'div' : 'b', {}, line)))
    const left = Math.min(at[0] + 14, view.width - tip.offsetWidth - 4)
    const top = at[1] + 16 + tip.offsetHeight > view.height ? at[1] - tip.offsetHeight - 10 : at[1] + 16
    tip.style.setProperty('transform', `translate(${Math.max(0, left)}px,${Math.max(0, top)}px)`)
  }

  // -- pointer and keys -----------------------------------------------------------------------

  const place = (event) => {
    const box = surface.getBoundingClientRect()
    return [event.clientX - box.left, event.clientY - box.top]
  }

  surface.addEventListener('pointerdown', (event) => {
    if (event.button > 1) return
    surface.setPointerCapture(event.pointerId)
    surface.focus({ preventScroll: true })
    const pan = tool === 'pan' || event.ctrlKey || event.metaKey || event.button === 1
    drag = { pan, start: place(event), path: null, trail: [place(event)], from: [view.x, view.y] }
    hover(null)
  })
  surface.addEventListener('pointermove', (event) => {
    const at = place(event)
    if (!drag) return hover(at)
    if (drag.pan) {
      view.x = drag.from[0] + at[0] - drag.start[0]
      view.y = drag.from[1] + at[1] - drag.start[1]
      return draw()
    }
    for (const one of event.getCoalescedEvents?.() ?? []) drag.trail.push(place(one))
    drag.trail.push(at)
    if (drag.path || Math.hypot(at[0] - drag.start[0], at[1] - drag.start[1]) > 4) drag.path = drag.trail
    outlineNow()
  })
  surface.addEventListener('pointerup', (event) => {
    const done = drag
    drag = null
    if (!done) return
    done.trail.push(place(event))
    const moved = Math.max(...done.trail.map((p) => Math.hypot(p[0] - done.start[0], p[1] - done.start[1]))) > 4
    if (done.pan) { if (!moved) click(done.start); return }
    if (moved) finishLasso(done.trail, event)
    else click(done.start)
  })
  surface.addEventListener('pointercancel', () => { drag = null; drawOverlay() })
  surface.addEventListener('pointerleave', () => hover(null))
  surface.addEventListener('wheel', (event) => {
    const wanted = app.host.name !== 'widget' || event.ctrlKey || surface.matches(':focus') // a notebook scrolls by its wheel
    if (!wanted) return
    event.preventDefault()
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), place(event))
  }, { passive: false })

  /** Only the outline moves while it is drawn. */
  function outlineNow() {
    if (!drag?.path) return
    let line = overlay.querySelector('.lasso')
    if (!line) overlay.append(line = svg('path', { class: 'lasso' }))
    line.setAttribute('d', `M${drag.path.map((p) => p.join(',')).join('L')}Z`)
  }

  function click(at) {
    const found = targetAt(at)
    if (found?.session !== undefined) app.go.session(found.session)
    else if (found) app.go.interest(found.interest)
    else if (app.state.session !== null) app.set({ session: null, edit: null })
    else app.set(NO_SELECTION)
  }

  function finishLasso(trail, event) {
    const polygon = trail.map(toMap)
    const at = Math.round(app.state.progress)
    if (!event.shiftKey && !event.altKey) {
      return app.set({ ...NO_SELECTION, lasso: polygon, lasso_at: at, session: null, edit: null }, 'lasso')
    }
    const inside = insideOf(d, polygon, at)
    const rows = []
    for (let row = 0; row < d.n; row++) if (event.shiftKey ? app.mask[row] || inside[row] : app.mask[row] && !inside[row]) rows.push(row)
    app.set({ ...NO_SELECTION, filters: event.shiftKey ? [] : app.state.filters, rows,
      why: event.shiftKey ? 'several lassos' : 'a lasso taken away', session: null }, 'lasso')
  }

  function chooseInView() {
    const box = [[0, 0], [view.width, 0], [view.width, view.height], [0, view.height]].map(toMap)
    app.set({ ...NO_SELECTION, lasso: box, lasso_at: Math.round(app.state.progress), session: null }, 'lasso')
  }

  surface.addEventListener('keydown', (event) => {
    const step = 40
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }
    const keys = {
      '+': () => zoom(1.4), '=': () => zoom(1.4), '-': () => zoom(1 / 1.4), 0: fit, v: chooseInView,
      n: () => app.stepSession(1), p: () => app.stepSession(-1),
      Escape: () => app.set(app.state.session === null ? NO_SELECTION : { session: null, edit: null }),
    }
    if (event.ctrlKey || event.metaKey) return
    if (moves[event.key]) { view.x += moves[event.key][0]; view.y += moves[event.key][1]; draw() } else if (keys[event.key]) keys[event.key]()
    else return
    event.preventDefault()
  })

  new ResizeObserver(resize).observe(surface)

  function update(changed) {
    const repaint = changed.has('colour') || changed.has('merged') || changed === ALL
    if (repaint) points.paint(app.dots.codes, app.dots.palette)
    if (changed.has('listed')) points.choose(app.mask)
    if (app.state.view !== 'map') return
    if (changed.has('listed') || repaint || ['progress', 'session', 'view', 'interest', 'names'].some((key) => changed.has(key))) draw()
  }
  return { el, update, debug: { view, toPixels, placeOf: (row) => toPixels(placeOf(d, row, app.state.progress)), rings: () => rings,
    labels: () => labels, kind: () => points.kind } }
}

function interestWords(app, k) {
  const p = app.d.proxies[k]
  return [p.name, `${plural(app.size(k), 'session')}, R@${app.d.meta.k} ${rate(p.recall)}`,
    p.n_half == null ? null : `${count(p.n_half)} half-way`].filter(Boolean)
}

function sessionWords(app, row) {
  const { d } = app
  const s = d.sessions
  const lines = [s.id[row], `${d.proxies[s.proxy[row]]?.name ?? '–'}, ${percent(s.probability[row])}`, plural(s.n_clicks[row], 'click')]
  if (d.hasDates) lines.push(day(s.started[row]))
  if (d.users && s.user[row] >= 0) lines.push(`customer ${d.users.id[s.user[row]]}`)
  if (known(s.rank[row])) lines.push(`last click ranked ${count(s.rank[row])}`)
  return lines
}
