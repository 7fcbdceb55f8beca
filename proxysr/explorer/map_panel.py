"""The map of sessions and proxies, with what moves and colours it."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np
import plotly.graph_objects as go

from proxysr.explorer import colouring, figure
from proxysr.explorer.live import Live
from proxysr.explorer.markup import esc, quiet
from proxysr.explorer.state import NONE, State, Store
from proxysr.plots.theme import GREY, VERMILION

MOVE_MS = 350
OUTLINED = "lie in the outline on the map"
SAMPLED = ", of those drawn"


class MapPanel(widgets.VBox):  # type: ignore[misc]
    """Sessions as points, proxies as circles: click or lasso to choose, colour, wind back.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store, self.scene = store, store.scene
        self.view = self.scene.view
        self._coloured_by = store.state.colour
        self._colours = colouring.colouring(self.scene, store.state.colour)
        self.map = go.FigureWidget(
            figure.map_figure(self.scene, self._codes(store.state), self._colours.scale)
        )
        self.map._config = self.map._config | {"scrollZoom": True, "displaylogo": False,
                                               "responsive": True}  # fmt: skip
        self.colour = widgets.Dropdown(
            options=colouring.choices(self.scene), value=store.state.colour,
            description="Colour by", tooltip="What the colours of sessions stand for",
        )  # fmt: skip
        has_half = self.view.half_positions is not None
        self.progress = widgets.IntSlider(
            value=100, min=50, max=100, step=10, description="Training", readout_format="d",
            disabled=not has_half, continuous_update=False,
            tooltip="Per cent of training, from half-way to the best epoch",
        )  # fmt: skip
        self.drift = widgets.ToggleButton(
            value=False, description="Drift", disabled=not has_half,
            tooltip="Draw how far proxies moved since half-way",
        )  # fmt: skip
        self.legend = Live()
        controls = widgets.HBox([self.colour, self.progress, self.drift])
        controls.add_class("px-controls")
        trust = widgets.HTML(quiet(str(self.view.projection_quality).replace("\n", " · ")))
        trust.add_class("px-trust")
        super().__init__([controls, self.map, self.legend, trust])
        self.add_class("px-panel")
        self.add_class("px-map")
        self._listen()

    def _listen(self) -> None:
        store = self.store
        self.colour.observe(lambda change: store.change(colour=change.new), "value")
        self.progress.observe(lambda change: store.change(progress=change.new), "value")
        self.drift.observe(lambda change: store.change(drift=change.new), "value")
        sessions, proxies = self.map.data[figure.SESSIONS], self.map.data[figure.PROXIES]
        sessions.on_click(lambda _, points, __: self._clicked(points.point_inds))
        sessions.on_selection(lambda _, points, __: self._lassoed(points.point_inds))
        sessions.on_deselect(lambda *_: store.choose_all())
        proxies.on_click(lambda _, points, __: self._clicked_proxy(points.point_inds))
        store.follow(self._controls, "colour", "progress", "drift")
        store.follow(self._recolour, "colour", "chosen", "shown")
        store.follow(self._move, "progress", "drift")
        store.follow(self._mark, "proxy", "session")
        store.follow(self._outline, "chosen")

    # -- what people do --------------------------------------------------------------------

    def _clicked(self, points: list[int]) -> None:
        if points:
            self.store.choose_session(int(self.view.drawn[points[0]]))

    def _clicked_proxy(self, points: list[int]) -> None:
        if points:
            self.store.choose_proxy(int(points[0]))

    def _lassoed(self, points: list[int]) -> None:
        rows = np.asarray(self.view.drawn)[np.asarray(points, dtype=np.int64)]
        rows = rows[self.store.state.shown[rows]]
        if len(rows):
            sampled = len(self.view.drawn) < len(self.scene.table)
            self.store.choose_rows(rows, OUTLINED + SAMPLED * sampled)

    # -- what the map shows ----------------------------------------------------------------

    def _controls(self, state: State) -> None:
        self.colour.value, self.progress.value = state.colour, state.progress
        self.drift.value = state.drift

    def _codes(self, state: State) -> Any:
        chosen = None if state.chosen is None else state.chosen.rows
        return colouring.shown(self._colours, state.shown, chosen)[self.view.drawn]

    def _recolour(self, state: State) -> None:
        marker = self.map.data[figure.SESSIONS].marker
        with self.map.batch_update():
            if state.colour != self._coloured_by:  # a selection or a filter needs no new colours
                self._coloured_by = state.colour
                self._colours = colouring.colouring(self.scene, state.colour)
                marker.colorscale = self._colours.scale
            codes = self._codes(state)
            if not np.array_equal(marker.color, codes):
                marker.color = codes
        self.legend.html = self._legend(state)

    def _outline(self, state: State) -> None:
        """Take away the outline once other sessions are chosen."""
        drawn_here = state.chosen is not None and state.chosen.why.startswith(OUTLINED)
        if not drawn_here and self.map.layout.selections:
            self.map.layout.selections = []

    def _move(self, state: State) -> None:
        view, data = self.view, self.map.data
        sessions = figure.moved(view.half_positions, view.positions, state.progress)
        proxies = figure.moved(view.half_proxy_positions, view.proxy_positions, state.progress)
        cloud, way = data[figure.SESSIONS], data[figure.DRIFT]
        with self.map.batch_update():
            if not np.array_equal(cloud.x, sessions[:, 0]):
                cloud.x, cloud.y = sessions[:, 0].copy(), sessions[:, 1].copy()
            if way.visible != state.drift:
                way.visible = state.drift
        circles = data[figure.PROXIES]
        if not np.array_equal(circles.x, proxies[:, 0]):
            with self.map.batch_animate(duration=MOVE_MS, easing="cubic-in-out"):
                circles.x, circles.y = proxies[:, 0].copy(), proxies[:, 1].copy()

    def _mark(self, state: State) -> None:
        """A ring around the proxy that is looked at, or that the session chose."""
        proxy = state.proxy
        if proxy == NONE and state.session != NONE:
            proxy = int(self.scene.table["proxy"].iloc[state.session])
        circles = self.map.data[figure.PROXIES]
        k = self.scene.n_proxies
        colours = [VERMILION if p == proxy else GREY for p in range(k)]
        widths = [3.0 if p == proxy else 1.2 for p in range(k)]
        if list(circles.marker.line.color or []) == colours:
            return
        with self.map.batch_update():
            circles.marker.line.color, circles.marker.line.width = colours, widths
            circles.text = figure.names(self.scene, also=proxy)

    def _legend(self, state: State) -> str:
        colours, drawn = self._colours, len(self.view.drawn)
        if colours.is_ramp:
            (_, least), (_, most) = colours.legend
            ramp = ", ".join(colouring.RAMP)
            entries = (
                f"<span>{esc(least)}</span><i class='px-ramp' "
                f"style='background:linear-gradient(90deg, {ramp})'></i><span>{esc(most)}</span>"
            )
        else:
            entries = "".join(
                f"<span><i style='background:{colour}'></i>{esc(name)}</span>"
                for colour, name in colours.legend
            )
        n, total = int(state.shown[self.view.drawn].sum()), len(self.scene.table)
        count = f"{n:,} of {total:,} sessions drawn"
        if drawn < total:
            count += " (a sample; tables count all)"
        note = f"<span>{esc(colours.note)}</span>" if colours.note else ""
        return f"<div class='px-legend'><div>{entries}{note}</div><div>{esc(count)}</div></div>"
