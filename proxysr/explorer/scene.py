"""A run on display: its view, its payload, and a lock for the model."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from proxysr.analysis.run_view import RunView
from proxysr.explorer.packing import pack
from proxysr.explorer.payload import payload
from proxysr.run import RunDir

Ints = npt.NDArray[np.int64]


class Scene:
    """The state shared by all hosts of the page.

    Parameters
    ----------
    view : RunView
    compare : RunDir, str or Path, optional
        A second run of the same data.
    **options
        Passed on to :func:`proxysr.explorer.payload.payload`.

    Attributes
    ----------
    tree : dict
        The payload.
    rows : int64 (n,)
        Rows of the view's table that the page shows.
    lock : Lock
        Held while the model or the names are used, because requests may be concurrent.
    """

    def __init__(
        self, view: RunView, *, compare: RunDir | str | Path | None = None, **options: Any
    ) -> None:
        self.view = view
        second = compare if compare is None or isinstance(compare, RunDir) else RunDir(compare)
        result = payload(view, compare=second, **options)
        self.tree, self.rows = result.tree, result.rows
        self.lock = threading.Lock()

    def begin(self, **state: Any) -> None:
        """Set the state that pages start with: parts of :data:`proxysr.explorer.state.START`."""
        self.tree["start"] = self.tree.get("start", {}) | state

    @cached_property
    def _packed(self) -> tuple[dict[str, Any], bytes]:
        return pack(self.tree)

    def packed(self) -> tuple[dict[str, Any], bytes]:
        """The payload as JSON and bytes, with the current start state and names."""
        header, blob = self._packed
        for proxy, entry in enumerate(self.tree["proxies"]):
            entry |= self.view.interest(proxy)._asdict()
        start = {"start": self.tree["start"]} if "start" in self.tree else {}
        return header | start | {"proxies": pack(self.tree["proxies"])[0]}, blob

    def clicks(self, row: int) -> list[int]:
        """Item indices of a session, by its row on the page."""
        return [int(item) for item in self.view.sessions[int(self.rows[row])]]

    def user_of_row(self, row: int) -> int:
        """Number of a session's user in the data, -1 where unknown."""
        return int(self.view.sessions.user_index[self.rows[row]])

    @cached_property
    def _user_index(self) -> dict[int, int]:
        numbers = self.tree["sessions"]["user"]
        if numbers is None:
            return {}
        indices = self.view.sessions.user_index[self.rows]
        return dict(zip(numbers.tolist(), indices.tolist(), strict=True))

    def user(self, number: int) -> int:
        """User index in the data, by the number on the page; -1 if unknown."""
        return self._user_index.get(number, -1)

    @cached_property
    def page_rows(self) -> dict[str, int]:
        """Row on the page of each session shown, by the caller's id."""
        ids = self.view.table["session_id"].to_numpy()[self.rows]
        return {str(name): row for row, name in enumerate(ids)}

    def item(self, index: int) -> dict[str, Any]:
        """Index, id and title of an item."""
        ids = self.view.items["item_id"]
        return {"index": index, "id": str(ids.iloc[index - 1]), "title": self.view.label(index)}

    @cached_property
    def _folded(self) -> list[str]:
        ids = self.view.items["item_id"].astype(str)
        titles = (self.view.label(item) for item in range(1, len(ids) + 1))
        return [f"{title}\n{name}".casefold() for title, name in zip(titles, ids, strict=True)]

    def items_like(self, text: str, limit: int) -> list[int]:
        """Items whose title or id contains a text; those that begin with it first, by count."""
        part = text.strip().casefold()
        if not part:
            return []
        at = np.array([text.find(part) for text in self._folded])
        hits = np.flatnonzero(at >= 0)
        order = np.lexsort((-self.view.item_counts.total[1:][hits], at[hits] > 0))
        return [int(item) for item in hits[order][:limit] + 1]
