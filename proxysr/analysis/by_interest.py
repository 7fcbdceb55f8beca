"""Recall by interest, of one model, and of two models on the same targets.

A target belongs to the proxy that led before it, as in use. Intervals of 95 % are Wilson's, which
hold for few targets and for extreme shares; the number of targets is reduced by the design effect
of sessions. Each interest is compared with all others (R. Newcombe, Statistics in Medicine 17,
1998), and the difference is then expressed as one to the whole.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.items import NORMAL_97_5
from proxysr.analysis.significance import (
    CompareConfig,
    bootstrap,
    contenders_of,
    holm,
    permutation,
    sums_by_session,
    values_by_target,
)
from proxysr.data.sessions import Task
from proxysr.evaluation import values_of
from proxysr.run import RunDir

METRIC = "R@20"
RESAMPLES = 2_000

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Share(NamedTuple):
    """A share of targets, its 95 % interval, and their number."""

    value: float
    low: float
    high: float
    n: int


def share_of(hits: Floats, session: Ints) -> Share:
    """The share of hits (T,), 0 or 1, of targets in sessions (T,); NaN of none.

    >>> share_of(np.array([1.0, 0.0, 1.0, 1.0]), np.arange(4)).value
    0.75
    """
    n = len(hits)
    if n == 0:
        return Share(np.nan, np.nan, np.nan, 0)
    value = float(hits.mean())
    sums = np.bincount(pd.factorize(session)[0], hits - value)
    by_chance = n * value * (1 - value)
    effective = n / max(1.0, float((sums**2).sum()) / by_chance) if by_chance > 0 else n
    z2 = NORMAL_97_5**2 / effective
    middle = (value + z2 / 2) / (1 + z2)
    spread = np.sqrt(value * (1 - value) * z2 + z2**2 / 4) / (1 + z2)
    return Share(value, max(middle - spread, 0.0), min(middle + spread, 1.0), n)


def recall_by_interest(ranks: pd.DataFrame, n_proxies: int) -> tuple[Share, pd.DataFrame]:
    """Recall at 20 of the whole, and of each interest.

    Parameters
    ----------
    ranks : DataFrame
        A row a target: ``session_id``, ``rank``, and ``proxy``, which led before it.
    n_proxies : int

    Returns
    -------
    Share
    DataFrame
        Indexed by ``proxy``: ``recall``, ``low``, ``high``, ``n_targets``, and ``difference`` to
        the whole with ``difference_low`` and ``difference_high``; NaN where there is no target.
    """
    hits = values_of(ranks["rank"].to_numpy(), METRIC)
    session, proxy = pd.factorize(ranks["session_id"])[0], ranks["proxy"].to_numpy()
    rows = []
    for k in range(n_proxies):
        of_interest = proxy == k
        inside = share_of(hits[of_interest], session[of_interest])
        outside = share_of(hits[~of_interest], session[~of_interest])
        weight = outside.n / max(len(hits), 1)  # the interest is part of the whole
        down = np.hypot(inside.value - inside.low, outside.high - outside.value)
        up = np.hypot(inside.high - inside.value, outside.value - outside.low)
        difference = inside.value - outside.value
        if outside.n == 0:
            difference = down = up = 0.0
        ends = (difference, difference - down, difference + up)
        rows.append((*inside, *(weight * end for end in ends)))
    names = ["recall", "low", "high", "n_targets", "difference", "difference_low"]
    table = pd.DataFrame(rows, columns=[*names, "difference_high"])
    return share_of(hits, session), table.rename_axis("proxy")


def paired_by_interest(
    run: RunDir, other: RunDir, *, part: str, task: Task, n_proxies: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Recall at 20 of a run less that of another on the same targets, by the run's interests.

    Sessions are drawn for the intervals and change sides for the p-values, as in
    :mod:`proxysr.analysis.significance`; p-values are corrected for the number of interests.

    Returns
    -------
    DataFrame
        Indexed by ``proxy``, and last -1 for the whole: ``n`` targets, ``value_a`` of the run,
        ``value_b`` of the other, ``difference``, ``low``, ``high``, ``p``; NaN below two sessions.
    DataFrame
        The other run's ranks, a row a target.

    Raises
    ------
    ValueError
        If the runs are not of the same data or were not evaluated alike; the message says what
        to do.
    """
    named = [(str(a_run.path), [a_run]) for a_run in (run, other)]
    contenders, _ = contenders_of(named, part, task)
    values, session = values_by_target(contenders, [METRIC])
    ranks, other_ranks = (contender.ranks[0] for contender in contenders)
    proxy = ranks["proxy"].to_numpy()
    config = CompareConfig(metrics=(METRIC,), resamples=RESAMPLES)
    groups = [np.flatnonzero(proxy == k) for k in range(n_proxies)]
    groups.append(np.arange(len(ranks)))  # all targets
    rows = [_paired(values[targets, :, 0], session[targets], config) for targets in groups]
    table = pd.DataFrame(rows, index=pd.Index([*range(n_proxies), -1], name="proxy"))
    tested = table["p"].notna() & (table.index >= 0)
    table.loc[tested, "p"] = holm(table.loc[tested, "p"].to_numpy())
    return table, other_ranks


def _paired(values: Floats, session: Ints, config: CompareConfig) -> dict[str, Any]:
    """One row: values are (T, 2)."""
    codes, ids = pd.factorize(session)
    means = values.mean(axis=0) if len(values) else np.full(2, np.nan)
    row = {"n": len(values), "value_a": means[0], "value_b": means[1]}
    row |= {"difference": means[0] - means[1], "low": np.nan, "high": np.nan, "p": np.nan}
    if len(ids) < 2:
        return row
    sums = sums_by_session(values[:, :1] - values[:, 1:], codes)
    low, high = bootstrap(sums, np.bincount(codes), config)[:, 0]
    return row | {"low": low, "high": high, "p": permutation(sums, config)[0]}
