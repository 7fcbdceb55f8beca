// The unpacked payload, and data derived from it.

/** @typedef {{n: number, K: number, meta, sessions, items, users, columns, proxies, compare, flow, offline}} Data */

const VERSION = 1
const ARRAYS = {
  f4: Float32Array, f8: Float64Array, i4: Int32Array, u4: Uint32Array,
  i2: Int16Array, u2: Uint16Array, u1: Uint8Array, i1: Int8Array,
}

/** The tree whose typed arrays lie in `buffer`; 2-d arrays stay flat. */
function unpack(header, buffer) {
  if (Array.isArray(header)) return header.map((x) => unpack(x, buffer))
  if (header === null || typeof header !== 'object') return header
  if ('$' in header) {
    return new ARRAYS[header.$](buffer, header.at, header.n.reduce((a, b) => a * b, 1))
  }
  return Object.fromEntries(Object.entries(header).map(([key, x]) => [key, unpack(x, buffer)]))
}

/** @returns {Data} */
function dataOf(header, buffer) {
  if (header?.format !== 'proxysr-explorer') throw new Error('These data are not from the explorer.')
  if (header.version !== VERSION) {
    throw new Error(`The data are of version ${header.version}, this page reads version ${VERSION}. `
      + 'Make the file again, or open the run with the proxysr that wrote it.')
  }
  const d = unpack(header, buffer)
  const s = d.sessions
  d.n = s.id.length
  d.K = d.proxies.length
  d.title = (item) => d.items.title[item] || d.items.id[item]
  d.byIndex = new Map(Array.from(d.items.index, (index, item) => [index, item]))
  d.clicks = (row) => s.clicks.subarray(s.offsets[row], s.offsets[row + 1])
  d.hasDates = Boolean(s.started) && s.started.some(known)
  d.hasHalf = Boolean(s.half_xy)
  d.months = lazily(() => monthsOf(s.started))
  d.weekdays = lazily(() => s.started.map((t) => (known(t) ? weekdayOf(t) : NaN)))
  d.userRows = lazily(() => grouped(s.user, d.users.id.length))
  d.proxies.forEach((_, k) => rename(d, k))
  d.leads = leadsOf(d.proxies)
  d.all = lazily(() => profile(d, Uint32Array.from({ length: d.n }, (_, i) => i)))
  return d
}

/** Give an interest its name; mixed and empty interests get their number. */
function rename(d, k, { name, by } = d.proxies[k]) {
  Object.assign(d.proxies[k], { name: by === 'mixed' || by === 'empty' ? `${name} ${k}` : name, by })
}

function lazily(make) {
  let value
  return () => (value ??= make())
}

/** Days since a Monday, from 0; times before 1970 are negative. */
function weekdayOf(seconds) {
  return ((Math.floor(seconds / 86400) + 3) % 7 + 7) % 7
}

/** Month of each session, counted from the first one's, whose number is `first`: 12 * year + month. */
function monthsOf(started) {
  const at = started.map((t) => {
    if (!known(t)) return NaN
    const date = dateOf(t)
    return date.getUTCFullYear() * 12 + date.getUTCMonth()
  })
  let [first, last] = [Infinity, -Infinity]
  for (const m of at) { if (m < first) first = m; if (m > last) last = m }
  const labels = []
  const cut = last - first < 1200 ? 2 : 0 // two digits name a year unless there is a century
  for (let m = first; m <= last; m++) labels.push(`${MONTHS[m % 12]} ${String(Math.floor(m / 12)).slice(cut)}`)
  return { at: at.map((m) => m - first), labels, first }
}

/** The filter of a month, by its number. */
function filterOfMonth(m) {
  const start = (month) => Date.UTC(Math.floor(month / 12), month % 12) / 1000
  return { by: 'started', low: start(m), high: below(start(m + 1)) }
}

/** The largest number below another. */
function below(x) {
  if (x === 0) return -Number.MIN_VALUE
  const numbers = Float64Array.of(x)
  new BigInt64Array(numbers.buffer)[0] += x > 0 ? -1n : 1n
  return numbers[0]
}

/** Rows of each group, as one array with offsets. */
function grouped(codes, n) {
  const offsets = new Uint32Array(n + 1)
  for (const c of codes) if (c >= 0) offsets[c + 1]++
  for (let c = 0; c < n; c++) offsets[c + 1] += offsets[c]
  const rows = new Uint32Array(offsets[n])
  const next = offsets.slice()
  codes.forEach((c, row) => { if (c >= 0) rows[next[c]++] = row })
  return (c) => rows.subarray(offsets[c], offsets[c + 1])
}

/** The interest that each is merged into, or itself. */
function leadsOf(proxies) {
  return Int16Array.from(proxies, (_, k) => {
    for (let step = 0; step < 9 && proxies[k].merged_into >= 0; step++) k = proxies[k].merged_into
    return k
  })
}

/** Values by which sessions are coloured, filtered and sorted; null if there are none. */
function valuesOf(d, by) {
  if (by.startsWith('column:')) return d.columns.find((c) => `column:${c.name}` === by)?.values ?? null
  if (by === 'compare') {
    return d.compare && (d.compare.sign ??= Float32Array.from(d.compare.rank, (b, row) => Math.sign(d.sessions.rank[row] - b)))
  }
  return Object.hasOwn(NAMES, by) ? d.sessions[by] ?? null : null
}

const NAMES = {
  proxy: 'interest', half_proxy: 'interest half-way', runner_up: 'runner-up', user: 'customer', n_clicks: 'clicks',
  started: 'date', probability: 'probability', margin: 'margin', rank: 'rank of the last click', since: 'led since click',
  met: 'interests on the way', repeat: 'last click is a repeat', compare: 'better run',
}
const nameOf = (by) => (by.startsWith('column:') ? by.slice(7) : NAMES[by] ?? by)

// -- profiles of sets of sessions --------------------------------------------------------------

/** Number of sessions with each item. */
function itemCounts(d, rows) {
  const counts = new Uint32Array(d.items.id.length)
  const last = new Uint32Array(counts.length)
  const { clicks, offsets } = d.sessions
  for (const row of rows) {
    for (let at = offsets[row]; at < offsets[row + 1]; at++) {
      const item = clicks[at]
      if (last[item] !== row + 1) { last[item] = row + 1; counts[item]++ }
    }
  }
  return counts
}

function histogram(values, rows, n) {
  const counts = new Float64Array(n)
  for (const row of rows) if (values[row] >= 0) counts[Math.min(n - 1, values[row])]++
  return counts
}

/** Values and their counts, the most frequent first; -1 is ignored. */
function tally(values) {
  const counts = new Map()
  for (const value of values) if (value >= 0) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1])
}

/** Recall at k of the last clicks, with Wilson's interval. */
function recallOf(d, rows) {
  let [n, hits] = [0, 0]
  for (const row of rows) {
    const rank = d.sessions.rank[row]
    if (known(rank)) { n++; hits += rank <= d.meta.k }
  }
  return wilson(hits, n)
}

function wilson(hits, n) {
  if (!n) return { value: NaN, low: NaN, high: NaN, n }
  const [p, z] = [hits / n, 1.96]
  const middle = (p + z * z / (2 * n)) / (1 + z * z / n)
  const half = z * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
  return { value: p, low: middle - half, high: middle + half, n }
}

/** Counts, dates, lengths and recall of some sessions; items by {@link typical}. */
function profile(d, rows) {
  const users = new Set()
  if (d.users) for (const row of rows) if (d.sessions.user[row] >= 0) users.add(d.sessions.user[row])
  return {
    rows, n: rows.length, users, counts: itemCounts(d, rows), recall: recallOf(d, rows),
    months: d.hasDates ? histogram(d.months().at, rows, d.months().labels.length) : null,
    weekdays: d.hasDates ? histogram(d.weekdays(), rows, 7) : null,
    lengths: histogram(d.sessions.n_clicks, rows, 16),
  }
}

/** Items that are significantly more frequent in sessions `a` than in the others (Bonferroni-corrected). */
function typical(d, a, all = d.all()) {
  const nOthers = all.n - a.n
  const candidates = []
  let tested = 0
  a.counts.forEach((x, item) => {
    const total = all.counts[item]
    if (total < 5 || !nOthers) return
    tested++
    const p = total / all.n
    const z = (x - 0.5 - a.n * p) / Math.sqrt(a.n * p * (1 - p) * nOthers / Math.max(1, all.n - 1) + 1e-9)
    if (x >= Math.min(5, a.n) && z > 2) candidates.push({ item, share: x / a.n, lift: x / a.n / p, z })
  })
  for (const entry of candidates) entry.p = Math.min(1, tested * tail(entry.z))
  return candidates.filter((entry) => entry.p < 0.05).sort((x, y) => y.z - x.z)
}

/** Upper tail of the normal distribution. */
function tail(z) {
  const t = 1 / (1 + 0.2316419 * z)
  const poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return poly * Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI)
}
