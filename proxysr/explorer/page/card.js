// The card beside the map: one proxy, a lasso's sessions, or the list of all proxies.

const card = byId("card");

function facts(pairs) {
  return el("dl", { class: "facts" }, ...pairs.filter(Boolean).map(([name, value, hint]) =>
    el("div", { title: hint }, el("dt", {}, name), el("dd", {}, value))));
}

/** Pairs of bars, selection beside all sessions, as a small picture. */
function bars(name, labels, of, rows, every = 1) {
  const shares = (some) => {
    const sums = labels.map(() => 0);
    let n = 0;
    for (const row of some) {
      const at = of(row);
      if (at === null) continue;
      sums[at] += 1;
      n += 1;
    }
    return sums.map((sum) => sum / Math.max(1, n));
  };
  const [mine, all] = [shares(rows), shares(everyRow)];
  const most = Math.max(...mine, ...all, 1e-9);
  const width = 300, height = 54, step = width / labels.length;
  const picture = el("svg", { viewBox: `0 0 ${width} ${height + 14}`, role: "img", class: "bars", "aria-label":
    `${name}: ` + labels.map((label, i) => `${label} ${percent(mine[i])} (all ${percent(all[i])})`).join(", ") });
  labels.forEach((label, i) => {
    const tall = (share) => (height - 4) * (share / most);
    picture.append(el("g", {},
      el("title", {}, `${label}: ${percent(mine[i])}; of all sessions ${percent(all[i])}`),
      el("rect", { x: i * step, y: 0, width: step, height, class: "hit" }),
      el("rect", { x: i * step + step * 0.12, y: height - tall(mine[i]), width: step * 0.76, height: tall(mine[i]), class: "mine" }),
      el("line", { x1: i * step + step * 0.04, x2: (i + 0.96) * step, y1: height - tall(all[i]), y2: height - tall(all[i]), class: "all" })));
    if (i % every === 0) picture.append(el("text", { x: (i + 0.5) * step, y: height + 11, "text-anchor": "middle" }, label));
  });
  return el("figure", {}, el("figcaption", {}, name), picture);
}

function profiles(rows) {
  const ends = [2, 3, 4, 5, 7, 10, 15, 25]; // lengths up to each of these, and longer
  const lengths = ends.map((end, i) => (i && ends[i - 1] + 1 < end ? `${ends[i - 1] + 1}–${end}` : i ? `${end}` : "≤ 2"));
  const box = el("div", { class: "profiles" });
  box.append(bars("Clicks a session", [...lengths, "> 25"], (row) => {
    const at = ends.findIndex((end) => S.n_clicks[row] <= end);
    return at < 0 ? ends.length : at;
  }, rows));
  if (S.started) {
    const moment = (row, get) => (S.started[row] === null ? null : get(new Date(1000 * S.started[row])));
    box.append(
      bars("Hour of the first click", Array.from({ length: 24 }, (_, h) => String(h)), (row) => moment(row, (d) => d.getUTCHours()), rows, 4),
      bars("Day of the week", ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"], (row) => moment(row, (d) => (d.getUTCDay() + 6) % 7), rows));
  }
  box.append(el("p", { class: "muted small" }, "Bars: the selection. Lines: all sessions of this page." +
    (S.started ? " Times as in the log." : "")));
  return box;
}

function itemTable(items) {
  if (!items.length) return el("p", { class: "muted" }, "No item to show.");
  const tested = items[0].length > 4;
  const best = Math.max(...items.map((item) => item[2]), 1e-9);
  return el("table", { class: "items" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Item"), el("th", { scope: "col", class: "number" }, "Sessions"),
      el("th", { scope: "col", class: "number", title: "share of these sessions that have the item, divided by the share of all sessions" }, "Lift"),
      tested ? el("th", { scope: "col", class: "number", title: "hypergeometric test, corrected for the number of items (Benjamini-Hochberg)" }, "p") : null)),
    el("tbody", {}, ...items.map(([item, n, share, lift, p]) => {
      const name = el("td", { class: "item", title: DATA.items.ids[item] }, title(item));
      name.style.setProperty("--share", `${(100 * share) / best}%`);
      return el("tr", {}, name, el("td", { class: "number" }, whole.format(n)), el("td", { class: "number" }, `${decimal(lift, lift < 10 ? 1 : 0)}×`),
        tested ? el("td", { class: "number" }, smallP(p)) : null);
    })));
}

const clearButton = () => el("button", { type: "button", class: "link", click: () => { set({ proxy: null, rows: null }); byId("card").focus(); } }, "← all proxies");

/** Of many sessions: how many chose each proxy, the most frequent first. */
function proxiesOf(rows) {
  const chosen = choice().proxy;
  return [...tally(rows.map((row) => chosen[row]))].sort((a, b) => b[1] - a[1]);
}

function proxyButton(proxy, ...more) {
  return el("button", { type: "button", class: "chip", click: () => set({ proxy, rows: null }) }, String(proxy), ...more);
}

function proxyCard() {
  const proxy = state.proxy, about = DATA.proxies[proxy], rows = rowsOf(proxy), half = state.moment === "half";
  const mean = (values) => (rows.length ? rows.reduce((sum, row) => sum + values[row], 0) / rows.length : null);
  const known = users ? new Set(rows.map(userOf).filter(Boolean)).size : null;
  const states = { unused: "No session chose this proxy.", duplicate: "This proxy nearly equals another one." };
  const nearest = half ? [] : about.nearest;
  return [
    clearButton(),
    el("h3", {}, proxyName(proxy), half ? " at 50 %" : ""),
    half ? null : el("p", { class: "label" }, proxyAbout(proxy)),
    !half && states[about.state] ? el("p", { class: "notice" }, states[about.state]) : null,
    facts(half
      ? [["Sessions", `${whole.format(rows.length)} (${percent(rows.length / N)})`], known === null ? null : ["Users", whole.format(known)],
        ["Probability", decimal(rows.length ? mean(choice().probability) / 1000 : null), "mean weight of the proxy in the sessions that chose it"],
        ["Clicks", decimal(mean(S.n_clicks), 1), "mean length"]]
      : [["Sessions", `${whole.format(about.n)} (${percent(about.share)})`], about.users === null ? null : ["Users", whole.format(about.users)],
        ["Probability", decimal(about.probability), "mean weight of the proxy in the sessions that chose it"],
        ["Entropy", decimal(about.entropy), "nats; 0 if one proxy takes all the weight"], ["Clicks", decimal(about.n_clicks, 1), "mean length"]]),
    half ? el("p", { class: "muted small" }, "Half-way figures are of the sessions of this page.") : null,
    rows.length ? el("h4", {}, "Top items") : null,
    rows.length || about.items.length ? itemTable(half ? topItems(rows, 12) : about.items) : null,
    nearest.length ? el("h4", {}, "Nearest proxies") : null,
    nearest.length ? el("p", { class: "chips" }, ...nearest.map(([other, cosine]) => proxyButton(other, el("small", {}, ` cos ${decimal(cosine)}`)))) : null,
    rows.length ? el("h4", {}, "Profile") : null,
    rows.length ? profiles(rows) : null,
  ];
}

function lassoCard() {
  const rows = state.rows, found = proxiesOf(rows);
  const known = users ? new Set(rows.map(userOf).filter(Boolean)).size : null;
  if (!rows.length) return [clearButton(), el("h3", {}, "Nothing selected"), el("p", {}, "No session lies in the area that was drawn.")];
  return [
    clearButton(),
    el("h3", {}, `${count(rows.length, "session")} selected`),
    facts([["Share", percent(rows.length / N)], known === null ? null : ["Users", whole.format(known)], ["Proxies", whole.format(found.length)],
      ["Clicks", decimal(rows.reduce((sum, row) => sum + S.n_clicks[row], 0) / rows.length, 1), "mean length"]]),
    el("h4", {}, "Proxies"),
    el("p", { class: "chips" }, ...found.slice(0, 10).map(([proxy, n]) => proxyButton(proxy, el("small", {}, ` ${percent(n / rows.length)}`))),
      found.length > 10 ? ` and ${found.length - 10} more` : ""),
    el("h4", {}, "Top items"), itemTable(topItems(rows, 12)), el("h4", {}, "Profile"), profiles(rows),
  ];
}

function overviewCard() {
  const found = proxiesOf(everyRow), most = found.length ? found[0][1] : 1;
  const unused = K - found.length;
  return [
    el("h3", {}, `${count(found.length, "proxy", "proxies")} in use at ${state.moment === "half" ? "50" : "100"} %`),
    el("p", { class: "muted small" }, "Choose one here or on the map, or draw a line around sessions."),
    el("ul", { class: "proxies" }, ...found.map(([proxy, n]) => {
      const swatch = el("span", { class: "swatch" });
      swatch.style.background = colourOfProxy(proxy);
      const button = el("button", { type: "button", click: () => { set({ proxy, rows: null }); card.focus(); }, "aria-label":
        `${proxyName(proxy)}, ${count(n, "session")}: ${DATA.proxies[proxy].label}` },
        swatch, el("span", { class: "name" }, state.moment === "half" ? proxyName(proxy) : DATA.proxies[proxy].label), el("span", { class: "number" }, whole.format(n)));
      button.style.setProperty("--share", `${(100 * n) / most}%`);
      return el("li", {}, button);
    })),
    unused ? el("p", { class: "muted small" }, `${count(unused, "proxy", "proxies")} of ${K} chosen by no session of this page.`) : null,
  ];
}

function showCard() {
  const parts = state.rows ? lassoCard() : state.proxy !== null ? proxyCard() : overviewCard();
  card.replaceChildren(...parts.filter(Boolean));
  card.scrollTop = 0;
}
panels.push((changed) => {
  if (["moment", "proxy", "rows"].some((name) => changed.has(name))) showCard();
});
