// A session: its interest, since which click and why, its recommendations, and what-if.

function makeSession(app) {
  const { d } = app
  const el = h('div.panel', { 'data-testid': 'session-panel' })
  const whatIf = makeWhatIf(app)
  let after = 0
  let [pathBox, nextBox] = [h('div'), h('div')]

  function draw() {
    const row = app.state.session
    const s = d.sessions
    const k = s.proxy[row]
    const L = s.n_clicks[row]
    after = Math.max(1, L - 1)
    pathBox = h('div')
    nextBox = h('div', { 'data-testid': 'next' })
    const steady = s.since[row] <= 1
    refill(el,
      h('header', {}, h('span.kind', {}, 'session'), h('h2', {}, s.id[row]),
        h('button.icon', { 'aria-label': 'Previous session', title: 'Previous', onclick: () => app.stepSession(-1) }, '‹'),
        h('button.icon', { 'aria-label': 'Next session', title: 'Next', onclick: () => app.stepSession(1) }, '›'),
        h('button.icon', { 'aria-label': 'Close the session', onclick: () => app.set({ session: null, edit: null }) }, '×')),
      h('p.verdict', {}, 'Follows ', interestButton(app, app.lead(k)), ` with ${percent(s.probability[row])}`,
        steady ? ' from the first click on' : `, since click ${s.since[row]} of ${L}`,
        s.runner_up[row] >= 0 ? ['; next is ', joined(interestButton(app, app.lead(s.runner_up[row])), '.')] : '.'),
      h('p.soft', {}, [d.users && s.user[row] >= 0 ? ['customer ', joined(userButton(app, s.user[row]), ', ')] : null,
        d.hasDates ? `${day(s.started[row])}, ` : null, plural(L, 'click'),
        s.met[row] > 1 ? `, ${s.met[row]} leading interests on the way` : null,
          known(s.rank[row]) ? `, last click ranked ${count(s.rank[row])}${s.repeat[row] ? ' (a repeat)' : ''}` : null]),
      pathBox, section('Clicks, and what each adds to the lead', clickTable(row)), section('What it would be recommended', nextBox),
        whatIf.el)
    drawPath(row)
    drawNext(row)
    whatIf.begin(row)
  }

  /** Probabilities of interests over the clicks: of the likeliest ones if the host can compute them, else of the leader. */
  async function drawPath(row) {
    const s = d.sessions
    const [from, to] = [s.offsets[row], s.offsets[row + 1]]
    if (to - from < 2) return
    const labels = Array.from({ length: to - from }, (_, i) => `click ${i + 1}`)
    const show = (series, title) => refill(pathBox, lines(title, labels, series,
      { low: 0, high: 1, format: percent, mark: Math.max(0, s.since[row] - 1) }))
    show([{ name: 'leading', values: Array.from(s.path_p.subarray(from, to), (p) => p / 255), colour: app.colour(s.proxy[row]) }],
      'Probability of the leading interest after each click')
    if (app.cannot('session')) return
    const answer = await app.ask('session', { row })
    if (!answer || app.state.session !== row) return
    const series = answer.proxies.slice(0, 4).map((k, i) => ({ name: d.proxies[k].name,
      values: answer.posterior_by_click.map((weights) => weights[i]), colour: app.colour(k) }))
    show(series, 'Probability after each click')
  }

  function clickTable(row) {
    const s = d.sessions
    const from = s.offsets[row]
    const clicks = Array.from(d.clicks(row))
    const evidence = s.evidence.subarray(from, from + clicks.length)
    const most = Math.max(Math.abs(s.prior[row]), ...evidence.map(Math.abs), 1e-9)
    const strength = (v) => [bar(v / most, v < 0 ? '#D55E00' : '#0072B2', true),
      h('span.num', {}, `${v < 0 ? '−' : '+'}${Math.abs(v).toFixed(2)}`)]
    const line = (item, i) => h('li', { class: i + 1 === s.since[row] ? 'since' : null },
      h('span.at', {}, String(i + 1)), h('button.go', { onclick: () => app.go.item(item), title: d.title(item) },
        h('span', {}, d.title(item))), strength(evidence[i]),
      h('button.go.lead', { title: `then ${d.proxies[s.path[from + i]]?.name ?? 'none'} leads, ${percent(s.path_p[from + i] / 255)}`, onclick: () => app.go.interest(s.path[from + i]), 'aria-label': `${percent(s.path_p[from + i] / 255)} for ${d.proxies[s.path[from + i]]?.name ?? 'none'} after click ${i + 1}` },
        swatch(app.colour(s.path[from + i])), h('span', {}, percent(s.path_p[from + i] / 255))))
    return h('ol.clicks', {}, h('li.before', {}, h('span.at', {}, ''), h('span.soft', {}, 'at first'), strength(s.prior[row])),
      firstOf(clicks, 14, line))
  }

  // -- recommendations ------------------------------------------------------------------------

  function drawNext(row) {
    const L = d.sessions.n_clicks[row]
    if (!app.cannot('next')) {
      const slider = h('input', { type: 'range', min: 1, max: L, value: after, 'aria-label': 'Recommend after click',
        oninput: () => { after = Number(slider.value); ask(row) } })
      const list = h('div')
      refill(nextBox, h('label.line', {}, h('span.after', {}), slider), list)
      return ask(row)
    }
    const { top } = d.sessions
    if (!top || L < 2) return refill(nextBox, h('p.soft', {}, app.cannot('next')))
    const T = top.length / d.n
    const items = Array.from(top.subarray(row * T, (row + 1) * T)).filter(Boolean).map((index) => ({ index, title: app.titleOf(index) }))
    const target = d.items.index[d.clicks(row).at(-1)]
    refill(nextBox, h('p.soft', {}, `After click ${L - 1} of ${L}. ${cameText(target, d.sessions.rank[row])}`), recommended(items, target))
  }

  const cameText = (target, rank) => `What came is ${app.titleOf(target)}${known(rank) ? `, ranked ${count(rank)}` : ''}.`

  async function ask(row) {
    nextBox.querySelector('.after').textContent = `after click ${after}`
    const answer = await app.ask('next', { row, after })
    if (!answer || app.state.session !== row) return
    const target = answer.target?.index
    const came = target === undefined ? 'The session ends here.' : cameText(target, answer.rank)
    refill(nextBox.lastChild, h('p.soft', {}, came), recommended(answer.items.slice(0, 10), target))
  }

  function recommended(items, target) {
    return h('ol.recommended', {}, items.map((x) => h('li', { class: x.index === target ? 'came' : null }, recommendedItem(app, x),
      x.index === target ? h('b', {}, ' came') : null)))
  }

  function update(changed) {
    if (app.state.session === null) return
    if (['session', 'names', 'theme', 'merged', 'all'].some((key) => changed.has(key))) draw()
    else if (changed.has('edit')) whatIf.draw()
  }
  return { el, update }
}

/** An item of the model: a button if sessions on the page have it. */
function recommendedItem(app, { index, title }) {
  const item = app.d.byIndex.get(index)
  const text = title ?? app.titleOf(index)
  return item === undefined ? text : h('button.go', { onclick: () => app.go.item(item), title: `Sessions that have ${text}` },
    h('span', {}, text))
}

/** What-if: interest and recommendations for other clicks, another interest or another temperature. */
function makeWhatIf(app) {
  const { d } = app
  const el = h('section.block.whatif', { 'data-testid': 'what-if' })
  const result = h('div', { 'aria-live': 'polite', 'data-testid': 'what-if-result' })
  let row = null
  let before = null
  let replaced = -1
  let sentence = ''

  const original = () => Array.from(d.clicks(row), (item) => d.items.index[item])
  const edit = () => app.state.edit ?? { clicks: original(), temperature: null, proxy: null }
  const change = (patch) => { sentence = ''; app.set({ edit: { ...edit(), ...patch } }) }
  const withClicks = (make) => { const clicks = [...edit().clicks]; make(clicks); change({ clicks }) }

  async function begin(of) {
    row = of
    before = null
    sentence = ''
    replaced = -1
    draw()
    if (app.cannot('what_if')) return
    before = await app.ask('what_if', args({ clicks: original(), temperature: null, proxy: null }), 'before')
    if (row === of) drawResult(before)
  }

  const args = (e) => ({ clicks: e.clicks, user: d.users && d.sessions.user[row] >= 0 ? d.sessions.user[row] : null,
    temperature: e.temperature, proxy: e.proxy })

  function draw() {
    const why = app.cannot('what_if')
    if (why) return refill(el, h('h3', {}, 'What if'), h('p.soft', { 'data-testid': 'what-if-why' }, why))
    const now = edit()
    const options = [['', 'what the clicks say'], ...app.leading().map((k) => [String(k), d.proxies[k].name])]
    const t = now.temperature ?? d.meta.temperature
    const slider = h('input', { type: 'range', min: -2, max: 2, step: 0.1, value: Math.log2(t / d.meta.temperature),
      'aria-label': 'Temperature', onchange: () => change({ temperature: Number(slider.value) === 0
      ? null : d.meta.temperature * 2 ** Number(slider.value) }) })
    refill(el, h('h3', {}, 'What if'),
      h('ol.edits', {}, firstOf(now.clicks.map((index, i) => [index, i]), 10, editLine)),
      itemPicker(app, replaced >= 0 ? `Item in place of click ${replaced + 1}` : 'Add an item',
        (index) => withClicks((clicks) => { if (replaced >= 0) clicks[replaced] = index; else clicks.push(index); replaced = -1 })),
      h('div.line', {}, h('label', {}, 'interest ', select('Force an interest', options,
        now.proxy === null ? '' : String(now.proxy), (value) => change({ proxy: value === '' ? null : Number(value) })))),
      h('div.line', {}, h('label', {}, `temperature ${t.toPrecision(2)} `, slider)),
      h('div.line', {}, app.cannot('smallest') ? null : h('button', { onclick: smallest }, 'smallest change that flips it'),
        h('button', { disabled: !app.state.edit, onclick: () => { sentence = ''; replaced = -1; app.set({ edit: null }) } }, 'as it was')),
      result)
    if (app.state.edit) ask()
    else drawResult(before)
  }

  function editLine([index, i]) {
    const title = app.titleOf(index)
    const n = edit().clicks.length
    const swap = (j) => withClicks((clicks) => { [clicks[i], clicks[j]] = [clicks[j], clicks[i]] })
    const icon = (text, label, onclick, off) => h('button.icon',
      { 'aria-label': `${label} click ${i + 1}`, title: label, onclick, disabled: off }, text)
    const isNew = !original().includes(index)
    return h('li', { class: replaced === i ? 'replaced' : isNew ? 'new' : null }, h('span.title', { title }, title),
      icon('↑', 'Move up', () => swap(i - 1), i === 0), icon('↓', 'Move down', () => swap(i + 1), i === n - 1),
      icon('⇄', 'Replace', () => { replaced = replaced === i ? -1 : i; draw(); el.querySelector('input[role=combobox]').focus() }),
        icon('×', 'Drop', () => withClicks((clicks) => clicks.splice(i, 1)), n < 2))
  }

  async function ask() {
    const start = performance.now()
    const answer = await app.ask('what_if', args(edit()))
    if (!answer) return
    drawResult(answer)
    app.stats.what_if = performance.now() - start
    result.dataset.ms = Math.round(app.stats.what_if)
  }

  async function smallest() {
    const answer = await app.ask('smallest', { clicks: edit().clicks, user: args(edit()).user })
    if (!answer) return
    sentence = answer.sentence
    if (answer.clicks) app.set({ edit: { ...edit(), clicks: answer.clicks } })
    else drawResult(before)
  }

  function drawResult(answer) {
    if (!answer) return refill(result)
    const changed = Boolean(app.state.edit)
    const flips = changed && before && answer.proxy !== before.proxy
    refill(result,
      sentence ? h('p', {}, sentence) : null,
      h('p.verdict', { 'data-testid': 'what-if-leader' },
        changed ? (flips ? 'It would follow ' : 'It would still follow ') : 'It follows ', interestButton(app, answer.proxy),
        ` with ${percent(answer.weights[0]?.weight)}.`),
      h('div.beside', {}, changed && before ? side('now', before, null) : null,
        side(changed ? 'then' : 'now', answer, changed && before ? new Set(before.items.map((x) => x.index)) : null)))
  }

  function side(name, answer, known) {
    return h('div', {}, h('h4', {}, name),
      h('ul.items', {}, answer.weights.slice(0, 4).map((x) => h('li', {}, interestButton(app, x.proxy),
        bar(x.weight, app.colour(x.proxy)), h('span.num', {}, percent(x.weight))))),
      h('ol.recommended', {}, answer.items.map((x) => h('li', { class: known && !known.has(x.index) ? 'new' : null },
        recommendedItem(app, x)))))
  }
  return { el, begin, draw }
}

/** A search box for an item of the catalogue. */
function itemPicker(app, label, onpick) {
  return combo({
    label, placeholder: `${label} …`,
    find: (text) => searchItems(app, text, 12).map((item) => ({ group: '', text: app.d.title(item),
      pick: () => onpick(app.d.items.index[item]) })),
    later: app.cannot('items') ? null : async (text) => (await app.ask('items', { text }) ?? []).map((x) => {
      app.titles.set(x.index, x.title || x.id)
      return { group: '', text: x.title || x.id, pick: () => onpick(x.index) }
    }),
  }).el
}
