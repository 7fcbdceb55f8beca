"""Facts about prepared data, beside those of the paper's data sets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.data.sessions import PARTS, SessionSplit
from proxysr.data.sources import SOURCES


def beside_table1(split: SessionSplit, name: str = "these sessions") -> pd.DataFrame:
    """Counts of a split in the first row, of the paper's data sets (its Table 1) below.

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
    """What each part holds, and how many targets each task finds in it.

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
