// Colours that colour-blind readers can distinguish: Okabe and Ito's hues, and a ramp of rising lightness.

const HUES = ['#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#B8A800']
const SHADES = [...HUES, ...HUES.map((hue) => mixed(hue, '#000000', 0.38)), ...HUES.map((hue) => mixed(hue, '#ffffff', 0.42))]
const RAMP = ['#440154', '#414487', '#2a788e', '#22a884', '#7ad151', '#e8d81d']
const GREY = '#9aa3ab'
const NONE = 255
const BANDS = [[1, 1, '1'], [2, 5, '2–5'], [6, 20, '6–20'], [21, 100, '21–100'], [101, null, 'above 100']]

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16))
}

function mixed(a, b, t) {
  const [x, y] = [rgb(a), rgb(b)]
  return `#${x.map((v, i) => Math.round(v + t * (y[i] - v)).toString(16).padStart(2, '0')).join('')}`
}

function ramp(t) {
  const at = Math.min(0.9999, Math.max(0, t)) * (RAMP.length - 1)
  return mixed(RAMP[Math.floor(at)], RAMP[Math.floor(at) + 1], at % 1)
}

/** Two hues by sign, white or black in the middle: below and above 0. */
function diverging(t, dark) {
  const middle = dark ? '#23292e' : '#f7f7f4'
  return mixed(middle, t < 0 ? '#0072B2' : '#D55E00', Math.min(1, Math.abs(t)) * 0.9)
}

/** Black or white, whichever is read better on a colour. */
function inkOn(colour) {
  const [r, g, b] = rgb(colour).map((v) => (v / 255) ** 2.2)
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? '#111111' : '#ffffff'
}

/** A shade for each interest, largest first: the one that differs most from its neighbours' shades. */
function proxyColours(d) {
  const order = [...d.proxies.keys()].sort((a, b) => d.proxies[b].n - d.proxies[a].n)
  const given = new Int16Array(d.K).fill(-1)
  for (const k of order) {
    const here = d.proxies[k].xy
    const cost = SHADES.map((_, shade) => shade / 1000)
    for (const j of order) {
      const there = d.proxies[j].xy
      if (given[j] < 0 || !here || !there) continue
      const near = 1 / (0.01 + Math.hypot(here[0] - there[0], here[1] - there[1]))
      for (let shade = 0; shade < SHADES.length; shade++) {
        cost[shade] += near * (shade === given[j] ? 1 : shade % HUES.length === given[j] % HUES.length ? 0.4 : 0)
      }
    }
    given[k] = cost.indexOf(Math.min(...cost))
  }
  return given
}

/** Values that sessions can be coloured by. */
function colourChoices(d) {
  const keys = ['proxy', 'user', 'n_clicks', 'started', 'probability', 'margin', 'rank']
  const choices = keys.filter((key) => valuesOf(d, key) && (key !== 'started' || d.hasDates)).map((key) => [key, nameOf(key)])
  return [...choices, ...d.columns.map((c) => [`column:${c.name}`, c.name])]
}

/**
 * Codes of all dots (0 to 254 in a palette of 256 colours, NONE for none), and the legend: entries of a colour, a text
 * and the filter that picks them.
 * @returns {{codes: Uint8Array, palette: string[], legend: {colour, text, filter}[]}}
 */
function coloured(d, by, merged) {
  const values = valuesOf(d, by)
  const column = d.columns.find((c) => `column:${c.name}` === by)
  if (by === 'proxy') return byProxy(d, merged)
  if (by === 'user' || column?.kind === 'label') return byLabel(d, by, values)
  if (by === 'rank') return byBand(values)
  return byRamp(values, by, column)
}

function byProxy(d, merged) {
  const shade = Uint8Array.from(d.shade)
  const codes = Uint8Array.from(d.sessions.proxy, (k) => (k < 0 ? NONE : shade[merged ? d.leads[k] : k]))
  return { codes, palette: SHADES, legend: [] } // the list of interests is the legend
}

function byLabel(d, by, values) {
  const labels = tally(values).map(([v]) => v)
  const top = labels.slice(0, HUES.length)
  const at = new Map(top.map((v, i) => [v, i]))
  const legend = top.map((v, i) => ({ colour: HUES[i], text: labelOf(d, by, v), filter: { by, values: [v] } }))
  if (labels.length > top.length) {
    const rest = labels.slice(top.length)
    legend.push({ colour: GREY, text: `${count(rest.length)} others`, filter: { by, values: rest } })
  }
  return { codes: Uint8Array.from(values, (v) => at.get(v) ?? NONE), palette: HUES, legend }
}

function byBand(values) {
  const palette = BANDS.map((_, i) => ramp(0.92 - 0.23 * i))
  const codes = Uint8Array.from(values, (v) => {
    const band = BANDS.findIndex(([low, high]) => v >= low && (high === null || v <= high))
    return band < 0 ? NONE : band
  })
  return { codes, palette, legend: BANDS.map(([low, high, text], i) => ({ colour: palette[i], text, filter: { by: 'rank', low, high } })) }
}

function byRamp(values, by, column) {
  const sorted = Float64Array.from(values).filter(known).sort()
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))]
  const isShare = by === 'probability' || by === 'margin'
  const [low, high] = isShare ? [0, 1] : [at(0.02), at(0.98)]
  const logs = !isShare && by !== 'started' && column?.kind !== 'date' && low > 0 && high / low > 8
  const turn = logs ? Math.log : (x) => x
  const back = logs ? Math.exp : (x) => x
  const scale = (x) => (turn(x) - turn(low)) / (turn(high) - turn(low) || 1)
  const codes = Uint8Array.from(values, (v) => (known(v) ? Math.min(254, Math.max(0, Math.round(254 * scale(v)))) : NONE))
  const palette = Array.from({ length: 255 }, (_, i) => ramp(i / 254))
  const integers = by === 'n_clicks'
  const legend = [0, 1, 2, 3, 4].map((i) => {
    const edge = (step) => { const x = back(turn(low) + step / 5 * (turn(high) - turn(low))); return integers ? Math.round(x) : x }
    const [from, to] = [edge(i), integers && i < 4 ? Math.max(edge(i), edge(i + 1) - 1) : edge(i + 1)]
    const filter = { by, low: i ? from : null, high: i < 4 ? to : null }
    return { colour: ramp((i + 0.5) / 5), text: shown(from, column?.kind === 'date' ? 'date' : by), filter }
  })
  return { codes, palette, legend: sorted.length ? legend : [] }
}
