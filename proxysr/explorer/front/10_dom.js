// Elements and words. Text of data only ever becomes text nodes and attributes: no markup is parsed.

const SVG_SPACE = 'http://www.w3.org/2000/svg'

/** Set attributes: `on…` listens, `style` takes an object (custom properties too), null is left out. */
function dress(el, attrs) {
  for (const [key, value] of Object.entries(attrs)) {
    if (value == null || value === false) continue
    if (key.startsWith('on')) el.addEventListener(key.slice(2), value)
    else if (key === 'style') for (const [k, v] of Object.entries(value)) el.style.setProperty(k, v)
    else el.setAttribute(key, value === true ? '' : value)
  }
  return el
}

/** `h('button.small', {onclick}, 'text', child…)`; null children are left out. */
function h(tag, attrs, ...kids) {
  const [name, ...classes] = tag.split('.')
  const el = document.createElement(name)
  if (classes.length) el.className = classes.join(' ')
  if (name === 'button') el.type = 'button'
  return add(dress(el, attrs ?? {}), kids)
}

/** The same for SVG. */
function svg(tag, attrs, ...kids) {
  return add(dress(document.createElementNS(SVG_SPACE, tag), attrs ?? {}), kids)
}

function add(el, kids) {
  el.append(...kids.flat(Infinity).filter((kid) => kid != null && kid !== false))
  return el
}

/** Replace what is in an element, keeping the focus on the control of the same name. */
function refill(el, ...kids) {
  const active = el.getRootNode().activeElement
  const key = active && el.contains(active) && (active.dataset.key ?? active.getAttribute('aria-label'))
  el.replaceChildren()
  add(el, kids)
  if (!key) return
  const again = [...el.querySelectorAll('[data-key],[aria-label]')]
    .find((x) => (x.dataset.key ?? x.getAttribute('aria-label')) === key)
  again?.focus({ preventScroll: true })
}

// -- words for numbers ------------------------------------------------------------------------

const known = (x) => x != null && !Number.isNaN(x)
const NUMBER = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const count = (n) => NUMBER.format(n)
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? '' : 's'}`
const percent = (x, digits = 0) => (known(x) ? `${(100 * x).toFixed(digits)} %` : '–')
const rate = (x) => (known(x) ? x.toFixed(3).replace('-', '−').replace(/^(−?)0\./, '$1.') : '–')
const signed = (x) => (known(x) ? (x >= 0 ? '+' : '−') + rate(Math.abs(x)) : '–')
const range = (low, high) => (known(low) && known(high) ? `${rate(low)} to ${rate(high)}` : 'no interval')
const small = (p) => (!known(p) ? '' : p < 0.001 ? 'p < .001' : `p ${rate(p)}`)
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')
const WEEKDAYS = 'Mon Tue Wed Thu Fri Sat Sun'.split(' ')

/** A Date, which would round times before 1970 up. */
const dateOf = (seconds) => new Date(Math.floor(seconds * 1000))

function day(seconds) {
  if (!known(seconds)) return '–'
  const date = dateOf(seconds)
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`
}

/** One number as its unit would have it. */
function shown(value, by) {
  if (!known(value)) return '–'
  if (by === 'started' || by === 'date') return day(value)
  if (by === 'probability' || by === 'margin') return percent(value)
  return Number.isInteger(value) ? count(value) : value.toPrecision(3)
}

// -- small controls ---------------------------------------------------------------------------

/** The first `n` items of a list, and a button for the rest. */
function firstOf(list, n, draw) {
  if (list.length <= n + 1) return list.map(draw)
  const more = h('li', {}, h('button.more', {
    onclick: () => {
      const rest = list.slice(n).map(draw)
      more.replaceWith(...rest)
      rest[0].querySelector('button')?.focus()
    },
  }, `and ${count(list.length - n)} more`))
  return [...list.slice(0, n).map(draw), more]
}

function select(label, options, value, onpick) {
  const el = h('select', { 'aria-label': label, onchange: () => onpick(el.value) })
  for (const [key, text] of options) el.append(h('option', { value: key, selected: key === value }, text))
  return el
}

/** A row of buttons of which one is pressed; arrows move. */
function choice(label, options, value, onpick, role = 'tab') {
  const pressed = role === 'tab' ? 'aria-selected' : 'aria-checked'
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!step) return
    const at = options.findIndex(([key]) => key === value)
    const next = options[(at + step + options.length) % options.length][0]
    const root = el.getRootNode() // what is pressed may be drawn anew
    event.preventDefault()
    onpick(next)
    root.querySelector(`[data-key="${label}-${next}"]`)?.focus()
  }
  const el = h('div.choice', { role: role === 'tab' ? 'tablist' : 'radiogroup', 'aria-label': label, onkeydown: move })
  for (const [key, text] of options) {
    const on = key === value
    el.append(h('button', {
      role, [pressed]: String(on), tabindex: on ? 0 : -1, 'data-key': `${label}-${key}`, 'data-testid': `${label}-${key}`,
      onclick: () => onpick(key),
    }, text))
  }
  return el
}

/** An element and the sign after it, which no line end parts. */
const joined = (el, sign) => h('span.joined', {}, el, sign)
const swatch = (colour) => h('i.swatch', { 'aria-hidden': 'true', style: { '--c': colour } })
const section = (title, ...kids) => h('section.block', {}, h('h3', {}, title), ...kids)

/** Save bytes as a file of the visitor. */
function download(name, parts, type) {
  const link = h('a', { href: URL.createObjectURL(new Blob(parts, { type })), download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
}
