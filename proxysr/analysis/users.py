"""Agreement of the proxies with users, which the model does not know, and user maps.

Known users are compared with labels of sessions (proxies, and simple baselines), and with
neighbours by a model's vectors. For the distribution by chance, users are exchanged among sessions
of about the same length and time, because sessions of one user may be similar in both.

A. Rosenberg, J. Hirschberg: V-Measure, a conditional entropy-based external cluster evaluation
measure. EMNLP-CoNLL 2007.

>>> users = ["ann", "ann", "bob", "bob"] * 10
>>> table = user_agreement({"proxy": [3, 3, 5, 5] * 10}, users, n_permutations=99)
>>> table[["labels", "metric", "value"]]
  labels     metric     value
0  proxy        AMI  1.000000
1  proxy  V-measure  1.000000
2  proxy  pair lift  2.052632
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.agreement import (
    Ints,
    Labels,
    Scale,
    Statistics,
    beside_chance,
    chance_of,
    codes_of,
    mutual_information,
)
from proxysr.analysis.known_users import (
    baseline_labels,
    last_items,
    mean_item_vectors,
    rows_of_known_users,
    strata_of,
)
from proxysr.analysis.map_quality import jittered
from proxysr.analysis.projection import MapConfig, ProjectionPair, project_pair
from proxysr.analysis.representations import item_vectors, representations
from proxysr.analysis.run_view import RunView
from proxysr.config import require
from proxysr.data.sessions import Sessions
from proxysr.run import RunDir, Which

Floats = npt.NDArray[np.floating[Any]]


def user_agreement(
    labels: Mapping[str, Labels],
    users: Labels,
    *,
    strata: Labels | None = None,
    n_permutations: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Agreement of labels of sessions with their users, with a permutation test.

    Parameters
    ----------
    labels : mapping
        Name to labels (n,), such as the chosen proxies.
    users : sequence (n,)
        User of each session; none missing.
    strata : sequence (n,), optional
        Users are exchanged only within these; see :func:`strata_of`.
    n_permutations, seed : int

    Returns
    -------
    DataFrame
        ``labels``, ``n_labels``, ``metric``, ``value``, ``null_mean``, ``null_low``,
        ``null_high`` (2.5 % and 97.5 % of chance), ``p_value``. Metrics are "AMI" (0 by chance, 1
        at best), "V-measure" (0 to 1, more labels give more by chance), and "pair lift": how many
        times as often two sessions of one user share a label as any two sessions do.

    Raises
    ------
    ConfigError
        If labels, users and strata differ in length, or one is missing.
    """
    user_codes = _users(users, {**labels, "strata": strata})
    codes_by_name = {name: codes_of(values, name) for name, values in labels.items()}
    statistics = {name: _agreements(codes, user_codes) for name, codes in codes_by_name.items()}
    table = _beside_chance(
        statistics, user_codes, ["AMI", "V-measure", "pair lift"], strata, n_permutations, seed
    )
    sizes = {name: int(codes.max()) + 1 for name, codes in codes_by_name.items()}
    table.insert(0, "labels", table.pop("of"))
    table.insert(1, "n_labels", table["labels"].map(sizes))
    return table


def neighbour_purity(
    vectors: Mapping[str, Floats],
    users: Labels,
    *,
    k: int = 10,
    strata: Labels | None = None,
    n_permutations: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Share of the k nearest sessions that are of the same user, for several kinds of vectors.

    Among equal vectors, the nearest are drawn at random (seeded).

    Parameters
    ----------
    vectors : mapping
        Name to vectors (n, D).
    users, strata, n_permutations, seed
        See :func:`user_agreement`.
    k : int
        Neighbours, Euclidean; at most n - 1 are there.

    Returns
    -------
    DataFrame
        ``vectors``, ``metric`` ("purity@10" and so on), and ``value`` to ``p_value`` as there.
    """
    from sklearn.neighbors import NearestNeighbors

    user_codes = _users(users, {**vectors, "strata": strata})
    require(k >= 1, f"k is at least 1; received {k}.")
    k_near = min(k, len(user_codes) - 1)
    statistics: dict[str, Statistics] = {}
    for name, values in vectors.items():
        search = NearestNeighbors(n_neighbors=k_near, algorithm="brute")
        neighbours = search.fit(jittered(values, seed)).kneighbors(return_distance=False)
        statistics[name] = _purity(neighbours)
    table = _beside_chance(statistics, user_codes, [f"purity@{k}"], strata, n_permutations, seed)
    table.insert(0, "vectors", table.pop("of"))
    return table


def agreement_of(
    view: RunView, *, min_sessions: int = 2, n_permutations: int = 1000, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Agreement of a run's proxies, and of baselines, with all known users of its sessions.

    Parameters
    ----------
    view : RunView
    min_sessions : int
        Fewest sessions of a user; sessions of others are left out.
    n_permutations, seed : int

    Returns
    -------
    DataFrame twice
        :func:`user_agreement` of the "proxies" and of :func:`baseline_labels`, and
        :func:`neighbour_purity` of the proxy vectors (``represent``), the mean item vectors and
        the vectors of the last items.

    Raises
    ------
    ConfigError
        If there are not two users with enough sessions.
    """
    rows = rows_of_known_users(view.sessions.user_index, min_sessions)
    sessions = view.sessions.select(rows)
    proxies = view.table["proxy"].to_numpy()[rows]
    items = item_vectors(view.model)
    options: dict[str, Any] = {
        "strata": strata_of(sessions.lengths, sessions.started_at),
        "n_permutations": n_permutations,
        "seed": seed,
    }
    labels = {"proxies": proxies, **baseline_labels(sessions, proxies, items, seed=seed)}
    vectors: dict[str, Floats] = {
        "proxy vectors": representations(view.model, sessions),
        "mean of items": mean_item_vectors(sessions, items),
        "last item": items[last_items(sessions)],
    }
    users = sessions.user_index
    return user_agreement(labels, users, **options), neighbour_purity(vectors, users, **options)


def _users(users: Labels, arrays: Mapping[str, Any]) -> Ints:
    """Users as integers, after checking that all arrays have one entry for each."""
    for name, values in arrays.items():
        n = len(users) if values is None else len(values)
        require(
            n == len(users),
            f"Users are one a session; received {len(users)}, and {n} for {name}.",
        )
    require(len(users) >= 2, f"Agreement needs at least two sessions; received {len(users)}.")
    return codes_of(users, "users")


def _purity(neighbours: npt.NDArray[np.int64]) -> Statistics:
    """Statistic of users, given the neighbours (n, k) of each session."""
    return lambda users: [float((users[neighbours] == users[:, None]).mean())]


def _agreements(codes: Ints, users: Ints) -> Statistics:
    """Statistic: AMI, V-measure and pair lift of labels with users."""
    scale = Scale.of(codes, users)
    width = int(users.max()) + 1
    n = len(codes)
    by_chance = _pairs(codes) * _pairs(users) / max(n * (n - 1), 1)

    def statistics(exchanged: Ints) -> list[float]:
        mutual = mutual_information(codes, exchanged)
        same_pairs = _pairs(codes * width + exchanged)
        return [
            scale.adjusted(codes, exchanged),
            mutual / scale.largest if scale.largest > 0 else 0.0,
            same_pairs / by_chance if by_chance > 0 else 0.0,
        ]

    return statistics


def _pairs(codes: Ints) -> float:
    """Ordered pairs of different sessions of the same code."""
    counts = np.unique(codes, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1)).sum())


def _beside_chance(
    statistics: Mapping[str, Statistics],
    users: Ints,
    metrics: list[str],
    strata: Labels | None,
    n_permutations: int,
    seed: int,
) -> pd.DataFrame:
    """One row for each statistic and metric, with its distribution by chance."""
    rows = []
    results = beside_chance(statistics, users, strata, n_permutations, seed)
    for name, (values, null) in results.items():
        for metric, value, chance in zip(metrics, values, null.T, strict=True):
            row = {"of": name, "metric": metric, "value": value}
            rows.append(row | chance_of(value, chance))
    return pd.DataFrame(rows)


# -- figure 4: maps of the sessions of one users ----------------------------------------

SNAPSHOTS: dict[str, Which] = {"50 % of training": "half", "100 % of training": "best"}

Panel = tuple[str, str]


@dataclass(frozen=True, eq=False)
class UserMaps:
    """Maps of the same sessions by several models at two times.

    Attributes
    ----------
    pairs : dict
        Name of the model to its maps half-way and at the best epoch.
    purity : DataFrame
        By model and time: :func:`neighbour_purity` of the vectors.
    """

    pairs: dict[str, ProjectionPair]
    purity: pd.DataFrame

    @property
    def panels(self) -> dict[Panel, npt.NDArray[np.float32]]:
        """Model and time to positions (n, 2)."""
        return {
            (name, snapshot): projection.positions
            for name, pair in self.pairs.items()
            for snapshot, projection in zip(SNAPSHOTS, (pair.half, pair.full), strict=True)
        }

    @property
    def notes(self) -> dict[Panel, str]:
        """Model and time to the purity and what it is by chance."""
        return {
            panel: f"{row.metric} {row.value:.2f}, by chance {row.null_low:.2f} to "
            f"{row.null_high:.2f} (p = {row.p_value:.2g})"
            for panel, row in zip(self.panels, self.purity.itertuples(), strict=True)
        }


def user_maps(
    runs: Mapping[str, RunDir],
    sessions: Sessions,
    users: Labels,
    *,
    settings: MapConfig | None = None,
    n_permutations: int = 1000,
    seed: int = 0,
) -> UserMaps:
    """Maps of sessions by the general interest of each model, and purity of neighbours.

    Parameters
    ----------
    runs : mapping
        Name to run; maps are kept in its folder ``cache``.
    sessions : Sessions
        Those of a few users, each with a click.
    users : sequence (n,)
        User of each session; exchanged among sessions of about the same length and time.
    settings : MapConfig, optional
    n_permutations, seed : int
    """
    vectors = {
        (name, snapshot): representations(run.model(which), sessions, general=True)
        for name, run in runs.items()
        for snapshot, which in SNAPSHOTS.items()
    }
    pairs = {
        name: project_pair(
            *(vectors[name, snapshot] for snapshot in SNAPSHOTS),
            config=settings,
            cache=run.path / "cache",
        )
        for name, run in runs.items()
    }
    purity = neighbour_purity(
        {str(panel): one for panel, one in vectors.items()},
        users,
        strata=strata_of(sessions.lengths, sessions.started_at),
        n_permutations=n_permutations,
        seed=seed,
    ).drop(columns="vectors")
    purity.index = pd.MultiIndex.from_tuples(list(vectors), names=["model", "when"])
    return UserMaps(pairs, purity)
