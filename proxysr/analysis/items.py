"""The typical items of a selection of sessions.

Counted are the sessions that an item was clicked in, not clicks: one session that comes back to
an item ten times says no more about a selection than another. If n of N sessions are selected, and
an item is in c of all, then by chance it is in ``n c / N`` of the selected ones; *lift* is how
many times as many there are, and the chance of at least as many is hypergeometric. Where
sessions are selected by the proxy that they chose by these very items, small chances are no
surprise: they order the items, and do not prove that the proxy means something.

>>> sessions = Sessions.from_lists([[1, 2], [1, 1], [2, 3], [3]])
>>> items = pd.DataFrame({"item_id": ["tea", "cup", "pot"]})
>>> top_items(sessions, [0, 1], items)[["item_id", "count", "share", "lift", "expected"]]
  item_id  count  share  lift  expected
0     tea      2    1.0   2.0       1.0
1     cup      1    0.5   1.0       1.0
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.config import require
from proxysr.data.sessions import PAD, Sessions

Rows = Sequence[int] | npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]

NORMAL_97_5 = 1.959963984540054
"""97.5 % quantile of the normal distribution, for intervals of 95 %."""
SIGNIFICANT = 0.05
"""Largest corrected p-value of a typical item."""


@dataclass(frozen=True, eq=False)
class ItemCounts:
    """Which items are in which sessions, each once, and in how many sessions an item is.

    Computed once for sessions, it makes every later selection of them fast.

    Attributes
    ----------
    items : int32 (n_pairs,)
        The different items of all sessions, one session after the other.
    offsets : int64 (S + 1,)
        Those of session ``s`` are ``items[offsets[s]:offsets[s + 1]]``.
    total : int64 (n_items + 1,)
        Number of sessions that have each item; 0 for the padding.
    """

    items: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    total: npt.NDArray[np.int64]

    @classmethod
    def of(cls, sessions: Sessions, n_items: int) -> ItemCounts:
        """The counts of some sessions, whose items are 1..n_items.

        Raises
        ------
        ConfigError
            If they hold other items.
        """
        highest = int(sessions.items.max(initial=PAD))
        require(
            highest <= n_items,
            f"The sessions hold item index {highest}, but there are only {n_items} items.",
        )
        width = n_items + 1
        pairs = np.unique(sessions.session_of_click * width + sessions.items)
        offsets = np.searchsorted(pairs, np.arange(len(sessions) + 1) * width)
        items = (pairs % width).astype(np.int32)
        return cls(items, offsets, np.bincount(items, minlength=width))

    @property
    def n_sessions(self) -> int:
        """How many sessions were counted."""
        return len(self.offsets) - 1

    def within(self, rows: Rows) -> npt.NDArray[np.int64]:
        """Number (n_items + 1,) of the sessions at ``rows`` that have each item.

        Raises
        ------
        ConfigError
            If a row is none of a session, or named twice.
        """
        rows = np.asarray(rows, np.int64)
        n = self.n_sessions
        require(
            len(rows) == 0 or (rows.min() >= 0 and rows.max() < n),
            f"Rows of these sessions are 0 to {n - 1}; received {rows.min(initial=0)} to "
            f"{rows.max(initial=0)}.",
        )
        times = np.bincount(rows, minlength=n)
        twice = np.flatnonzero(times > 1)
        require(
            len(twice) == 0,
            f"A selection holds each session once; named more often: {twice[:5].tolist()}.",
        )
        chosen = np.repeat(times.astype(bool), np.diff(self.offsets))
        return np.bincount(self.items[chosen], minlength=len(self.total))


def top_items(
    sessions: Sessions,
    rows: Rows,
    items: pd.DataFrame,
    *,
    k: int = 20,
    counts: ItemCounts | None = None,
) -> pd.DataFrame:
    """The items that are more frequent in a selection than in all sessions.

    Parameters
    ----------
    sessions : Sessions
    rows : int (n,)
        Rows of the selected sessions, in any order.
    items : DataFrame
        Row ``i - 1`` describes item index i: ``item_id``, and ``title`` where known.
    k : int
        Most items to list.
    counts : ItemCounts, optional
        Those of ``sessions``, if they were made before: a selection then takes milliseconds.

    Returns
    -------
    DataFrame
        One row an item of the selection; empty if the selection is:

        - ``item`` (index), ``item_id``, ``title`` where known,
        - ``count``: selected sessions that have it, and ``share``, of the selected ones,
        - ``lift``: that share, divided by the share of all sessions that have the item,
        - ``lift_low``: lower end of the 95 % interval (Wilson) of the lift,
        - ``expected``: selected sessions that would have it by chance,
        - ``p_value``: chance of at least ``count`` of them (hypergeometric),
        - ``p_adjusted``: the same, corrected by Benjamini and Hochberg for as many tests as
          there are items in all sessions.

        Items with ``p_adjusted`` of at most 0.05 come first, both parts by falling
        ``lift_low``: the highest lifts as such are those of items that were seen once or twice.

    Raises
    ------
    ConfigError
        If ``k`` is below 1, a row does not exist or is named twice, or an item is not described.
    """
    require(k >= 1, f"k is at least 1; received {k}.")
    counts = ItemCounts.of(sessions, len(items)) if counts is None else counts
    n, n_all = len(rows), counts.n_sessions
    within = counts.within(rows)
    present = np.flatnonzero(within)
    count, total = within[present], counts.total[present]
    share_of_all = total / max(n_all, 1)
    share = count / max(n, 1)
    p_value = at_least(count, n_all, total, n)
    table = pd.DataFrame(
        {
            "item": present,
            "count": count,
            "share": share,
            "lift": share / share_of_all,
            "lift_low": wilson_low(count, n) / share_of_all,
            "expected": n * share_of_all,
            "p_value": p_value,
            "p_adjusted": adjusted(p_value, int((counts.total > 0).sum())),
        }
    )
    may_be_luck = table["p_adjusted"] > SIGNIFICANT
    order = np.lexsort((present, -table["lift_low"], may_be_luck))[:k]
    table = table.iloc[order].reset_index(drop=True)
    for place, name in enumerate(name for name in ("item_id", "title") if name in items):
        described = items[name].iloc[table["item"] - 1].reset_index(drop=True)
        table.insert(1 + place, name, described)
    return table


def at_least(
    count: npt.NDArray[np.int64], n_all: int, total: npt.NDArray[np.int64], n: int
) -> Floats:
    """Chance (m,) that ``count`` or more of n sessions, drawn from ``n_all``, are among ``total``.

    The sum of hypergeometric chances from ``count`` on. SciPy's ``hypergeom.sf`` would take
    seconds for the items of a large selection.

    Parameters
    ----------
    count, total : int (m,)
    n_all, n : int
    """
    from scipy.stats import hypergeom

    # many items share both numbers
    (count, total), inverse = np.unique(np.stack([count, total]), axis=1, return_inverse=True)
    mean = n * total / max(n_all, 1)
    # By Bernstein's inequality, less than exp(-49) of the sum comes later: the standard
    # deviation is at most the root of the mean.
    last = np.maximum(count, mean) + 10 * np.sqrt(mean) + 50
    last = np.minimum(last.astype(np.int64), np.minimum(total, n))
    n_terms = last - count + 1
    pair = np.repeat(np.arange(len(count)), n_terms)
    value = count[pair] + np.arange(len(pair)) - np.repeat(np.cumsum(n_terms) - n_terms, n_terms)
    terms = np.exp(hypergeom.logpmf(value, n_all, total[pair], n))
    sums = np.bincount(pair, terms, minlength=len(count))
    return np.asarray(sums[inverse].clip(max=1), np.float64)


def adjusted(p_values: Floats, n_tests: int) -> Floats:
    """Benjamini and Hochberg's correction (m,) of p-values (m,), the other tests' being 1."""
    from scipy.stats import false_discovery_control

    if len(p_values) == 0:
        return p_values
    untested = np.ones(n_tests - len(p_values))
    all_p_values = np.concatenate([p_values, untested])
    return np.asarray(false_discovery_control(all_p_values), np.float64)[: len(p_values)]


def wilson_low(count: npt.NDArray[np.int64], n: int) -> Floats:
    """Lower end (m,) of Wilson's 95 % interval of the shares ``count / n``."""
    z2 = NORMAL_97_5**2
    share = count / max(n, 1)
    spread = NORMAL_97_5 * np.sqrt(share * (1 - share) / max(n, 1) + z2 / (4 * max(n, 1) ** 2))
    return np.asarray((share + z2 / (2 * max(n, 1)) - spread) / (1 + z2 / max(n, 1)))
