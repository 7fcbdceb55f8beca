"""Tables of prepared data and their sessions; the paper's data sets for comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.data.sessions import PARTS, Sessions, SessionSplit
from proxysr.data.sources import SOURCES


def beside_table1(split: SessionSplit, name: str = "these sessions") -> pd.DataFrame:
    """Counts of a split in the first row, and of the paper's data sets (Table 1) below.

    Returns
    -------
    DataFrame
        Indexed by data set: ``interactions``, ``items``, ``sessions``, ``mean_length``.
    """
    parts = [split.part(part) for part in PARTS]
    rows = {
        name: {
            "interactions": sum(len(part.items) for part in parts),
            "items": split.n_items,
            "sessions": sum(len(part) for part in parts),
        }
    }
    for source in SOURCES.values():
        if source.published:
            rows[f"{source.name} (paper)"] = dict(source.published)
    table = pd.DataFrame.from_dict(rows, orient="index")[["interactions", "items", "sessions"]]
    return table.assign(mean_length=(table["interactions"] / table["sessions"]).round(2))


def parts_table(split: SessionSplit, min_prefix: int = 1) -> pd.DataFrame:
    """Sizes of each part, and its number of targets by task.

    Returns
    -------
    DataFrame
        Indexed by part: ``sessions``, ``clicks``, ``known_users``, ``first`` and ``last`` (first
        clicks of its sessions; NaT where times are unknown or no dates), ``targets_unseen``,
        ``targets_repeat`` and ``repeats``, the share of the latter that only that task scores.
    """
    rows = {}
    for name in PARTS:
        part = split.part(name)
        unseen, repeat = (
            int(part.is_target(task, min_prefix).sum()) for task in ("unseen", "repeat")
        )
        dates = dates_of(part.started_at)
        users = part.user_index[part.user_index >= 0]
        rows[name] = {
            "sessions": len(part),
            "clicks": len(part.items),
            "known_users": len(pd.unique(users)),
            "first": dates.min(),
            "last": dates.max(),
            "targets_unseen": unseen,
            "targets_repeat": repeat,
            "repeats": round(1 - unseen / repeat, 3) if repeat else float("nan"),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def dates_of(started_at: npt.NDArray[np.float64]) -> pd.Series:
    """When sessions (S,) began; NaT where it is unknown, or a running number in place of a time."""
    started = pd.Series(np.asarray(started_at))
    # before 1973, running numbers are meant
    return pd.to_datetime(started.where(started >= 1e8), unit="s").dt.floor("s")


OWN = ("user", "started_at")
"""Reserved names of columns."""


def with_known_columns(
    table: pd.DataFrame, sessions: Sessions, split: SessionSplit
) -> tuple[pd.DataFrame, list[str]]:
    """The table with users, dates and other columns where known, and sentences on what is not."""
    notes = []
    has_user = sessions.user_index >= 0
    if has_user.any():
        ids = split.users["user_id"].astype(str).to_numpy(object)
        table["user"] = np.where(has_user, ids[np.where(has_user, sessions.user_index, 0)], "")
        if not has_user.all():
            notes.append(f"{(~has_user).sum():,} of {len(has_user):,} sessions have no known user.")
    else:
        notes.append("No session has a known user.")
    if np.isfinite(sessions.started_at).any():
        started = pd.Series(np.asarray(sessions.started_at))
        table["started_at"] = pd.to_datetime(started, unit="s").to_numpy()
    else:
        notes.append("It is not known when sessions began.")
    info = split.session_info
    if "session_id" in info and len(info.columns) > 1:
        info = info.set_axis(info["session_id"].astype(str)).drop(columns="session_id")
        info = info[~info.index.duplicated()]
        info.columns = [f"{c} (given)" if c in table or c in OWN else str(c) for c in info.columns]
        for name in info:  # lists and the like cannot be counted
            if info[name].dtype.kind == "O" and not info[name].map(pd.api.types.is_hashable).all():
                info[name] = info[name].astype(str)
        described = info.reindex(table["session_id"].astype(str))
        table = pd.concat([table, described.reset_index(drop=True)], axis=1)
    return table, notes


def stratified(
    groups: npt.NDArray[np.integer[Any]], most: int, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Up to ``most`` rows of ``groups`` (n,), in order, with about each group's share of them.

    All rows if there are no more. Rows are taken at equal steps through the groups, each in a
    random order, so that a group's number is its share rounded up or down.
    """
    n = len(groups)
    if n <= most:
        return np.arange(n, dtype=np.int64)
    order = np.lexsort((np.random.default_rng(seed).random(n), groups))
    steps = (np.arange(most) + 0.5) * n / most
    return np.sort(order[steps.astype(np.int64)])
