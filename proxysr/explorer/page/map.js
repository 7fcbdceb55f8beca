// The map: sessions as points, proxies as rings; a click or a lasso selects.

const map = byId("map");
const order = DATA.proxies.map((_, k) => k).sort((a, b) => DATA.proxies[b].n - DATA.proxies[a].n);
const placeOf = new Map(order.map((proxy, place) => [proxy, place]));
const colourOfProxy = (proxy) => DATA.palette[placeOf.get(proxy) % DATA.palette.length];
const escaped = (text) =>
  text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** Between two colours of the palette by way of grey, for numbers. */
function ramp(share) {
  const [low, middle, high] = [DATA.palette[1], "#9a9a9a", DATA.palette[0]].map((hex) =>
    [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  const [a, b, t] = share < 0.5 ? [low, middle, 2 * share] : [middle, high, 2 * share - 1];
  return `rgb(${a.map((v, i) => Math.round(v + t * (b[i] - v))).join(",")})`;
}

/** The choices of the colour menu: id, name, and values or labels of every session. */
function colourings() {
  const found = [{ id: "proxy", name: "proxy", proxy: true }];
  if (users && users.labels.length) found.push({ id: "user", name: "user", ...users });
  found.push({ id: "n_clicks", name: "length (clicks)", values: S.n_clicks, show: short });
  if (S.started) found.push({ id: "started", name: "date", values: S.started, show: day });
  found.push({ id: "probability", name: "probability", show: (v) => decimal(v / 1000), choice: true });
  DATA.columns.forEach((column, place) => {
    const show = column.kind === "date" ? day : short;
    found.push({ id: `column-${place}`, show, ...column });
  });
  return found;
}
const COLOURINGS = colourings();

/** A colour for every session, and what the legend says. */
function coloured() {
  const by = COLOURINGS.find((entry) => entry.id === state.colour);
  const other = variable("--faint");
  if (by.proxy) {
    const seen = tally(choice().proxy);
    const first = order.filter((proxy) => seen.has(proxy)).slice(0, DATA.palette.length);
    return {
      colours: choice().proxy.map(colourOfProxy),
      entries: first.map((proxy) => [colourOfProxy(proxy), `${proxyName(proxy)} (${whole.format(seen.get(proxy))})`]),
      note: seen.size > first.length ? `and ${seen.size - first.length} more; their colours repeat` : "",
    };
  }
  if (by.labels) {
    const shown = by.labels.slice(0, DATA.palette.length);
    const seen = tally(by.values);
    const rest = N - shown.reduce((sum, _, place) => sum + (seen.get(place) || 0), 0);
    return {
      colours: by.values.map((value) => (value >= 0 && value < shown.length ? DATA.palette[value] : other)),
      entries: shown.map((label, place) => [DATA.palette[place], `${label} (${whole.format(seen.get(place) || 0)})`]),
      note: rest ? `others or unknown (${whole.format(rest)}) in grey` : "",
    };
  }
  const values = by.choice ? choice().probability : by.values;
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  const at = (share) => known[Math.min(known.length - 1, Math.floor(share * known.length))];
  const [low, high] = known.length ? [at(0.02), at(0.98)] : [0, 1]; // a few extremes hide nothing
  const share = (value) => Math.min(1, Math.max(0, high > low ? (value - low) / (high - low) : 0.5));
  return {
    colours: values.map((value) => (value === null ? other : ramp(share(value)))),
    ends: known.length ? [by.show(low), by.show(high)] : ["unknown", "unknown"],
    note: known.length < N ? `unknown (${whole.format(N - known.length)}) in grey` : "",
  };
}

/** How often each value occurs. */
function tally(values) {
  const seen = new Map();
  for (const value of values) seen.set(value, (seen.get(value) || 0) + 1);
  return seen;
}

const gl = DATA.webgl && Boolean(document.createElement("canvas").getContext("webgl"));
const still = matchMedia("(prefers-reduced-motion: reduce)").matches || gl;

function places() {
  const half = state.moment === "half" && DATA.half;
  return { points: half ? DATA.half.xy : S.xy, proxies: half ? DATA.half_proxy_xy : DATA.proxy_xy };
}

/** Rings of the proxies: sizes by sessions, numbers for the largest. */
function rings() {
  const seen = tally(choice().proxy);
  const most = Math.max(1, ...seen.values());
  const sizes = DATA.proxies.map((_, k) => (seen.has(k) ? 9 + 19 * Math.sqrt(seen.get(k) / most) : 5));
  const named = new Set([...seen.keys()].sort((a, b) => seen.get(b) - seen.get(a)).slice(0, 40));
  const chosen = state.proxy;
  return {
    "marker.size": [sizes],
    "marker.color": [DATA.proxies.map((_, k) => (seen.has(k) ? variable("--ink") : variable("--faint")))],
    "marker.line.width": [DATA.proxies.map((_, k) => (k === chosen ? 4 : seen.has(k) ? 1.4 : 1))],
    text: [DATA.proxies.map((_, k) => (named.has(k) || k === chosen ? String(k) : ""))],
    hovertext: [DATA.proxies.map((proxy, k) =>
      `<b>${proxyName(k)}</b><br>${escaped(proxyAbout(k))}<br>${count(seen.get(k) || 0, "session")} here`)],
  };
}

const hoverTexts = () => everyRow.map((row) => {
  const last = title(S.clicks[row].at(-1));
  return `${escaped(S.id[row])} · ${count(S.n_clicks[row], "click")} · proxy ${choice().proxy[row]} ` +
    `(${decimal(choice().probability[row] / 1000)})<br>last: ${escaped(last)}`;
});

function mapLayout() {
  const axis = { visible: false, showgrid: false, zeroline: false };
  const span = (values) => {
    const known = values.filter((value) => value !== null); // too many for Math.min(...known)
    return [known.reduce((a, b) => Math.min(a, b), DATA.grid), known.reduce((a, b) => Math.max(a, b), 0)];
  };
  const [xs, ys] = [0, 1].map((at) => span([S.xy, DATA.proxy_xy, DATA.half && DATA.half.xy, DATA.half_proxy_xy]
    .filter(Boolean).flatMap((xy) => xy[at])));
  const room = ([low, high]) => [low - 350, high + 350];
  return {
    xaxis: { ...axis, range: room(xs) },
    yaxis: { ...axis, range: room(ys), scaleanchor: "x" },
    margin: { l: 4, r: 4, t: 4, b: 4 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    showlegend: false,
    dragmode: "lasso",
    hovermode: "closest",
    font: { color: variable("--ink"), family: "Helvetica, Arial, sans-serif", size: 12 },
    newselection: { line: { color: variable("--ink"), width: 1.5 } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: variable("--muted"), activecolor: variable("--ink") },
    hoverlabel: { bgcolor: variable("--panel"), bordercolor: variable("--line"), font: { color: variable("--ink") } },
  };
}

function drawMap() {
  const { points, proxies } = places();
  const { colours } = coloured();
  const size = N > 8000 ? 3.5 : N > 2500 ? 5 : 6.5;
  const traces = [
    {
      type: gl ? "scattergl" : "scatter", mode: "markers", x: points[0], y: points[1],
      marker: { size, color: colours, opacity: 0.8, line: { width: 0 } },
      unselected: { marker: { opacity: 0.07 } }, selected: { marker: { opacity: 0.95 } },
      hovertext: hoverTexts(), hovertemplate: "%{hovertext}<extra></extra>",
    },
    {
      type: "scatter", mode: "markers+text", x: proxies[0], y: proxies[1],
      marker: { symbol: "circle-open", size: 9, line: { width: 1 } },
      textfont: { size: 11, color: variable("--ink"), weight: 700 }, textposition: "middle center",
      hovertemplate: "%{hovertext}<extra></extra>", cliponaxis: false,
      unselected: { marker: { opacity: 1 } },
    },
  ];
  const config = {
    displaylogo: false, responsive: true, displayModeBar: true,
    modeBarButtons: [["lasso2d", "select2d", "pan2d", "zoom2d", "resetScale2d", "toImage"]],
    toImageButtonOptions: { filename: "proxies", scale: 2 },
  };
  return Plotly.newPlot(map, traces, mapLayout(), config)
    .then(() => Plotly.restyle(map, rings(), [1]))
    .then(() => {
      map.on("plotly_click", ({ points: [point] }) => {
        if (point.curveNumber === 1) set({ proxy: point.pointNumber, rows: null });
        else set({ proxy: choice().proxy[point.pointNumber], rows: null, open: point.pointNumber });
      });
      map.on("plotly_selected", (event) => {
        if (!event || !(event.lassoPoints || event.range)) return; // none drawn: an outline was removed
        const rows = event.points.filter((p) => p.curveNumber === 0).map((p) => p.pointNumber);
        set({ proxy: null, rows: rows.sort((a, b) => a - b) });
      });
      map.on("plotly_deselect", () => set({ proxy: null, rows: null }));
    });
}

async function redrawMap(changed) {
  const { points, proxies } = places();
  if (changed.has("colour") || changed.has("moment")) {
    showLegend();
    await Plotly.restyle(map, { "marker.color": [coloured().colours] }, [0]);
  }
  if (changed.has("moment")) {
    await Plotly.restyle(map, { hovertext: [hoverTexts()] }, [0]);
    const data = [{ x: points[0], y: points[1] }, { x: proxies[0], y: proxies[1] }];
    if (still) await Plotly.restyle(map, { x: data.map((d) => d.x), y: data.map((d) => d.y) }, [0, 1]);
    else {
      const smooth = { duration: 700, easing: "cubic-in-out" };
      await Plotly.animate(map, { data, traces: [0, 1] }, { transition: smooth, frame: { duration: 700, redraw: false } });
      await Plotly.redraw(map); // moved texts may be lost otherwise
    }
  }
  if (changed.has("proxy") || changed.has("rows") || changed.has("moment")) {
    await Plotly.restyle(map, rings(), [1]);
    const rows = isSelected() ? selectedRows() : null;
    await Plotly.restyle(map, { selectedpoints: [rows] }, [0]);
    if ((map.layout.selections || []).length) await Plotly.relayout(map, { selections: [] });
  }
}

let mapQueue = Promise.resolve();
panels.push((changed) => {
  mapQueue = mapQueue.then(() => redrawMap(changed));
});

function showLegend() {
  const { entries, ends, note } = coloured();
  const legend = byId("legend");
  legend.replaceChildren();
  for (const [colour, text] of entries || []) {
    const swatch = el("span", { class: "swatch" });
    swatch.style.background = colour;
    legend.append(el("span", { class: "key" }, swatch, text));
  }
  if (ends) {
    const bar = el("span", { class: "ramp" });
    bar.style.background = `linear-gradient(90deg, ${[0, 0.5, 1].map(ramp).join(",")})`;
    legend.append(el("span", { class: "key" }, ends[0], bar, ends[1]));
  }
  if (note) legend.append(el("span", { class: "key muted" }, note));
}
