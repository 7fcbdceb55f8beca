"""Prepared clicks as they come home from the database: arrays, sessions, tables of names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from proxysr.config import unknown
from proxysr.data.expressions import MIDDLE, SESSIONS_PER_USER
from proxysr.data.frames import check_names
from proxysr.data.sessions import Sessions

SHORTEST = 2
"""Clicks a session needs: one to start from and one to predict."""
MICROSECONDS = 1e6

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


class Users(NamedTuple):
    """Known users: their ids, and the row among them of each place's user (-1 unknown)."""

    ids: npt.NDArray[np.str_]
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
        return Users(_texts(self.sessions["user_id"].take(pa.array(known[first]))), index)

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


def facts(
    known: pd.DataFrame | None, key: str, name: str, own: Sequence[str] = ()
) -> pd.DataFrame | None:
    """What a caller knows of items or sessions, checked, with ids as the text they are in events.

    Raises
    ------
    ValueError
        If ``known`` lacks ``key`` or has a value of it twice, has a column twice, or has
        one of ``own``, which are counted here.
    """
    if known is None:
        return None
    check_names(known, f"the {name} frame")
    if key not in known.columns:
        raise ValueError(f"The {name} frame: {unknown(key, map(str, known.columns), 'column')}")
    for column in own:
        if column in known.columns:
            raise ValueError(
                f"The {name} frame has a column {column!r}, which is what the clicks in training "
                "are counted in. Rename it, or leave it out."
            )
    known = known.assign(**{key: _ids(known[key])})
    twice = known[key][known[key].duplicated()]
    if len(twice):
        raise ValueError(
            f"The {name} frame has {key} {twice.iloc[0]!r} more than once. Keep one row of each."
        )
    return known


def describe(table: pd.DataFrame, known: pd.DataFrame | None, key: str) -> pd.DataFrame:
    """``table`` with the columns of :func:`facts` for its values of ``key``.

    A column that both have is taken from ``known`` where that has a value.
    """
    if known is None:
        return table
    found = known.set_index(key).reindex(table[key]).reset_index(drop=True)
    table = table.reset_index(drop=True)
    for column in found.columns:
        if column in table.columns:
            table[column] = found[column].where(found[column].notna(), table[column])
        else:
            table[column] = found[column]
    return table


def _ids(column: pd.Series[Any]) -> pd.Series[Any]:
    """Ids as the text they are in events: whole floats without ".0"."""
    text = column.astype("str").str.strip()
    if not pd.api.types.is_float_dtype(column.dtype):
        return text
    number = column.astype("float64")
    whole = (number == number.round()) & (number.abs() < 2**63)
    return number.where(whole).astype("Int64").astype("str").where(whole, text)


def _session_ids(sessions: pa.Table, how: str) -> npt.NDArray[np.str_]:
    """Session ids as given, or ``user@day`` or ``user#number`` (from 1)."""
    if how == "given":
        return _texts(sessions["session_id"])
    number = _ints(sessions["session"]) % SESSIONS_PER_USER
    if how == "day":
        label = np.char.add("@", (number - MIDDLE).astype("datetime64[D]").astype(np.str_))
    else:
        label = np.char.add("#", (number + 1).astype(np.str_))
    return np.char.add(_texts(sessions["user_id"]), label)


def _ints(column: pa.ChunkedArray) -> Int64s:
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _texts(column: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    return np.asarray(column.to_pylist(), dtype=np.str_)
