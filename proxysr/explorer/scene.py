"""What the panels look up: a run's view, with the indices that make looking quick.

All that takes longer than a moment is made here, once, so that a panel only looks up.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.choosing import proxy_vectors
from proxysr.analysis.profiles import proxy_table
from proxysr.data.sessions import PAD
from proxysr.models import ProxyModel

if TYPE_CHECKING:
    from proxysr.analysis.run_view import RunView

KNOWN_COLUMNS = (
    "session_id", "n_clicks", "proxy", "probability", "runner_up", "margin", "entropy",
    "user", "started_at",
)  # fmt: skip
"""Columns of the view's table that every run may have; others are metadata of its sessions."""


class Found(NamedTuple):
    """What a search found: rows of sessions, and the end of the sentence "41 sessions …"."""

    rows: npt.NDArray[np.int64]
    why: str


class Scene:
    """A run's view, indexed.

    Parameters
    ----------
    view : RunView
    """

    def __init__(self, view: RunView) -> None:
        self.view = view
        self.model: ProxyModel = view.model
        self.table: pd.DataFrame = view.table.reset_index(drop=True)
        self.items: pd.DataFrame = view.items
        self.sessions = view.sessions
        self.counts = view.item_counts
        self.vectors = proxy_vectors(self.model)
        self.has_users = "user" in self.table
        self.has_times = "started_at" in self.table
        users = pd.factorize(self.table["user"].replace("", None))[0] if self.has_users else None
        self.users = users
        self.proxies = proxy_table(self.table, proxies=self.vectors, users=users)
        self.by_size = np.argsort(-self.proxies["n_sessions"].to_numpy(), kind="stable")
        self.labels = [view.label(item) for item in range(1, len(self.items) + 1)]

    @property
    def n_proxies(self) -> int:
        """K."""
        return len(self.vectors)

    @property
    def temperature(self) -> float:
        """The temperature that the model chooses with."""
        return float(self.model.temperature)

    @property
    def metadata(self) -> list[str]:
        """Names of what else is known of the sessions."""
        return [str(name) for name in self.table if name not in KNOWN_COLUMNS]

    def clicks(self, row: int) -> npt.NDArray[np.int32]:
        """Item indices of a session, by its row in the table."""
        return self.sessions[row]

    def user(self, row: int) -> int:
        """Number of a session's user, -1 where unknown: some models learn what known users like."""
        return int(self.sessions.user_index[row])

    def label(self, item: int) -> str:
        """Title of an item, or its id where it has none."""
        return self.labels[item - 1] if item != PAD else ""

    def item_id(self, item: int) -> str:
        """The caller's id of an item."""
        return str(self.items["item_id"].iloc[item - 1])

    def values(self, column: str) -> npt.NDArray[np.float64]:
        """A column of the table as numbers (times: seconds since 1970), for filters and colours."""
        values = self.table[column]
        if pd.api.types.is_datetime64_any_dtype(values):
            seconds = values.to_numpy("datetime64[ns]").astype(np.int64) / 1e9
            return np.where(values.isna(), np.nan, seconds)
        return values.to_numpy(np.float64, na_value=np.nan)

    # -- search ----------------------------------------------------------------------------

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {str(name): row for row, name in enumerate(self.table["session_id"])}

    def session(self, session_id: str) -> int | None:
        """Row of a session, by the caller's id."""
        return self._ids.get(session_id)

    def proxy(self, text: str) -> int | None:
        """The proxy meant by "12" or "proxy 12"."""
        number = text.lower().removeprefix("proxy").strip()
        if number.isdecimal() and int(number) < self.n_proxies:
            return int(number)
        return None

    def rows_of(self, session_ids: list[str]) -> npt.NDArray[np.int64]:
        """Rows of the sessions of these ids, those that are here."""
        found = {self._ids[name] for name in session_ids if name in self._ids}
        return np.array(sorted(found), dtype=np.int64)

    @cached_property
    def _folded(self) -> list[str]:
        ids = self.items["item_id"].astype(str)
        return [f"{label}\n{name}".casefold() for label, name in zip(self.labels, ids, strict=True)]

    @cached_property
    def _popularity(self) -> npt.NDArray[np.int64]:
        return self.counts.total[1:]

    def items_like(self, text: str, limit: int | None = None) -> npt.NDArray[np.int64]:
        """Items whose title or id holds ``text``, those that begin with it first, then by count."""
        wanted = text.strip().casefold()
        if not wanted:
            return np.zeros(0, np.int64)
        at = np.array([text.find(wanted) for text in self._folded])
        hits = np.flatnonzero(at >= 0)
        order = np.lexsort((-self._popularity[hits], at[hits] > 0))
        return (hits[order] + 1)[:limit]

    def sessions_with(self, items: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Rows of the sessions that have one of these items."""
        wanted = np.zeros(len(self.items) + 1, dtype=bool)
        wanted[items] = True
        hits = np.add.reduceat(wanted[self.sessions.items].astype(np.int64),
                               self.sessions.offsets[:-1])  # fmt: skip
        return np.flatnonzero(hits > 0)

    def found(self, text: str) -> Found:
        """Sessions that have an item like ``text``."""
        items = self.items_like(text)
        return Found(self.sessions_with(items), f"have an item like “{text.strip()}”")
