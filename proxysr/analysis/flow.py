"""Changes of proxies from half-way to the best epoch: born, died, merged; sessions that moved.

A proxy keeps its number through training, so sessions with the same number stayed. The agreement
(AMI) compares the groupings whatever the numbers.

>>> fates([0, 0, 1, 1, 2], [0, 0, 0, 0, 3], n_proxies=4)[["n_half", "n_full", "goes_to", "fate"]]
       n_half  n_full  goes_to   fate
proxy
0           2       4        0   kept
1           2       0        0   died
2           1       0        3   died
3           0       1       -1   born
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from proxysr.analysis.agreement import Ints, Labels, ami_of
from proxysr.config import require


@dataclass(frozen=True)
class FlowAgreement:
    """How much two groupings of the same sessions agree.

    Attributes
    ----------
    ami : float
        Adjusted mutual information: 0 at chance, 1 for the same grouping.
    low, high : float
        Its 95 % interval: 1.96 standard errors to both sides, found by drawing sessions with
        replacement. Only the spread of these draws is used: as they hold sessions twice, their
        agreement as such is too high.
    moved : float
        Share of the sessions whose proxy has another number.
    n_sessions : int
    """

    ami: float
    low: float
    high: float
    moved: float
    n_sessions: int

    def __str__(self) -> str:
        return (
            f"{self.moved:.0%} of {self.n_sessions:,} sessions changed their proxy; the groupings "
            f"agree by AMI {self.ami:.2f} ({self.low:.2f} to {self.high:.2f})"
        )


def flow_table(half: Labels, full: Labels) -> pd.DataFrame:
    """How many sessions went from which proxy to which, most first.

    Returns
    -------
    DataFrame
        ``half``, ``full`` (proxies), ``n_sessions``, and that number as a share of each side's:
        ``share_of_half``, ``share_of_full``.
    """
    half_codes, full_codes = _checked(half, full)
    pairs = pd.DataFrame({"half": half_codes, "full": full_codes})
    table = pairs.value_counts(sort=False).rename("n_sessions").reset_index()
    table["share_of_half"] = table["n_sessions"] / table["half"].map(pairs["half"].value_counts())
    table["share_of_full"] = table["n_sessions"] / table["full"].map(pairs["full"].value_counts())
    order = ["n_sessions", "half", "full"]
    return table.sort_values(order, ascending=[False, True, True]).reset_index(drop=True)


def fates(half: Labels, full: Labels, *, n_proxies: int) -> pd.DataFrame:
    """Fate of each proxy 0..K-1.

    Parameters
    ----------
    half, full : sequence (n,)
        Proxy of each session in the two snapshots.
    n_proxies : int
        K.

    Returns
    -------
    DataFrame
        Indexed by ``proxy``:

        - ``n_half``, ``n_full``: sessions that chose it,
        - ``goes_to``: where most of its half-way sessions are later (-1 if it had none), and
          ``share``, how many of them,
        - ``fate``: "born" (no session half-way), "died" (none later), "kept", "never used",
        - ``merged``: whether more than half of its sessions went to a proxy that also has more
          than half of another's.

    Raises
    ------
    ConfigError
        If the two have not equally many sessions, or a proxy is none of 0..K-1.
    """
    half_codes, full_codes = _checked(half, full)
    for name, proxies in (("half", half_codes), ("full", full_codes)):
        require(
            len(proxies) == 0 or (proxies.min() >= 0 and proxies.max() < n_proxies),
            f"Proxies are 0 to {n_proxies - 1}; {name} has {proxies.min(initial=0)} to "
            f"{proxies.max(initial=0)}.",
        )
    counts = np.zeros((n_proxies, n_proxies), np.int64)
    np.add.at(counts, (half_codes, full_codes), 1)
    n_half, n_full = counts.sum(axis=1), counts.sum(axis=0)
    goes_to = np.where(n_half > 0, counts.argmax(axis=1), -1)
    share = counts.max(axis=1) / np.maximum(n_half, 1)
    follows = share > 0.5
    followers = np.bincount(goes_to[follows], minlength=n_proxies)
    return pd.DataFrame(
        {
            "n_half": n_half,
            "n_full": n_full,
            "goes_to": goes_to,
            "share": np.where(n_half > 0, share, np.nan),
            "fate": np.select(
                [(n_half == 0) & (n_full == 0), n_half == 0, n_full == 0],
                ["never used", "born", "died"],
                "kept",
            ),
            "merged": follows & (followers[goes_to] > 1),
        },
        index=pd.RangeIndex(n_proxies, name="proxy"),
    )


def flow_agreement(
    half: Labels, full: Labels, *, n_resamples: int = 200, seed: int = 0
) -> FlowAgreement:
    """Agreement of the groupings by proxies half-way and later, with its interval."""
    half_codes, full_codes = _checked(half, full)
    n = len(half_codes)
    require(n >= 2, f"Agreement needs at least two sessions; received {n}.")
    require(n_resamples >= 2, f"n_resamples is at least 2; received {n_resamples}.")
    random = np.random.default_rng(seed)
    draws = np.empty(n_resamples)
    for trial in range(n_resamples):
        drawn = random.integers(n, size=n)
        draws[trial] = ami_of(half_codes[drawn], full_codes[drawn])
    ami, error = ami_of(half_codes, full_codes), 1.96 * float(draws.std(ddof=1))
    moved = float((half_codes != full_codes).mean())
    return FlowAgreement(ami, max(ami - error, -1.0), min(ami + error, 1.0), moved, n)


def _checked(half: Labels, full: Labels) -> tuple[Ints, Ints]:
    half_codes, full_codes = np.asarray(half, np.int64), np.asarray(full, np.int64)
    require(
        len(half_codes) == len(full_codes),
        f"Both snapshots have the same sessions; received {len(half_codes)} and {len(full_codes)}.",
    )
    return half_codes, full_codes
