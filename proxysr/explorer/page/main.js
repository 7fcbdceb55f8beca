// Controls, theme, the learning curves, and the first drawing of everything.

function fillMenus() {
  const colour = byId("colour");
  colour.append(...COLOURINGS.map((by) => el("option", { value: by.id }, by.name)));
  colour.addEventListener("change", () => set({ colour: colour.value }));
  const proxy = byId("proxy");
  const used = order.filter((k) => DATA.proxies[k].n > 0), unused = order.filter((k) => DATA.proxies[k].n === 0);
  proxy.append(el("option", { value: "" }, "none"), ...used.map((k) => el("option", { value: k }, `${DATA.proxies[k].label} (${whole.format(DATA.proxies[k].n)})`)),
    ...unused.sort((a, b) => a - b).map((k) => el("option", { value: k }, `${proxyName(k)} (unused)`)));
  proxy.addEventListener("change", () => set({ proxy: proxy.value === "" ? null : Number(proxy.value), rows: null }));
  panels.push(() => { proxy.value = state.proxy === null ? "" : String(state.proxy); });
}

function wireControls() {
  for (const radio of document.querySelectorAll("input[name=moment]")) {
    radio.disabled = !DATA.half;
    radio.addEventListener("change", () => set({ moment: radio.value }));
  }
  let waiting = 0;
  byId("search").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => set({ query: event.target.value, open: null }), 120);
  });
  byId("clear").addEventListener("click", () => { byId("search").value = ""; set({ proxy: null, rows: null, query: "" }); });
  byId("previous").addEventListener("click", () => set({ page: state.page - 1, open: null }));
  byId("next").addEventListener("click", () => set({ page: state.page + 1, open: null }));
  byId("csv").addEventListener("click", saveCsv);
  byId("print").addEventListener("click", () => window.print());
  addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
  panels.push(() => { byId("clear").disabled = !isSelected() && !state.query; });
}

/** The figure with the page's colours in place of its own. */
function themed(figure) {
  const copy = structuredClone(figure), template = copy.layout.template.layout, line = variable("--line");
  delete copy.layout.width;
  delete copy.layout.title;
  Object.assign(copy.layout, { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 45, r: 15, t: 36, b: 40 } });
  template.font.color = variable("--ink");
  for (const axis of [template.xaxis, template.yaxis]) Object.assign(axis, { gridcolor: line, linecolor: line, tickcolor: line });
  return copy;
}

function drawCurves() {
  if (!DATA.curves) return;
  const { data, layout } = themed(DATA.curves);
  return Plotly.react(byId("curves"), data, layout, { displayModeBar: false, responsive: true });
}

function wireTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const name = () => { byId("theme").textContent = isDark() ? "Light" : "Dark"; };
  const redraw = async () => {
    name();
    showLegend();
    mapQueue = mapQueue.then(async () => {
      const look = mapLayout();
      await Plotly.relayout(map, Object.fromEntries(["font", "newselection", "modebar", "hoverlabel"].map((key) => [key, look[key]])));
      await Plotly.restyle(map, { "textfont.color": variable("--ink") }, [1]);
      await redrawMap(new Set(["colour", "proxy"]));
      await drawCurves();
    });
  };
  byId("theme").addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; redraw(); });
  dark.addEventListener("change", redraw);
  name();
}

fillMenus();
wireControls();
wireTheme();
showLegend();
showCard();
showHead();
showRows();
mapQueue = drawMap().then(drawCurves).then(() => { document.documentElement.dataset.ready = "true"; });
