"""Sessions whose user is known, what they may be exchanged with, and labels to beat.

>>> rows_of_known_users(np.array([4, 4, -1, 7, 5, 5]))
array([0, 1, 4, 5])
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from proxysr.analysis.agreement import Ints, Labels, codes_of
from proxysr.analysis.map_quality import jittered
from proxysr.config import require
from proxysr.data.sessions import Sessions

LENGTHS = (1, 2, 3, 4, 6, 10)
"""Fewest clicks of each stratum of length."""

Floats = npt.NDArray[np.floating[Any]]


def rows_of_known_users(
    user_index: npt.NDArray[np.integer[Any]], min_sessions: int = 2
) -> npt.NDArray[np.int64]:
    """Rows of the sessions (S,) whose user is known and has at least ``min_sessions`` of them.

    Raises
    ------
    ConfigError
        If there are not two such users.
    """
    users = np.asarray(user_index)
    counts = np.bincount(users[users >= 0], minlength=1)
    enough = counts >= min_sessions
    require(
        int(enough.sum()) >= 2,
        f"Agreement needs at least two known users of {min_sessions} or more sessions; "
        f"there are {int(enough.sum())} (and {int((counts > 0).sum())} known users in all).",
    )
    return np.flatnonzero((users >= 0) & enough[np.maximum(users, 0)])


def draw_users(
    user_index: npt.NDArray[np.integer[Any]], n_users: int, *, min_sessions: int = 2, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Rows of all sessions (S,) of some users, drawn at random from those with enough sessions.

    Raises
    ------
    ConfigError
        If there are not two such users.
    """
    rows = rows_of_known_users(user_index, min_sessions)
    users = np.unique(np.asarray(user_index)[rows])
    drawn = np.random.default_rng(seed).permutation(users)[:n_users]
    return rows[np.isin(np.asarray(user_index)[rows], drawn)]


def strata_of(
    n_clicks: npt.NDArray[np.integer[Any]],
    started_at: npt.NDArray[np.float64] | None = None,
    *,
    n_periods: int = 4,
) -> Ints:
    """Number of the stratum (S,) of each session, by its length and, where known, its time.

    Lengths are 1, 2, 3, 4-5, 6-9 and from 10 on; times are cut into periods of equally many
    sessions; sessions of unknown time are a period of their own.
    """
    stratum = np.searchsorted(LENGTHS, np.asarray(n_clicks), side="right").astype(np.int64)
    if started_at is None or not np.isfinite(started_at).any():
        return stratum
    known = np.isfinite(started_at)
    cuts = np.quantile(started_at[known], np.arange(1, n_periods) / n_periods)
    period = np.where(known, np.searchsorted(cuts, started_at, side="right"), n_periods)
    return stratum * (n_periods + 1) + period


def mean_item_vectors(sessions: Sessions, item_vectors: Floats) -> npt.NDArray[np.float64]:
    """Mean (S, D) of the vectors of each session's clicks; ``item_vectors`` is (V, D)."""
    clicked = np.asarray(item_vectors, np.float64)[sessions.items]
    return np.add.reduceat(clicked, sessions.offsets[:-1], axis=0) / sessions.lengths[:, None]


def last_items(sessions: Sessions) -> npt.NDArray[np.int32]:
    """The latest click (S,) of each session."""
    return np.asarray(sessions.items[sessions.offsets[1:] - 1])


def baseline_labels(
    sessions: Sessions, proxies: Labels, item_vectors: Floats, *, seed: int = 0
) -> dict[str, npt.NDArray[Any]]:
    """Labels (S,) that need no proxies, to stand beside them.

    k-means of the sessions' mean item vectors (as many clusters as proxies in use), the last
    item, and the proxies dealt out at random.

    Parameters
    ----------
    sessions : Sessions
        Each with at least one click.
    proxies : sequence (S,)
        Chosen proxies.
    item_vectors : (V, D)
        Embeddings of the items, row 0 the padding.
    seed : int
    """
    from sklearn.cluster import KMeans

    codes = codes_of(proxies, "proxies")
    clusters = KMeans(int(codes.max()) + 1, n_init=1, random_state=seed)
    means = mean_item_vectors(sessions, item_vectors)
    return {
        "k-means of items": clusters.fit_predict(jittered(means, seed)),
        "last item": last_items(sessions),
        "random": np.random.default_rng(seed).permutation(codes),
    }
