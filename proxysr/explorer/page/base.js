// Data, state and small helpers. All text of the data reaches the page by textContent alone.

const DATA = JSON.parse(document.getElementById("data").textContent);
const S = DATA.sessions;
const N = S.id.length;
const K = DATA.proxies.length;
const byId = (id) => document.getElementById(id);

/** An element with attributes (functions become listeners) and children (strings become text). */
function el(tag, attributes = {}, ...children) {
  const svg = ["svg", "rect", "line", "text", "title", "g"].includes(tag);
  const node = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const whole = new Intl.NumberFormat("en");
const count = (n, one, many = one + "s") => `${whole.format(n)} ${n === 1 ? one : many}`;
const percent = (share) =>
  share === null ? "–" : `${(100 * share).toFixed(share > 0 && share < 0.0995 ? 1 : 0)} %`;
const decimal = (value, places = 2) =>
  value === null || value === undefined ? "–" : value.toFixed(places);
const short = (value) =>
  value === null ? "–" : Math.abs(value) >= 100 || Number.isInteger(value)
    ? whole.format(Math.round(value)) : String(Number(value.toPrecision(3)));
const smallP = (p) => (p < 0.001 ? "< 0.001" : p.toFixed(3));
const date = (seconds) =>
  seconds === null ? "–" : new Date(1000 * seconds).toISOString().slice(0, 16).replace("T", " ");
const day = (seconds) => date(seconds).slice(0, 10);

const title = (item) => DATA.items.titles[item];
const proxyName = (proxy) => `Proxy ${proxy}`;
/** A proxy's label without its number. */
const proxyAbout = (proxy) => DATA.proxies[proxy].label.replace(/^\d+ · /, "");
const users = S.user || null;
const userOf = (row) => (users && users.values[row] >= 0 ? users.labels[users.values[row]] : "");
const example = new Map(S.examples.row.map((row, place) => [row, place]));

const state = {
  moment: "full", // or "half": which checkpoint is shown
  colour: "proxy",
  proxy: null, // the chosen proxy, or
  rows: null, // the sessions in a lasso
  query: "",
  sort: null, // [column, 1 or -1]
  page: 0,
  open: null, // the session whose clicks are shown
};
const panels = [];

/** The one way to change the page: panels are told which parts of the state changed. */
function set(changes) {
  const selects = "proxy" in changes || "rows" in changes || "moment" in changes;
  if (selects || "query" in changes || "sort" in changes) changes = { page: 0, ...changes };
  if (selects) changes = { open: null, ...changes };
  Object.assign(state, changes);
  for (const panel of panels) panel(new Set(Object.keys(changes)));
}

/** What the sessions chose at the checkpoint that is shown. */
const choice = () => (state.moment === "half" && DATA.half ? DATA.half : S);

const everyRow = Array.from({ length: N }, (_, row) => row);
function rowsOf(proxy) {
  const chosen = choice().proxy;
  return everyRow.filter((row) => chosen[row] === proxy);
}

/** The sessions of the selection; all of them if nothing is selected. */
function selectedRows() {
  if (state.rows) return state.rows;
  return state.proxy === null ? everyRow : rowsOf(state.proxy);
}
const isSelected = () => state.rows !== null || state.proxy !== null;

/** In how many of the sessions each item occurs, Map item -> count. */
function itemCounts(rows) {
  const counts = new Map();
  for (const row of rows)
    for (const item of new Set(S.clicks[row])) counts.set(item, (counts.get(item) || 0) + 1);
  return counts;
}

let countsOfAll = null;
/** The items that set the selection apart, by the lower end of the lift's 95 % interval: [item, count, share, lift]. */
function topItems(rows, limit) {
  countsOfAll = countsOfAll || itemCounts(everyRow);
  const n = rows.length, z2 = 1.959964 ** 2;
  const low = (p) => (p + z2 / (2 * n) - Math.sqrt(z2 * ((p * (1 - p)) / n + z2 / (4 * n * n)))) / (1 + z2 / n);
  return [...itemCounts(rows)]
    .map(([item, k]) => ({ item, k, share: k / n, ofAll: countsOfAll.get(item) / N }))
    .sort((a, b) => low(b.share) / b.ofAll - low(a.share) / a.ofAll ||
      DATA.items.index[a.item] - DATA.items.index[b.item])
    .slice(0, limit)
    .map(({ item, k, share, ofAll }) => [item, k, share, share / ofAll]);
}

const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
