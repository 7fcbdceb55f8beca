// The state of the view (one object that links, Python and the page share), and the rows that it lists.

const START = {
  version: VERSION, progress: 100, view: 'map', colour: 'proxy', tab: 'sessions', interest: null, lasso: null, lasso_at: 100,
  rows: null, why: '', filters: [], session: null, edit: null, pins: { a: null, b: null }, merged: false, search: '',
  theme: 'auto', user: null,
}
/** What selects sessions; the page sets one of them at a time. Filters come on top. */
const NO_SELECTION = { interest: null, lasso: null, rows: null, why: '', user: null, search: '' }
/** Values that are interests: in the merged view, merged ones are alike. */
const INTERESTS = ['proxy', 'half_proxy', 'runner_up']
const LISTING = ['interest', 'lasso', 'lasso_at', 'rows', 'filters', 'user', 'merged']

/** A complete state from outside input; invalid parts are left out, with a note for each. */
function checked(given, d) {
  const notes = []
  if (given.version != null && given.version !== VERSION) {
    notes.push(`The link has version ${given.version}; this page reads version ${VERSION}. The page starts from the beginning.`)
    return { state: { ...START }, notes }
  }
  const state = { ...START }
  const fits = checksOf(d)
  for (const [key, value] of Object.entries(given)) {
    if (Object.hasOwn(fits, key) && fits[key](value)) state[key] = value
    else if (key !== 'version') notes.push(`“${key}” of the link does not fit these data and is left out.`)
  }
  return { state, notes }
}

/** A test for each part of a state, which is outside input. */
function checksOf(d) {
  const within = (x, n) => Number.isInteger(x) && x >= 0 && x < n
  const among = (n) => (x) => x === null || within(x, n)
  const oneOf = (...list) => (x) => list.includes(x)
  const listOf = (x, test) => Array.isArray(x) && x.every(test)
  const number = (x) => x == null || Number.isFinite(x)
  const between = (low, high) => (x) => Number.isFinite(x) && x >= low && x <= high
  const text = (x) => typeof x === 'string'
  const isRow = (x) => within(x, d.n)
  const pin = (x) => x === null || x?.kind === 'interest' && within(x.proxy, d.K) || x?.kind === 'session' && isRow(x.row)
    || x?.kind === 'group' && listOf(x.rows, isRow)
  const filter = (f) => text(f?.by) && valuesOf(d, f.by) != null
    && (f.values != null ? listOf(f.values, Number.isFinite) : number(f.low) && number(f.high))
  return {
    progress: between(50, 100), view: oneOf('map', 'flow', 'matrix'), tab: oneOf('sessions', 'customers'),
      theme: oneOf('auto', 'light', 'dark'),
    colour: (x) => text(x) && colourChoices(d).some(([key]) => key === x), interest: among(d.K), session: among(d.n),
      user: among(d.users?.id.length ?? 0),
    rows: (x) => x === null || listOf(x, isRow), lasso: (x) => x === null
      || listOf(x, (p) => p?.length === 2 && p.every(Number.isFinite)), lasso_at: between(50, 100),
    why: text, search: text, merged: oneOf(true, false), filters: (x) => listOf(x, filter),
      pins: (x) => pin(x?.a ?? null) && pin(x?.b ?? null) && typeof x === 'object' && x !== null,
    edit: (x) => x === null || listOf(x?.clicks, (item) => item && within(item, d.meta.n_items + 1)) && x.clicks.length > 0
      && (x.temperature == null || between(1e-30, 1e30)(x.temperature)) && among(d.K)(x.proxy ?? null),
  }
}

function linkOf(state) {
  const changed = Object.fromEntries(Object.entries(state).filter(([key, x]) => key === 'version'
    || JSON.stringify(x) !== JSON.stringify(START[key])))
  const bytes = new TextEncoder().encode(JSON.stringify(changed))
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return `#v=${VERSION}.${btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`
}

/** The state that a link holds; null if it holds none. */
function stateOf(hash) {
  const match = /^#v=(\d+)\.([\w-]*)$/.exec(hash)
  if (!match) return null
  if (Number(match[1]) !== VERSION) return { version: Number(match[1]) }
  try {
    const bytes = Uint8Array.from(atob(match[2].replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return { version: 'that cannot be read' }
  }
}

/** The listed rows: {mask (n) of 0 and 1, rows}. */
function listedRows(d, state) {
  const mask = new Uint8Array(d.n).fill(1)
  const keep = (test) => { for (let row = 0; row < d.n; row++) if (mask[row] && !test(row)) mask[row] = 0 }
  const { proxy, user } = d.sessions
  if (state.interest !== null) {
    const lead = state.merged ? d.leads : null
    keep(lead ? (row) => lead[proxy[row]] === lead[state.interest] : (row) => proxy[row] === state.interest)
  }
  if (state.user !== null && user) keep((row) => user[row] === state.user)
  if (state.rows) {
    const chosen = new Uint8Array(d.n)
    for (const row of state.rows) chosen[row] = 1
    keep((row) => chosen[row])
  }
  if (state.lasso) {
    const inside = insideOf(d, state.lasso, state.lasso_at)
    keep((row) => inside[row])
  }
  for (const filter of state.filters) keep(testOf(d, filter, state.merged))
  const rows = new Uint32Array(d.n)
  let n = 0
  for (let row = 0; row < d.n; row++) if (mask[row]) rows[n++] = row
  return { mask, rows: rows.slice(0, n) }
}

function testOf(d, filter, merged) {
  const values = valuesOf(d, filter.by)
  if (filter.values) {
    const lead = merged && INTERESTS.includes(filter.by) ? d.leads : null
    const wanted = new Set(lead ? filter.values.filter((k) => k in lead).map((k) => lead[k]) : filter.values)
    return lead ? (row) => wanted.has(lead[values[row]]) : (row) => wanted.has(values[row])
  }
  const [low, high] = [filter.low ?? -Infinity, filter.high ?? Infinity]
  return (row) => values[row] >= low && values[row] <= high // NaN passes neither
}

/** Place of a row at a progress of 50 to 100. */
function placeOf(d, row, progress) {
  const { xy, half_xy: half } = d.sessions
  const t = half ? (progress - 50) / 50 : 1
  const [x, y] = [xy[2 * row], xy[2 * row + 1]]
  return t === 1 ? [x, y] : [half[2 * row] + t * (x - half[2 * row]), half[2 * row + 1] + t * (y - half[2 * row + 1])]
}

/** Rows (n) of 0 and 1 whose dots lie in a polygon of map units. */
function insideOf(d, polygon, progress) {
  const inside = new Uint8Array(d.n)
  const m = polygon.length
  const xs = Float64Array.from(polygon, (p) => p[0])
  const ys = Float64Array.from(polygon, (p) => p[1])
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)]
  const [y0, y1] = [Math.min(...ys), Math.max(...ys)]
  const { xy, half_xy: half } = d.sessions
  const t = half ? (progress - 50) / 50 : 1
  for (let row = 0; row < d.n; row++) {
    let [x, y] = [xy[2 * row], xy[2 * row + 1]]
    if (t < 1) { x = half[2 * row] + t * (x - half[2 * row]); y = half[2 * row + 1] + t * (y - half[2 * row + 1]) }
    if (!(x >= x0 && x <= x1 && y >= y0 && y <= y1)) continue
    let odd = 0
    for (let i = 0, j = m - 1; i < m; j = i++) {
      if (ys[i] > y !== ys[j] > y && x < (xs[j] - xs[i]) * (y - ys[i]) / (ys[j] - ys[i]) + xs[i]) odd ^= 1
    }
    inside[row] = odd
  }
  return inside
}

/** Chips: the active filters, each with the change of state that removes it. */
function chipsOf(d, state) {
  const chips = []
  const add = (text, patch) => chips.push({ text, patch })
  if (state.interest !== null) add(`interest: ${d.proxies[state.interest].name}`, { interest: null })
  if (state.user !== null) add(`customer: ${d.users.id[state.user]}`, { user: null })
  if (state.lasso) add('inside the lasso', { lasso: null })
  if (state.rows) add(state.why || 'chosen sessions', { rows: null, why: '', search: '' })
  for (const filter of state.filters) {
    add(filterText(d, filter), { filters: state.filters.filter((f) => f !== filter) })
  }
  if (state.merged) add('merged view', { merged: false })
  return chips
}

/** Words for values that are few. */
const WORDS = {
  compare: new Map([[-1, 'run A better'], [0, 'both alike'], [1, 'run B better']]),
  repeat: new Map([[0, 'last click is new'], [1, 'last click is a repeat']]),
}

function filterText(d, { by, low, high, values }) {
  if (Object.hasOwn(WORDS, by)) {
    const passes = (v) => (values ? values.includes(v) : v >= (low ?? -Infinity) && v <= (high ?? Infinity))
    return Array.from(WORDS[by], ([v, text]) => (passes(v) ? text : '')).filter(Boolean).join(' or ') || `${nameOf(by)}: –`
  }
  if (values) return `${nameOf(by)}: ${values.slice(0, 2).map((v) => labelOf(d, by, v)).join(', ')}${values.length > 2 ? ' …' : ''}`
  const column = d.columns.find((c) => `column:${c.name}` === by)
  const word = (x) => shown(x, column?.kind === 'date' ? 'date' : by)
  if (low != null && high != null) return low === high ? `${nameOf(by)} ${word(low)}` : `${nameOf(by)} ${word(low)} to ${word(high)}`
  if (low == null && high == null) return `${nameOf(by)} is known`
  return low != null ? `${nameOf(by)} at least ${word(low)}` : `${nameOf(by)} at most ${word(high)}`
}

/** The name of one value. */
function labelOf(d, by, value) {
  if (INTERESTS.includes(by)) return d.proxies[value]?.name ?? '–'
  if (by === 'user') return d.users?.id[value] ?? 'unknown'
  const column = d.columns.find((c) => `column:${c.name}` === by)
  return column?.kind === 'label' ? column.labels[value] ?? '–' : shown(value, column?.kind === 'date' ? 'date' : by)
}
