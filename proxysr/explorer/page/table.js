// The sessions of the selection: searchable, sortable, in pages; a row opens to its clicks.

const PAGE = 20;
const body = byId("rows");
const lastTitles = (row) => S.clicks[row].slice(-4).map(title).join(" → ");

function tableColumns() {
  const rank = (row) => (example.has(row) ? S.examples.rank[example.get(row)] : null);
  const found = [{ name: "Session", sort: (row) => S.id[row], show: (row) => S.id[row], wide: "id" }];
  if (users) found.push({ name: "User", sort: userOf, show: (row) => userOf(row) || "–" });
  if (S.started) found.push({ name: "Started", sort: (row) => S.started[row], show: (row) => date(S.started[row]), wide: "date" });
  found.push(
    { name: "Clicks", number: true, sort: (row) => S.n_clicks[row], show: (row) => whole.format(S.n_clicks[row]) },
    { name: "Proxy", number: true, sort: (row) => choice().proxy[row], show: (row) => String(choice().proxy[row]) },
    { name: "Probability", number: true, sort: (row) => choice().probability[row], show: (row) => decimal(choice().probability[row] / 1000, 3) },
    { name: "Runner-up", number: true, sort: (row) => choice().runner_up[row], show: (row) => (choice().runner_up[row] < 0 ? "–" : String(choice().runner_up[row])) });
  if (DATA.half) {
    const other = () => (choice() === S ? DATA.half : S);
    found.push({ name: () => (choice() === S ? "At 50 %" : "At 100 %"), number: true, sort: (row) => other().proxy[row], show: (row) => String(other().proxy[row]) });
  }
  found.push({ name: "Rank of next", number: true, hint: "rank of the last click, recommended after all clicks before it (by the proxy chosen then, which may be another than the one shown); – where it was not computed or does not count",
    sort: rank, show: (row) => (rank(row) === null ? "–" : short(rank(row))) });
  for (const column of DATA.columns.slice(0, 3)) {
    const text = { label: (v) => column.labels[v] ?? "–", date, number: short }[column.kind];
    found.push({ name: column.name, number: column.kind === "number", sort: (row) => (column.kind === "label" ? column.labels[column.values[row]] ?? "" : column.values[row]), show: (row) => text(column.values[row]) });
  }
  found.push({ name: "Latest clicks", sort: lastTitles, show: lastTitles, wide: "clicks" });
  return found;
}
const COLUMNS = tableColumns();
const columnName = (column) => (typeof column.name === "function" ? column.name() : column.name);

/** What the search looks at beside items: ids, users, labels. */
const haystack = everyRow.map((row) => [S.id[row], userOf(row), ...DATA.columns.map((column) =>
  column.kind === "label" ? column.labels[column.values[row]] ?? "" : "")].join("\n").toLowerCase());
const itemText = DATA.items.titles.map((name, item) => `${name}\n${DATA.items.ids[item]}`.toLowerCase());

/** The selection's sessions that have every word of the search, in order. */
function shownRows() {
  let rows = selectedRows();
  for (const word of state.query.toLowerCase().split(/\s+/).filter(Boolean)) {
    const items = new Set(itemText.flatMap((text, item) => (text.includes(word) ? [item] : [])));
    rows = rows.filter((row) => haystack[row].includes(word) || S.clicks[row].some((item) => items.has(item)));
  }
  if (!state.sort) return rows;
  const [place, direction] = state.sort;
  const keys = new Map(rows.map((row) => [row, COLUMNS[place].sort(row)]));
  const unknown = (key) => key === null || key === "";
  return [...rows].sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    if (unknown(x) || unknown(y)) return unknown(x) - unknown(y); // unknown ones last, both ways
    return direction * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y) || a - b;
  });
}

function showHead() {
  byId("head").replaceChildren(...COLUMNS.map((column, place) => {
    const mine = state.sort && state.sort[0] === place ? state.sort[1] : 0;
    const button = el("button", { type: "button", title: column.hint, click: () => {
      set({ sort: mine === 1 ? [place, -1] : mine === -1 ? null : [place, 1] });
      byId("head").children[place].firstChild.focus();
    } }, columnName(column), el("span", { "aria-hidden": "true", class: "arrow" }, mine === 1 ? " ▲" : mine === -1 ? " ▼" : ""));
    return el("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": mine === 1 ? "ascending" : mine === -1 ? "descending" : "none" }, button);
  }));
}

/** The most probable proxy after click n of an example, by the model at 100 %. */
function proxyAfter(row, n) {
  if (!example.has(row) || choice() !== S) return null;
  const path = S.examples.path[example.get(row)], likely = S.examples.likely[example.get(row)];
  const at = n - (S.clicks[row].length - path.length); // only the latest clicks are read
  return at < 0 ? null : el("small", { class: "muted", title: "most probable proxy after this click, and its probability" }, ` → ${path[at]} · ${decimal(likely[at] / 1000)}`);
}

function openRow(row) {
  const clicks = el("ol", { class: "clicks" }, ...S.clicks[row].map((item, n) => el("li", { title: DATA.items.ids[item] }, title(item), proxyAfter(row, n))));
  const detail = el("div", { class: "detail" }, el("div", {}, el("h4", {}, "Clicks, oldest first"), clicks));
  if (!example.has(row)) {
    const why = S.clicks[row].length < 2 ? "A session of one click leaves nothing to predict."
      : `Recommendations are kept for ${count(example.size, "session")} of this page; this is none of them.`;
    detail.append(el("div", {}, el("h4", {}, "Recommended"), el("p", { class: "muted" }, why)));
    return detail;
  }
  const place = example.get(row), rank = S.examples.rank[place], next = S.clicks[row].at(-1);
  const said = rank === null ? "it repeats an earlier click, which the task does not count" : `rank ${short(rank)} of ${whole.format(DATA.n_items)} items`;
  detail.append(el("div", {}, el("h4", {}, "True next item"), el("p", {}, el("strong", {}, title(next)), ` – ${said}`),
    el("h4", {}, "Recommended after all clicks but the last"),
    el("ol", { class: "clicks" }, ...S.examples.top[place].map((item) =>
      el("li", { class: item === next ? "hit" : null, title: DATA.items.ids[item] }, title(item), item === next ? " ✓ the true next" : "")))));
  return detail;
}

function showRows() {
  const rows = shownRows(), selected = selectedRows();
  if (state.open !== null && rows.includes(state.open)) state.page = Math.floor(rows.indexOf(state.open) / PAGE);
  const last = Math.max(0, Math.ceil(rows.length / PAGE) - 1);
  state.page = Math.min(state.page, last);
  body.replaceChildren();
  for (const row of rows.slice(state.page * PAGE, (state.page + 1) * PAGE)) {
    const open = state.open === row;
    const toggle = () => { set({ open: open ? null : row }); focusRow(row); };
    body.append(el("tr", { tabindex: "0", "data-row": row, "aria-expanded": String(open), class: open ? "open" : null, click: toggle, keydown: (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); toggle(); }
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) { event.preventDefault(); stepFrom(event.currentTarget, step); }
    } }, ...COLUMNS.map((column) => el("td", { class: [column.number ? "number" : "", column.wide || ""].join(" ").trim() || null, title: column.wide === "clicks" ? column.show(row) : null }, column.show(row)))));
    if (open) body.append(el("tr", { class: "details" }, el("td", { colspan: COLUMNS.length }, openRow(row))));
  }
  if (!rows.length) body.append(el("tr", {}, el("td", { colspan: COLUMNS.length, class: "muted" }, selected.length ? "No session of the selection has all these words." : "The selection holds no session.")));
  const what = state.rows ? "in the selected area" : state.proxy !== null ? `of ${proxyName(state.proxy)}` : "on this page";
  byId("found").textContent = (state.query ? `${whole.format(rows.length)} of ` : "") + `${count(selected.length, "session")} ${what}`;
  byId("pages").textContent = `Page ${state.page + 1} of ${last + 1}`;
  byId("previous").disabled = state.page === 0;
  byId("next").disabled = state.page === last;
}

const focusRow = (row) => body.querySelector(`[data-row="${row}"]`)?.focus();
function stepFrom(line, step) {
  const lines = [...body.querySelectorAll("[data-row]")];
  lines[lines.indexOf(line) + step]?.focus();
}

/** The shown sessions as a file: raw ids, choice, and the ids of the clicked items. */
function saveCsv() {
  const quoted = (value) => `"${String(value).replace(/"/g, '""')}"`;
  const lines = [["session_id", "user", "proxy", "probability", "items"].join(",")];
  for (const row of shownRows())
    lines.push([S.id[row], userOf(row), choice().proxy[row], choice().probability[row] / 1000, S.clicks[row].map((item) => DATA.items.ids[item]).join(" ")].map(quoted).join(","));
  const link = el("a", { href: URL.createObjectURL(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" })), download: "sessions.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

panels.push((changed) => {
  if (changed.has("sort") || changed.has("moment")) showHead();
  showRows();
});
