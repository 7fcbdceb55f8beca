"""Agreement of two labellings of sessions, with a permutation test.

Mutual information of two labellings grows with the number of labels even if they
are unrelated; *adjusted* mutual information (AMI) subtracts what independent labels
with these sizes would share: 0 is chance, 1 is the same partition. Permuting one labelling
shows the spread by chance.

N. X. Vinh, J. Epps, J. Bailey: Information theoretic measures for clusterings comparison.
JMLR 11, 2010.

>>> agreement([1, 1, 2, 2] * 10, ["x", "x", "y", "y"] * 10, n_permutations=99).ami
1.0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.config import require

Labels = Sequence[Any] | npt.NDArray[Any] | pd.Series
Ints = npt.NDArray[np.int64]
Statistics = Callable[[Ints], list[float]]
"""Numbers of codes (n,), such as their agreement with others."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of proxies with a known labelling, and its range by chance.

    Attributes
    ----------
    ami : float
        Adjusted mutual information: 0 at chance, 1 for the same partition.
    null_mean, null_low, null_high : float
        Mean of the AMI under permutation, and its 2.5 % and 97.5 % quantiles.
    p_value : float
        Share of permutations that agree at least as well, the data themselves counted as one.
    n_sessions, n_proxies, n_truths, n_permutations : int
        Sizes: sessions, different labels of each kind, permutations.
    """

    ami: float
    null_mean: float
    null_low: float
    null_high: float
    p_value: float
    n_sessions: int
    n_proxies: int
    n_truths: int
    n_permutations: int

    def __str__(self) -> str:
        return (
            f"AMI {self.ami:.3f} over {self.n_sessions:,} sessions ({self.n_proxies} proxies, "
            f"{self.n_truths} labels); by chance {self.null_low:.3f} to {self.null_high:.3f}, "
            f"p = {self.p_value:.3g} ({self.n_permutations:,} permutations)"
        )


def agreement(
    proxy_labels: Labels,
    truth_labels: Labels,
    *,
    n_permutations: int = 1000,
    strata: Labels | None = None,
    seed: int = 0,
) -> Agreement:
    """Adjusted mutual information of two labellings (n,) with a permutation test.

    If one labelling says nothing (one label for all), the agreement is 0.

    Parameters
    ----------
    proxy_labels, truth_labels : sequence (n,)
        Such as the chosen proxy and the planted interest of each session; no missing values.
    n_permutations : int
        Permutations of ``truth_labels`` for the distribution by chance.
    strata : sequence (n,), optional
        Labels are permuted only among sessions of the same stratum (such as equal length), so
        that agreement which the stratum explains does not count as more than chance.
    seed : int
        Seed of the permutations.

    Raises
    ------
    ConfigError
        If the lengths differ, a label is missing, or there is nothing to permute.
    """
    proxies = codes_of(proxy_labels, "proxy_labels")
    truths = codes_of(truth_labels, "truth_labels")
    n_strata = len(proxies) if strata is None else len(strata)
    require(
        len(proxies) == len(truths) == n_strata,
        f"Labels are one a session; received {len(proxies)} proxy_labels, {len(truths)} "
        f"truth_labels and {n_strata} strata.",
    )
    require(len(proxies) >= 2, f"Agreement needs at least two sessions; received {len(proxies)}.")
    scale = Scale.of(proxies, truths)
    statistics: dict[str, Statistics] = {"ami": lambda codes: [scale.adjusted(proxies, codes)]}
    results = beside_chance(statistics, truths, strata, n_permutations, seed)
    (ami,), null = results["ami"]
    return Agreement(
        ami=float(ami),
        **chance_of(ami, null[:, 0]),
        n_sessions=len(proxies),
        n_proxies=int(proxies.max()) + 1,
        n_truths=int(truths.max()) + 1,
        n_permutations=n_permutations,
    )


def beside_chance(
    statistics: Mapping[str, Statistics],
    codes: Ints,
    strata: Labels | None,
    n_permutations: int,
    seed: int,
) -> dict[str, tuple[list[float], npt.NDArray[np.float64]]]:
    """Values (m,) of each statistic of codes (n,), and (n_permutations, m) under permutation.

    All statistics see the same permutations, which are within strata (n,) if there are any.
    """
    require(n_permutations >= 1, f"n_permutations is at least 1; received {n_permutations}.")
    groups = np.zeros_like(codes) if strata is None else codes_of(strata, "strata")
    values = {name: statistic(codes) for name, statistic in statistics.items()}
    null = {name: np.empty((n_permutations, len(values[name]))) for name in statistics}
    for trial, permuted in enumerate(permutations(codes, groups, n_permutations, seed)):
        for name, statistic in statistics.items():
            null[name][trial] = statistic(permuted)
    return {name: (values[name], null[name]) for name in statistics}


def permutations(codes: Ints, groups: Ints, n: int, seed: int) -> Iterator[Ints]:
    """Yield ``codes`` (m,) n times, shuffled at random among those of the same group."""
    random = np.random.default_rng(seed)
    by_group = np.argsort(groups, kind="stable")
    for _ in range(n):
        # sorting by (group, random number) shuffles inside each group
        shuffled = np.lexsort((random.random(len(codes)), groups))
        permuted = np.empty_like(codes)
        permuted[by_group] = codes[shuffled]
        yield permuted


def chance_of(value: float, null: npt.NDArray[np.float64]) -> dict[str, float]:
    """Mean, 2.5 % and 97.5 % quantiles of chance results (m,), and the p-value of ``value``.

    The p-value is the share of results at least as high, ``value`` itself counted as one.
    """
    low, high = np.quantile(null, [0.025, 0.975])
    at_least = 1 + int((null >= value - 1e-12).sum())
    return {
        "null_mean": float(null.mean()),
        "null_low": float(low),
        "null_high": float(high),
        "p_value": at_least / (1 + len(null)),
    }


@dataclass(frozen=True)
class Scale:
    """Expected and largest mutual information, which permutations do not change."""

    expected: float
    largest: float

    @classmethod
    def of(cls, a: Ints, b: Ints) -> Scale:
        """The scale for two labellings (n,)."""
        from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

        table = contingency_matrix(a, b, sparse=True)
        expected = float(expected_mutual_information(table, len(a)))
        return cls(expected, (entropy_of(a) + entropy_of(b)) / 2)

    def adjusted(self, a: Ints, b: Ints) -> float:
        """AMI of two labellings (n,) with these sizes."""
        mutual = mutual_information(a, b)
        range_ = self.largest - self.expected
        if abs(range_) < 1e-12:  # one label for all, or each its own: nothing to agree about
            return 0.0
        # rounding must not make a perfect agreement 0.9999999999999998
        return round((mutual - self.expected) / range_, 12)


def ami_of(a: Ints, b: Ints) -> float:
    """Adjusted mutual information of two labellings (n,), codes from 0 on."""
    return Scale.of(a, b).adjusted(a, b)


def mutual_information(a: Ints, b: Ints) -> float:
    """Mutual information of two labellings (n,), in nats."""
    pairs = a * (int(b.max()) + 1) + b
    return entropy_of(a) + entropy_of(b) - entropy_of(pairs)


def codes_of(labels: Labels, name: str) -> Ints:
    """Labels as whole numbers from 0 on."""
    codes, _ = pd.factorize(np.asarray(labels))
    missing = int((codes < 0).sum())
    require(
        missing == 0,
        f"{missing} of {len(codes)} {name} are missing. Leave out the sessions they belong to.",
    )
    return codes.astype(np.int64)


def entropy_of(codes: Ints) -> float:
    """Entropy in nats of the shares of equal codes."""
    share = np.unique(codes, return_counts=True)[1] / len(codes)
    return float(-(share * np.log(share)).sum())


# -- interests planted in synthetic sessions ---------------------------------------------

PLANTED = "planted_interest"
"""Column of the session table in data of :mod:`proxysr.data.synthetic`."""


@dataclass(frozen=True)
class PlantedFound:
    """Agreement of proxies with planted interests.

    Attributes
    ----------
    ami : float
        Adjusted mutual information of the proxy after a session's last click and the interest
        planted in it: 1 for the same groups, 0 at chance.
    n_planted, n_proxies, n_sessions : int
        Different interests, different proxies, sessions.
    """

    ami: float
    n_planted: int
    n_proxies: int
    n_sessions: int

    def __str__(self) -> str:
        return (
            f"{self.n_planted} interests were planted in these sessions, and the model was not "
            f"told; the proxies after the last click ({self.n_proxies} in use) agree with them by "
            f"an AMI of {self.ami:.2f} (1: the same groups, 0: chance)"
        )


def planted_found(table: pd.DataFrame) -> PlantedFound | None:
    """Agreement of proxies with planted interests; None if there are none.

    Parameters
    ----------
    table : DataFrame
        One row a session: ``proxy``, and ``planted_interest`` where there is one.

    >>> str(planted_found(pd.DataFrame({"proxy": [4, 4, 7], "planted_interest": ["a", "a", "b"]})))
    '2 interests were planted in these sessions, and the model was not told; the proxies after the
     last click (2 in use) agree with them by an AMI of 1.00 (1: the same groups, 0: chance)'
    """
    if PLANTED not in table:
        return None
    labelled = table.dropna(subset=[PLANTED])
    if len(labelled) < 2:
        return None
    proxies, planted = codes_of(labelled["proxy"], "proxies"), codes_of(labelled[PLANTED], PLANTED)
    ami = ami_of(proxies, planted)
    return PlantedFound(ami, int(planted.max()) + 1, int(proxies.max()) + 1, len(labelled))
