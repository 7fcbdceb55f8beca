"""What a map keeps of the distances it was made from, and how two maps differ.

Neighbours are compared for up to 2,000 points, drawn, with all others. Where many vectors
are equal, there is no telling which 10 are closest: any as close as the tenth counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FINEST = 1e-3
"""Share of the vectors' spread below which distances count as equal."""
NEIGHBOURS = 10
MOST = 2_000
ROWS = 250
"""Points compared with all others at a time."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class MapQuality:
    """How far a map can be trusted.

    Attributes
    ----------
    recall : float
        Share of a point's 10 neighbours on the map that are among its 10 closest vectors.
    trustworthiness : float
        1 less a penalty for neighbours on the map whose vectors are far, by how many are closer
        (J. Venna, S. Kaski, 2001); near 1 is good, 0.5 is by chance.
    cpd : float
        Spearman correlation of distances on the map and between vectors, over pairs of points:
        whether what is far apart on the map is unlike. NaN if all distances are equal.
    n_compared : int
        Points whose neighbours were compared.
    """

    recall: float
    trustworthiness: float
    cpd: float
    n_compared: int

    def __str__(self) -> str:
        return (
            f"neighbours kept {self.recall:.2f}, trustworthiness {self.trustworthiness:.2f}, "
            f"rank correlation of distances {self.cpd:.2f}"
        )


def map_quality(vectors: Floats, positions: Floats, *, seed: int = 0) -> MapQuality:
    """Compare neighbours and distances of points (n, 2) with those of their vectors (n, D)."""
    from scipy.stats import spearmanr

    n = len(vectors)
    k = min(NEIGHBOURS, (n - 1) // 2)
    chosen = np.sort(np.random.default_rng(seed).permutation(n)[:MOST])
    slack = 2 * FINEST * spread_of(vectors)
    n_kept = penalty = 0.0
    high_pairs, low_pairs = [], []
    for start in range(0, len(chosen), ROWS):
        rows = chosen[start : start + ROWS]
        high, low = _distances(vectors, rows), _distances(positions, rows)
        high_pairs.append(high[:, chosen])
        low_pairs.append(low[:, chosen])
        diagonal = (np.arange(len(rows)), rows)
        high[diagonal] = low[diagonal] = np.inf
        limit = np.partition(high, k - 1, axis=1)[:, k - 1]
        neighbours = np.argpartition(low, k - 1, axis=1)[:, :k]
        reached = np.take_along_axis(high, neighbours, axis=1)
        n_kept += float((reached <= limit[:, None] + slack).sum())
        for column in reached.T:  # how many vectors are clearly closer than this neighbour's
            closer = (high < column[:, None] - slack).sum(axis=1)
            penalty += float(np.maximum(closer + 1 - k, 0).sum())
    worst = len(chosen) * k * (2 * n - 3 * k - 1) / 2
    above = np.triu_indices(len(chosen), 1)
    high_all, low_all = np.concatenate(high_pairs)[above], np.concatenate(low_pairs)[above]
    some = np.random.default_rng(seed).permutation(len(high_all))[: 50 * MOST]
    high_some, low_some = np.round(high_all[some] / (slack or 1)), low_all[some]
    constant = np.ptp(high_some) == 0 or np.ptp(low_some) == 0
    cpd = float("nan") if constant else float(spearmanr(high_some, low_some).statistic)
    return MapQuality(
        recall=n_kept / (len(chosen) * k),
        trustworthiness=1 - penalty / worst,
        cpd=cpd,
        n_compared=len(chosen),
    )


def neighbour_overlap(first: Floats, second: Floats) -> float:
    """Share of each point's 10 neighbours on one map (n, 2) that are so on the other."""
    from sklearn.neighbors import NearestNeighbors

    k = min(NEIGHBOURS, len(first) - 1)
    near = [
        NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)
        for points in (first, second)
    ]
    return float((near[0][:, :, None] == near[1][:, None, :]).any(axis=2).mean())


def median_movement(first: Floats, second: Floats) -> float:
    """Median distance of points between two maps (n, 2), in radii of the first."""
    radius = spread_of(first)
    moved = np.linalg.norm(np.asarray(second, np.float64) - first, axis=1)
    return float(np.median(moved) / (radius or 1.0))


def jittered(vectors: Floats, seed: int = 0) -> npt.NDArray[np.float32]:
    """The vectors (n, D), each moved a little at random, so that no two are equal."""
    random = np.random.default_rng(seed).standard_normal(vectors.shape)
    size = FINEST * spread_of(vectors) / np.sqrt(vectors.shape[1])
    return np.asarray(vectors + (size or 1.0) * random, np.float32)


def spread_of(vectors: Floats) -> float:
    """Root of the mean squared distance of vectors (n, D) from their mean."""
    return float(np.sqrt(np.asarray(vectors, np.float64).var(axis=0).sum()))


def _distances(points: Floats, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(points[rows], points), np.float64)
