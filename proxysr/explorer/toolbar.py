"""The top of the page: what is looked at, a search, filters, light and dark."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import pandas as pd

from proxysr.explorer.live import Live
from proxysr.explorer.markup import esc, quiet
from proxysr.explorer.state import State, Store

THEMES = {"as the page": "auto", "light": "light", "dark": "dark"}
DAY = 86400.0


class Toolbar(widgets.VBox):  # type: ignore[misc]
    """Title, notes, search and filters.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store, self.scene = store, store.scene
        self.search = widgets.Text(
            placeholder="Find a title, a session id, or “proxy 12”", continuous_update=False,
            tooltip="Chooses the sessions that have such an item, the session, or the proxy",
        )  # fmt: skip
        self.theme = widgets.Dropdown(
            options=THEMES, value=store.state.theme, description="Theme", tooltip="Light or dark"
        )
        self.said = Live()
        title = widgets.HTML(self._title())
        top = widgets.HBox([title, self.search, self.theme])
        top.add_class("px-top")
        filters = widgets.HBox(self._filters())
        filters.add_class("px-controls")
        notes = widgets.HTML("".join(quiet(note) for note in self.scene.view.notes))
        notes.add_class("px-notes")
        super().__init__([top, filters, notes, self.said])
        self.add_class("px-toolbar")
        self.search.observe(lambda change: self._search(change.new), "value")
        self.theme.observe(lambda change: store.change(theme=change.new), "value")
        store.follow(self._forget, "listed", "session")

    def _title(self) -> str:
        view, run = self.scene.view, self.scene.view.run
        about = f"epoch {run.best_epoch} · part “{view.part}” · {len(self.scene.table):,} sessions"
        return f"<h2>{esc(run.path.name)}<small>{esc(about)}</small></h2>"

    def _filters(self) -> list[widgets.Widget]:
        n_clicks = self.scene.values("n_clicks")
        most = int(n_clicks.max())
        self.probability = widgets.FloatRangeSlider(
            value=(0.0, 1.0), min=0.0, max=1.0, step=0.01, description="Probability",
            readout_format=".2f", continuous_update=False, tooltip="Weight of the chosen proxy",
        )  # fmt: skip
        self.length = widgets.IntRangeSlider(
            value=(1, most), min=1, max=max(most, 2), description="Clicks", readout_format="d",
            continuous_update=False, tooltip="Length of the session",
        )  # fmt: skip
        self._follow_range(self.probability, "probability")
        self._follow_range(self.length, "n_clicks")
        found: list[widgets.Widget] = [self.probability, self.length]
        if self.scene.has_times and self.scene.table["started_at"].notna().any():
            found.append(self._dates())
        return found

    def _dates(self) -> widgets.Widget:
        times = self.scene.values("started_at")
        first, last = np.floor(np.nanmin(times) / DAY), np.floor(np.nanmax(times) / DAY)
        days = np.unique(np.linspace(first, last, int(min(last - first + 1, 400))).astype(int))
        options = [(str(pd.Timestamp(int(day) * DAY, unit="s").date()), int(day)) for day in days]
        self.dates = widgets.SelectionRangeSlider(
            options=options, index=(0, len(options) - 1), description="Dates",
            continuous_update=False, tooltip="When the session began",
        )  # fmt: skip

        def heard(change: widgets.widget.Bunch) -> None:
            low, high = change.new
            self.store.filter("started_at", low * DAY, (high + 1) * DAY - 1e-6)

        self.dates.add_class("px-dates")
        self.dates.observe(heard, "value")
        return self.dates

    def _follow_range(self, slider: widgets.Widget, column: str) -> None:
        slider.observe(lambda change: self.store.filter(column, *map(float, change.new)), "value")

    def _search(self, text: str) -> None:
        text = text.strip()
        if not text:
            self.store.choose_all()
            return
        row, proxy = self.scene.session(text), self.scene.proxy(text)
        if row is not None:
            self.store.choose_session(row)
        elif proxy is not None and text.lower().startswith("proxy"):
            self.store.choose_proxy(proxy)
        else:
            found = self.scene.found(text)
            if len(found.rows):
                self.store.choose_rows(found.rows, found.why)
            else:
                self.said.html = quiet(f"Nothing here has “{text}” in a title or an id.")

    def _forget(self, _: State) -> None:
        self.said.html = ""
