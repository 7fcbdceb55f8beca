"""What is known of sessions beside their clicks, and samples of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.data.sessions import Sessions, SessionSplit

OWN = ("user", "started_at")
"""Names that are kept for what the data say, known or not."""


def with_facts(
    table: pd.DataFrame, sessions: Sessions, split: SessionSplit
) -> tuple[pd.DataFrame, list[str]]:
    """The table with users, dates and other columns where known, and sentences on what is not."""
    notes = []
    known = sessions.user_index >= 0
    if known.any():
        ids = split.users["user_id"].astype(str).to_numpy(object)
        table["user"] = np.where(known, ids[np.where(known, sessions.user_index, 0)], "")
        if not known.all():
            notes.append(f"The user of {(~known).sum():,} of {len(known):,} sessions is unknown.")
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
        facts = info.reindex(table["session_id"].astype(str))
        table = pd.concat([table, facts.reset_index(drop=True)], axis=1)
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
