"""The table of sessions: all that are chosen and pass the filters, searched, sorted, by pages."""

from __future__ import annotations

import ipywidgets as widgets
import numpy as np
import pandas as pd

from proxysr.config import require, unknown
from proxysr.explorer.card import sentence
from proxysr.explorer.live import Live
from proxysr.explorer.markup import button, clip, esc, quiet, table
from proxysr.explorer.scene import Scene
from proxysr.explorer.state import Rows, State, Store

PAGE = 12
N_TITLES = 3
HEADS = {
    "session_id": "session",
    "started_at": "began",
    "user": "user",
    "n_clicks": "clicks",
    "proxy": "proxy",
    "probability": "prob.",
}
NUMBERS = ("n_clicks", "proxy", "probability")


class SessionsPanel(widgets.VBox):  # type: ignore[misc]
    """Rows of sessions, sorted by any column; pressing one looks at it.

    What the table alone concerns (order, page, words searched for) is kept here.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store, self.scene = store, store.scene
        self.sort, self.descending, self.page = "", False, 0
        self._ordered: Rows = store.state.listed
        self.search = widgets.Text(
            placeholder="Search these: title or id of an item, session id",
            continuous_update=False, tooltip="Search the listed sessions",
        )  # fmt: skip
        actions = {
            "session": lambda value: store.choose_session(int(value)),
            "sort": self.sort_by,
            "page": lambda value: self.turn_to(int(value)),
        }
        self.rows = Live(actions)
        bar = widgets.HBox([widgets.HTML("<h3>Sessions</h3>"), self.search])
        bar.add_class("px-controls")
        super().__init__([bar, self.rows])
        self.add_class("px-panel")
        self.add_class("px-sessions")
        self.search.observe(lambda _: self._relist(store.state), "value")
        store.follow(self._relist, "listed")
        store.follow(self._draw, "session")

    @property
    def n_pages(self) -> int:
        """How many pages the listed sessions fill; at least 1."""
        return max(1, -(-len(self._ordered) // PAGE))

    def sort_by(self, column: str) -> None:
        """Sort by a column; once more, the other way round."""
        require(column in HEADS, unknown(column, HEADS, "column of the table"))
        first_down = column in NUMBERS
        self.descending = not self.descending if column == self.sort else first_down
        self.sort = column
        self._relist(self.store.state)

    def turn_to(self, page: int) -> None:
        """Show another page, the first being 0."""
        self.page = min(max(page, 0), self.n_pages - 1)
        self._draw(self.store.state)

    def _relist(self, state: State) -> None:
        rows = searched(self.scene, state.listed, self.search.value)
        self._ordered = ordered(self.scene.table, rows, self.sort, descending=self.descending)
        self.page = 0
        self._draw(state)

    def _draw(self, state: State) -> None:
        start = self.page * PAGE
        rows = self._ordered[start : start + PAGE]
        self.rows.html = self._head(state) + self._table(rows, state.session) + self._foot()

    def _head(self, state: State) -> str:
        text = f"{sentence(self.scene, state)}."
        if self.search.value.strip():
            text += f" {len(self._ordered):,} of them match “{self.search.value.strip()}”."
        return quiet(text)

    def _table(self, rows: Rows, chosen: int) -> str:
        if len(rows) == 0:
            return quiet("No session to list. Widen the filters, or search for something else.")
        names = [name for name in HEADS if name in self.scene.table]
        head = [self._sorter(name) for name in names] + ["items"]
        body = []
        for row in rows:
            values = self.scene.table.iloc[row]
            cells = [_cell(name, values[name], int(row), int(row) == chosen) for name in names]
            body.append([*cells, _items(self.scene, int(row))])
        return table(head, body, style="px-rows")

    def _sorter(self, name: str) -> str:
        arrow = {True: " ↓", False: " ↑"}[self.descending] if name == self.sort else ""
        label = button("sort", name, HEADS[name] + arrow, style="px-sort",
                       title=f"Sort by {HEADS[name]}{arrow}")  # fmt: skip
        return (">" if name in NUMBERS else "") + label

    def _foot(self) -> str:
        last = self.n_pages - 1
        steps = [("«", 0, "First page"), ("‹", self.page - 1, "Page before"),
                 ("›", self.page + 1, "Next page"), ("»", last, "Last page")]  # fmt: skip
        buttons = "".join(
            button("page", to, sign, title=title, style="px-icon") for sign, to, title in steps
        )
        return (
            f'<footer class="px-pager"><span>page {self.page + 1:,} of {last + 1:,}</span>'
            f"{buttons}</footer>"
        )


def ordered(frame: pd.DataFrame, rows: Rows, column: str, *, descending: bool) -> Rows:
    """Rows sorted by a column of the table; ties, and unknown values last, in the order of rows."""
    if not column:
        return rows
    values = frame[column].iloc[rows].reset_index(drop=True)
    order = values.sort_values(ascending=not descending, kind="stable", na_position="last").index
    found: Rows = rows[order.to_numpy()]
    return found


def searched(scene: Scene, rows: Rows, text: str) -> Rows:
    """Those of the rows whose session id is ``text``, begins with it, or that have such an item."""
    text = text.strip()
    if not text:
        return rows
    ids = scene.table["session_id"].iloc[rows].astype(str).to_numpy(np.str_)
    by_id = np.char.startswith(ids, text)
    with_item = np.zeros(len(scene.table), dtype=bool)
    with_item[scene.found(text).rows] = True
    hits: Rows = rows[by_id | with_item[rows]]
    return hits


def _cell(name: str, value: object, row: int, chosen: bool) -> str:
    if name == "session_id":
        return button("session", row, str(value), style="px-link", pressed=chosen,
                      title=f"Look at session {value}")  # fmt: skip
    if value is None or value != value or value == "":
        return "–"
    if name == "started_at":
        return esc(pd.Timestamp(str(value)).strftime("%Y-%m-%d"))
    if name == "probability":
        return f"{value:.2f}"
    return f"{value:,}" if name == "n_clicks" else esc(value)


def _items(scene: Scene, row: int) -> str:
    """The first few different items of a session."""
    items = list(dict.fromkeys(map(int, scene.clicks(row))))
    text = ", ".join(scene.label(item) for item in items[:N_TITLES])
    text += ", …" if len(items) > N_TITLES else ""
    return clip(text)
