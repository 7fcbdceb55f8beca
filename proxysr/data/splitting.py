"""Prepared clicks, fetched from the database: the parts of a split, and its tables."""

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
from proxysr.data.engines import Engine
from proxysr.data.expressions import MIDDLE, SESSIONS_PER_USER
from proxysr.data.ids import packed, texts_of
from proxysr.data.sessions import Sessions

SHORTEST = 2
"""Clicks a session needs: one to start from and one to predict."""
MICROSECONDS = 1e6

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


class Users(NamedTuple):
    """Known users: their ids, and the row among them of each place's user (-1 unknown)."""

    ids: list[str]
    rows: Int32s


@dataclass(frozen=True)
class FetchedClicks:
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

    def predictable(self) -> FetchedClicks:
        """Without the clicks of sessions of one click, which have nothing to predict."""
        enough = (self.lengths >= SHORTEST)[self.place]
        return FetchedClicks(self.index[enough], self.place[enough], self.sessions)

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
        has_user = np.flatnonzero((self.lengths > 0) & (self.user >= 0))
        # codes are in the order of the ids, and np.unique sorts
        _, first, number = np.unique(self.user[has_user], return_index=True, return_inverse=True)
        index = np.full(len(self.sessions), -1, np.int32)
        index[has_user] = number
        return Users(self.sessions["user_id"].take(pa.array(has_user[first])).to_pylist(), index)

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


def check_part(name: str, n: int, expected: float) -> None:
    """Raise ``ValueError`` if a part is empty that should not be."""
    if n == 0 and expected:
        raise ValueError(
            f"The {name} part is empty: none of its sessions has two clicks on items that "
            "training has. Give more events, or loosen the filters (min_item_count, "
            "min_session_length)."
        )


def known(
    table: pd.DataFrame | None, key: str, name: str, reserved: Sequence[str] = ()
) -> pd.DataFrame | None:
    """What a caller knows of items or sessions, checked; ids become the text they are in events.

    Raises
    ------
    ValueError
        If ``table`` lacks ``key`` or has a value of it twice, has a column twice, or has
        one of ``reserved``, which are computed here.
    """
    if table is None:
        return None
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise ValueError(
            f"The {name} frame has two columns {twice[0]!r}. Rename or drop one of them."
        )
    if key not in table.columns:
        raise ValueError(f"The {name} frame: {unknown(key, map(str, table.columns), 'column')}")
    for column in reserved:
        if column in table.columns:
            raise ValueError(
                f"The {name} frame has a column {column!r}, which is what the clicks in training "
                "are counted in. Rename it, or leave it out."
            )
    table = table.assign(**{n: texts_of(table[n]) for n in (key, "title") if n in table.columns})
    ids = table[key]
    if ids.isna().any():
        raise ValueError(
            f"The {name} frame has {ids.isna().sum():,} rows without {key}. Leave them out."
        )
    repeated = ids[ids.duplicated()]
    if len(repeated):
        raise ValueError(
            f"The {name} frame has {key} {repeated.iloc[0]!r} more than once. Keep one row of each."
        )
    return table


def described(table: pd.DataFrame, known: pd.DataFrame | None, key: str) -> pd.DataFrame:
    """``table`` with the columns of ``known`` for its values of ``key``.

    A column that both have is taken from ``known`` where that has a value.
    """
    if known is None:
        return table
    extra = known.set_index(key).reindex(table[key]).reset_index(drop=True)
    table = table.reset_index(drop=True)
    for column in extra.columns:
        if column in table.columns:
            table[column] = extra[column].where(extra[column].notna(), table[column])
        else:
            table[column] = extra[column]
    return table


def info_of(parts: Sequence[Sessions], known: pd.DataFrame | None) -> pd.DataFrame:
    """What is known of the sessions of all parts; empty where nothing is.

    Raises
    ------
    ValueError
        If ``known`` has none of them.
    """
    if known is None:
        return pd.DataFrame()
    ids = pd.DataFrame({"session_id": np.concatenate([part.session_ids for part in parts])})
    ids = ids.drop_duplicates()
    if len(known) and set(known["session_id"]).isdisjoint(ids["session_id"]):
        raise ValueError(
            f"None of the {len(ids):,} sessions is in session_info, which has {len(known):,}: the "
            f"split has ids such as {ids['session_id'].iloc[0]!r}, session_info "
            f"{known['session_id'].iloc[0]!r}. Check its column session_id."
        )
    return described(ids, known, "session_id")


def check_items(engine: Engine, ids: Any, items: pd.DataFrame) -> None:
    """Raise ``ValueError`` if the table of items has none of those in the log, ``ids``."""
    names = engine.fetch(ids.select("item_id"))["item_id"]
    if set(items["item_id"]).isdisjoint(names.to_pylist()):
        raise ValueError(
            f"None of the {len(names):,} items of the log is in the table of items, which has "
            f"{len(items):,}: the log has ids such as {names[0].as_py()!r}, the table "
            f"{items['item_id'].iloc[0]!r}. Check its column item_id."
        )
