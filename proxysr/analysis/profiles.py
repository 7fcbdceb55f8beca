"""What the proxies of a model stand for, seen from the sessions that chose them.

The items that set a proxy's sessions apart are in :mod:`proxysr.analysis.items`.

>>> assignments = pd.DataFrame({
...     "session_id": ["a", "b", "c"], "n_clicks": [2, 4, 5], "proxy": [1, 1, 0],
...     "probability": [0.75, 0.25, 1.0], "entropy": [0.5, 1.5, 0.0],
... })
>>> proxy_table(assignments, proxies=np.eye(3))[["n_sessions", "n_clicks", "state"]]
       n_sessions  n_clicks   state
proxy
0               1       5.0    used
1               2       3.0    used
2               0       NaN  unused
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.config import require

ALIKE = 0.99
"""Proxies of a cosine from here on are taken for the same."""
COLLAPSED = 0.9
"""Share of sessions from which on one proxy is taken to stand for all."""

Vectors = npt.NDArray[np.floating[Any]]


def proxy_table(
    assignments: pd.DataFrame,
    *,
    proxies: Vectors | None = None,
    users: npt.NDArray[np.integer[Any]] | None = None,
) -> pd.DataFrame:
    """One row for each proxy 0..K-1, chosen or not.

    Parameters
    ----------
    assignments : DataFrame (n rows)
        As of :func:`proxysr.analysis.assignments.assignments_from_model`: ``proxy``,
        ``probability``, ``entropy``, ``n_clicks``.
    proxies : (K, D), optional
        Vectors of the proxies. Without them, K is one more than the highest proxy that was chosen,
        and no proxy has a nearest one.
    users : int (n,), optional
        Number of each session's user from 0 on, -1 where unknown.

    Returns
    -------
    DataFrame
        Indexed by ``proxy``; means are NaN for a proxy that no session chose:

        - ``n_sessions`` and ``share`` of all sessions,
        - ``n_users``: different known users among them; NaN if ``users`` is left out,
        - ``probability``, ``entropy`` (nats), ``n_clicks``: means over its sessions,
        - ``nearest``: the proxy whose vector has the largest cosine to this one's, and
          ``similarity``, that cosine; -1 and NaN if there is none,
        - ``state``: "unused" if no session chose it; "duplicate" if a proxy of more sessions (or
          of as many and a smaller number) has a cosine of at least 0.99 to it; else "used".

    Raises
    ------
    ConfigError
        If a proxy was chosen that has no vector, or users are not one a session.
    """
    chosen = assignments["proxy"].to_numpy()
    highest = int(chosen.max(initial=-1))
    n_proxies = highest + 1 if proxies is None else len(proxies)
    require(
        highest < n_proxies,
        f"Sessions chose proxy {highest}, but vectors are given of only {n_proxies}.",
    )
    n_sessions = np.bincount(chosen, minlength=n_proxies)
    means = {
        name: _over(np.bincount(chosen, assignments[name], n_proxies), n_sessions)
        for name in ("probability", "entropy", "n_clicks")
    }
    double = np.zeros(n_proxies, dtype=bool)
    nearest, similarity = np.full(n_proxies, -1), np.full(n_proxies, np.nan)
    if proxies is not None and n_proxies > 1:
        cosine = cosines(proxies)
        double = _doubles(cosine, n_sessions)
        np.fill_diagonal(cosine, -np.inf)
        nearest = cosine.argmax(axis=1)
        similarity = cosine.max(axis=1)
    return pd.DataFrame(
        {
            "n_sessions": n_sessions,
            "share": n_sessions / max(len(chosen), 1),
            "n_users": np.nan if users is None else _n_users(chosen, users, n_proxies),
            **means,
            "nearest": nearest,
            "similarity": similarity,
            "state": np.select([n_sessions == 0, double], ["unused", "duplicate"], "used"),
        },
        index=pd.RangeIndex(n_proxies, name="proxy"),
    )


def cosines(vectors: Vectors) -> npt.NDArray[np.float64]:
    """Cosine (K, K) of every pair of vectors (K, D); 0 to a vector of length 0."""
    unit = _unit(vectors)
    return np.asarray((unit @ unit.T).clip(-1, 1))


def collapse(assignments: pd.DataFrame) -> str | None:
    """A sentence if (nearly) all sessions chose one proxy; None if they chose several.

    Parameters
    ----------
    assignments : DataFrame
        With ``proxy``, and ``runner_up`` where known.
    """
    n = len(assignments)
    if n < 2:
        return None
    if "runner_up" in assignments and (assignments["runner_up"] < 0).all():
        return "The model has a single proxy, so all sessions choose it."
    sizes = assignments["proxy"].value_counts()
    proxy, most = sizes.index[0], int(sizes.iloc[0])
    if most < COLLAPSED * n:
        return None
    share = f"All {n:,}" if most == n else f"{most:,} of {n:,} ({most / n:.1%})"
    return (
        f"{share} sessions choose proxy {proxy}: the proxies have collapsed, and hardly "
        "distinguish sessions."
    )


def _unit(vectors: Vectors) -> npt.NDArray[np.float64]:
    """Vectors (K, D) of length 1; those of length 0 stay so."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)
    return np.asarray(unit)


def _doubles(
    cosine: npt.NDArray[np.float64], n_sessions: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which proxies (K,) are like one that comes before them by size, then by number."""
    order = np.lexsort((np.arange(len(n_sessions)), -n_sessions))
    alike = np.tril(cosine[np.ix_(order, order)] >= ALIKE, k=-1).any(axis=1)
    doubles = np.empty_like(alike)
    doubles[order] = alike
    return doubles


def _over(sums: npt.NDArray[Any], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Means; NaN if a count is 0."""
    means = np.full(len(counts), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def _n_users(
    chosen: npt.NDArray[np.int64], users: npt.NDArray[np.integer[Any]], n_proxies: int
) -> npt.NDArray[np.int64]:
    """How many different known users chose each proxy, (K,)."""
    require(
        len(users) == len(chosen),
        f"Users are one a session; received {len(users)} for {len(chosen)} sessions.",
    )
    width = max(int(np.max(users, initial=-1)) + 1, 1)
    has_user = users >= 0
    pairs = np.unique(chosen[has_user] * width + users[has_user].astype(np.int64))
    return np.bincount(pairs // width, minlength=n_proxies)
