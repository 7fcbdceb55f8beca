"""Prepared clicks as they come home from the database: arrays, the parts of a split, its tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from proxysr.data.engines import Engine
from proxysr.data.expressions import MIDDLE, SESSIONS_PER_USER
from proxysr.data.ids import packed
from proxysr.data.sessions import Sessions, SessionSplit

SHORTEST = 2
"""Clicks a session needs: one to start from and one to predict."""
MICROSECONDS = 1e6
COUNTS = ("interactions", "items", "sessions", "users")

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


class Account:
    """What was done to the tables of a preparation, in steps, with counts after each."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.steps: list[dict[str, Any]] = []

    def note(self, step: str, **counts: int | None) -> None:
        """Add a step to the account."""
        self.steps.append({"step": step} | {name: counts.get(name) for name in COUNTS})

    def counts(self, clicks: Any) -> dict[str, int]:
        """Interactions, items, sessions and users of a clicks table."""
        counts = clicks.aggregate(
            interactions=clicks.count(),
            items=clicks.item.nunique(),
            sessions=clicks.session.nunique(),
            users=clicks.user.nunique(),
        )
        (row,) = self.engine.home(counts).to_pylist()
        return {name: int(row[name]) for name in COUNTS}

    def count(self, step: str, clicks: Any) -> int:
        """Add a step with the counts of ``clicks``, and return their number; none is an error."""
        counts = self.counts(clicks)
        self.note(step, **counts)
        if not counts["interactions"]:
            raise ValueError(
                f"Nothing is left after the step {step!r}. Interactions so far: "
                + "; ".join(f"{row['step']}: {row['interactions']:,}" for row in self.steps)
                + ". Loosen the options (min_item_count, min_session_length, max_session_length)."
            )
        return counts["interactions"]

    def check_part(self, name: str, n: int, asked: float) -> None:
        """Raise ``ValueError`` if a part that was asked for is empty."""
        if n == 0 and asked:
            raise ValueError(
                f"The {name} part is empty: none of its sessions has two clicks on items that "
                "training has. Give more events, or loosen the filters (min_item_count, "
                "min_session_length)."
            )


class Users(NamedTuple):
    """Known users: their ids, and the row among them of each place's user (-1 unknown)."""

    ids: list[str]
    rows: Int32s


@dataclass(frozen=True)
class Home:
    """All clicks in order, and the sessions they are in.

    Attributes
    ----------
    index : int32 (n_clicks,)
        Item index, from 1.
    place : int32 (n_clicks,)
        Row of ``sessions``, ascending.
    sessions : pyarrow table
        ``session`` (code), ``part`` (0, 1, 2), ``start`` (µs), ``user`` (code or null),
        ``user_id``, ``session_id``; in order.
    """

    index: Int32s
    place: Int32s
    sessions: pa.Table

    @cached_property
    def lengths(self) -> Int64s:
        """Clicks of each place, (n_places,)."""
        return np.bincount(self.place, minlength=len(self.sessions))

    @cached_property
    def user(self) -> Int64s:
        """Code of each place's user, -1 where unknown, (n_places,)."""
        return _ints(self.sessions["user"].fill_null(-1))

    @cached_property
    def in_part(self) -> Int64s:
        """Part of each place, (n_places,)."""
        return _ints(self.sessions["part"])

    def predictable(self) -> Home:
        """Without the clicks of sessions of one click, which have nothing to predict."""
        enough = (self.lengths >= SHORTEST)[self.place]
        return Home(self.index[enough], self.place[enough], self.sessions)

    def counts(self, part: int | None = None) -> dict[str, int]:
        """Interactions, items, sessions and users, of one part or of all."""
        alive = self.lengths > 0
        index = self.index
        if part is not None:
            alive = alive & (self.in_part == part)
            index = index[alive[self.place]]
        users = self.user[alive]
        return {
            "interactions": len(index),
            "items": int(np.count_nonzero(np.bincount(index))),
            "sessions": int(alive.sum()),
            "users": len(np.unique(users[users >= 0])),
        }

    def users(self) -> Users:
        """The users of sessions that are left, in the order of their ids."""
        known = np.flatnonzero((self.lengths > 0) & (self.user >= 0))
        # codes are in the order of the ids, and np.unique sorts
        _, first, number = np.unique(self.user[known], return_index=True, return_inverse=True)
        index = np.full(len(self.sessions), -1, np.int32)
        index[known] = number
        return Users(self.sessions["user_id"].take(pa.array(known[first])).to_pylist(), index)

    def part(self, part: int, how: str, users: Users, dated: bool) -> Sessions:
        """The sessions of one part; without dates their starts are unknown."""
        rows = np.flatnonzero((self.in_part == part) & (self.lengths > 0))
        picked = self.sessions.take(pa.array(rows))
        start = _ints(picked["start"]) / MICROSECONDS
        return Sessions(
            items=self.index[(self.in_part == part)[self.place]],
            offsets=np.concatenate([[0], np.cumsum(self.lengths[rows])]),
            session_ids=_session_ids(picked, how),
            user_index=users.rows[rows],
            started_at=start if dated else np.full(len(rows), np.nan),
        )


def _session_ids(sessions: pa.Table, how: str) -> npt.NDArray[Any]:
    """Session ids as given, or ``user@day`` or ``user#number`` (from 1)."""
    if how == "given":
        return packed(sessions["session_id"].to_pylist())
    number = _ints(sessions["session"]) % SESSIONS_PER_USER
    if how == "day":
        labels = ["@" + str(day) for day in (number - MIDDLE).astype("datetime64[D]")]
    else:
        labels = [f"#{n}" for n in (number + 1).tolist()]
    users = sessions["user_id"].to_pylist()
    return packed([user + label for user, label in zip(users, labels, strict=True)])


def _ints(column: pa.ChunkedArray) -> Int64s:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def provenance_table(split: SessionSplit) -> pd.DataFrame:
    """Counts after every step of a split's preparation, for the reader.

    Columns ``step``, ``interactions``, ``items``, ``sessions``, ``users`` (missing where
    not known yet), ``mean_length``. The last row is the paper's count (Table 1) where
    the source is one of the paper's data sets.
    """
    steps = list(split.provenance.get("steps", []))
    published = split.provenance.get("source", {}).get("published")
    if published:
        steps.append({"step": "published (paper, Table 1)"} | published)
    names = ["step", "interactions", "items", "sessions", "users"]
    frame = pd.DataFrame(steps, columns=names)
    for name in names[1:]:
        frame[name] = frame[name].astype("Int64")
    frame["mean_length"] = (frame["interactions"] / frame["sessions"]).astype("Float64").round(2)
    return frame
