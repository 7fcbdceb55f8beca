// Selections as files of an offline page. Python reads what is written here, and what it writes is read here.

/** A space in Python; JavaScript has others. */
const SPACE = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]'
/** Beginning of a cell that a spreadsheet may compute, as in proxysr/text.py. */
const FORMULA = new RegExp(`^'*(?:${SPACE}*[=+\\-@]|[\\t\\r])`)
const PLAIN = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/

const withoutFormula = (text) => (FORMULA.test(text) && !PLAIN.test(text) ? `'${text}` : text)
const withFormula = (text) => (text.startsWith("'") && FORMULA.test(text) ? text.slice(1) : text)

const PROVENANCE = ['run', 'epoch', 'data', 'part']
const provenanceOf = ({ meta }) => ({ run: meta.title, epoch: meta.epoch, data: meta.data, part: meta.part })

/** The text of a file: the sessions, and the run, checkpoint, data and part that they are from. */
function selectionText(d, rows, format) {
  const provenance = provenanceOf(d)
  if (format === 'csv') return csvOf(Array.from(rows, (row) => ({ ...sessionRecord(d, row), ...provenance })))
  const clicks = (row) => Array.from(d.clicks(row), (item) => ({ item_id: d.items.id[item], title: d.title(item) }))
  const sessions = Array.from(rows, (row) => ({ ...sessionRecord(d, row), clicks: clicks(row) }))
  return `${JSON.stringify({ format: 'proxysr-selection', version: VERSION, provenance, sessions }, null, 1)}\n`
}

function sessionRecord(d, row) {
  const s = d.sessions
  return {
    session_id: s.id[row], user: d.users && s.user[row] >= 0 ? d.users.id[s.user[row]] : '',
    started_at: d.hasDates && known(s.started[row]) ? dateOf(s.started[row]).toISOString() : null,
    proxy: s.proxy[row], interest: d.proxies[s.proxy[row]]?.name ?? '', probability: Number(s.probability[row].toFixed(4)),
    n_clicks: s.n_clicks[row], since: s.since[row], rank: known(s.rank[row]) ? s.rank[row] : null,
  }
}

/** CSV without text that a spreadsheet would take for a formula. */
function csvOf(rows) {
  const cell = (x) => {
    const text = typeof x === 'string' ? withoutFormula(x) : String(x ?? '')
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  const lines = [Object.keys(rows[0] ?? { session_id: '' }), ...rows.map(Object.values)]
  return lines.map((line) => `${line.map(cell).join(',')}\r\n`).join('')
}

/** Rows of the sessions in a saved selection, and notes on what does not fit. */
function rowsOfFile(d, name, text) {
  const content = /\.json$/i.test(name) ? Object(JSON.parse(text)) : null
  const given = content ? idsOfJson(content) : idsOfCsv(text)
  if (!given) throw new Error('it names no sessions (a column “session_id” is needed).')
  const ids = [...new Set(given.map(String))] // a file may have one row a click
  const at = new Map(d.sessions.id.map((id, row) => [String(id), row]))
  const unknown = ids.filter((id) => !at.has(id))
  const notes = unknown.length ? [`${count(unknown.length)} of ${count(ids.length)} are not among these sessions, such as ${unknown[0].slice(0, 60)}.`] : []
  return { rows: ids.filter((id) => at.has(id)).map((id) => at.get(id)),
    notes: [...notes, ...notesOfOrigin(d, content ? Object(content.provenance) : provenanceOfCsv(text))] }
}

/** What Python says of a selection of other data, or of another run or epoch. */
function notesOfOrigin(d, saved) {
  const now = provenanceOf(d)
  const differs = (name) => name in saved && String(saved[name]) !== String(now[name])
  if (differs('data')) return ['The selection was saved from other data.']
  if (!differs('run') && !differs('epoch')) return []
  return [`The selection was saved from epoch ${saved.epoch ?? '?'} of ${saved.run ?? '?'}: its interests differ from those of epoch ${now.epoch} of ${now.run}.`]
}

/** The columns of the first line that tell the origin, if there are any. */
function provenanceOfCsv(text) {
  const [names, line] = cellsOfCsv(text, 2)
  if (!line) return {}
  return Object.fromEntries(PROVENANCE.filter((name) => names.includes(name)).map((name) => [name,
    withFormula(line[names.indexOf(name)] ?? '')]))
}

function idsOfJson({ sessions }) {
  return Array.isArray(sessions) && sessions.every((x) => x?.session_id != null) ? sessions.map((x) => x.session_id) : null
}

function idsOfCsv(text) {
  const [names, ...rows] = cellsOfCsv(text)
  const column = names?.indexOf('session_id') ?? -1
  return column < 0 ? null : rows.map((row) => withFormula(row[column] ?? ''))
}

/** Lines of cells. Quoted cells may hold commas, quotes and line ends; empty lines are left out. */
function cellsOfCsv(text, most = Infinity) {
  const lines = []
  let line = []
  for (let at = 0; at < text.length && lines.length < most; at++) {
    let cell = ''
    if (text[at] === '"') [cell, at] = quoted(text, at)
    const rest = /[^,\r\n]*/y
    rest.lastIndex = at
    cell += rest.exec(text)[0]
    at = rest.lastIndex
    line.push(cell)
    if (text[at] === ',' && at + 1 < text.length) continue
    if (text[at] === '\r' && text[at + 1] === '\n') at++
    if (line.length > 1 || line[0]) lines.push(line)
    line = []
  }
  return lines
}

/** The text of a quoted cell, and the place after it. */
function quoted(text, at) {
  let cell = ''
  for (;;) {
    const end = text.indexOf('"', at + 1)
    if (end < 0) throw new Error('a quote is not closed.')
    cell += text.slice(at + 1, end)
    if (text[end + 1] !== '"') return [cell, end + 1]
    cell += '"' // two stand for one
    at = end + 1
  }
}
