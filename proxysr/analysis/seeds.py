"""How a metric varies over seeds, and how the difference of two models does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.evaluation import values_of

Floats = npt.NDArray[np.float64]
Seeds = Sequence[int | None]
"""Seeds of runs; None of a run that has none, such as of a model that only counts."""


def means_of_seeds(ranks: Sequence[pd.DataFrame], metrics: Sequence[str]) -> Floats:
    """Metrics (seeds, M) of the ranks of each seed."""
    return np.array(
        [
            [values_of(frame["rank"].to_numpy(), metric).mean() for metric in metrics]
            for frame in ranks
        ]
    )


def deviation(means: Floats) -> Floats:
    """Standard deviation (M,) over the seeds of metrics (seeds, M); of one seed, none is known."""
    if len(means) < 2:
        return np.full(means.shape[1], np.nan)
    return np.asarray(means.std(axis=0, ddof=1))


def range_of_differences(seeds_a: Seeds, a: Floats, seeds_b: Seeds, b: Floats) -> Floats:
    """The smallest and the largest difference of two runs of one seed.

    A run without a seed stands against every run of the other side.

    Parameters
    ----------
    seeds_a, seeds_b : sequence of int or None
        Seeds of both sides, in any order.
    a, b : (seeds, M)
        Their metrics.

    Returns
    -------
    (2, M)
        Differences of b to a; NaN if no seed is on both sides.
    """
    differences = [
        of_b - of_a
        for seed_a, of_a in zip(seeds_a, a, strict=True)
        for seed_b, of_b in zip(seeds_b, b, strict=True)
        if seed_a == seed_b or None in (seed_a, seed_b)
    ]
    if not differences:
        return np.full((2, a.shape[1]), np.nan)
    return np.stack([np.min(differences, axis=0), np.max(differences, axis=0)])
