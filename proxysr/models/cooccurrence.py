"""Co-occurrence: what was clicked beside the session's items, counted in training.

Idea
----
Two items belong together if sessions click them soon after one another. A matrix counts
that for all pairs, a close pair more than a distant one. A session adds up the rows of its
clicks, the latest with the largest weight. On Diginetica this is as good as
many networks, so no comparison is worth much without it.

Reference
---------
Malte Ludewig, Dietmar Jannach: Evaluation of session-based recommendation algorithms.
User Modeling and User-Adapted Interaction 28, 2018. https://doi.org/10.1007/s11257-018-9209-6
(association rules and sequential rules)

Where the equations are
-----------------------
Counting, with weights by distance as in their sequential rules: :meth:`Cooccurrence.count`;
scores: :meth:`proxysr.models.counting.PairModel.score`.

Differences from the paper
--------------------------
- Theirs asks only for the latest click of a session; here all its clicks are asked for, with
  weights 1, 1/2, 1/3, … from the latest one backwards.
- Rows are divided by the square root of their sum: between not at all, where frequent items
  drown the others, and by their sum, where a pair seen once weighs as much as a hundred.
- Pairs count in both directions, or only forward as in their sequential rules
  (``direction``), and an item beside itself counts only if ``self_pairs`` says so.
- Sessions of late can count more than old ones (``half_life``); theirs all count alike.

Differences from the authors' program
-------------------------------------
The same; and theirs can prune each row to its largest counts, here all pairs stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from proxysr.config import Count, NotNegative
from proxysr.data.batches import ages
from proxysr.data.sessions import Sessions
from proxysr.models.counting import CountingConfig, Decay, Ints, PairModel, decay

PENDING = 2**23
"""Pairs that are kept before equal ones are added up."""

Weighted = tuple[Ints, npt.NDArray[np.float64]]
"""Pairs of items as numbers ``first * V + second``, and their weights."""


class CooccurrenceConfig(CountingConfig):
    """How pairs are counted and looked up."""

    window: Count = 50
    """Most steps from the first to the second click of a pair."""
    direction: Literal["both", "forward"] = "both"
    """Whether a pair counts for both of its items, or only for the first."""
    step_weight: Literal["reciprocal", "none"] = "reciprocal"
    """A pair n steps apart counts 1/n, or 1."""
    normalisation: Literal["sqrt", "none"] = "sqrt"
    """Rows are divided by the square root of their sum, or left as they are."""
    recency_weight: Decay = "reciprocal"
    """Weight of a session's click that n clicks follow: 1/(n + 1), falling linearly, or 1."""
    self_pairs: bool = False
    """Whether two clicks on the same item are a pair, so that repeats are recommended."""
    half_life: NotNegative = 0.0
    """Age at which a session counts half, as a share of the training data's time; 0: all alike."""


class Cooccurrence(PairModel):
    """The model; see the module's docstring."""

    Config = CooccurrenceConfig
    config: CooccurrenceConfig

    def count(self, train: Sessions) -> None:
        """Count all pairs of the training sessions."""
        keys, counts = _merged(self._pairs(train))
        first, second = np.divmod(keys, self.n_items + 1)
        if self.config.normalisation == "sqrt":
            counts = counts / np.sqrt(np.bincount(first, counts))[first]
        self.keep(first, second, counts)

    def _pairs(self, train: Sessions) -> Iterator[Weighted]:
        """Pairs of clicks 1, 2, … steps apart."""
        items, session = np.asarray(train.items, np.int64), train.session_of_click
        half_life = self.config.half_life
        worth = 0.5 ** (ages(train.started_at) / half_life) if half_life else np.ones(len(train))
        for step in range(1, self.config.window + 1):
            counted = session[step:] == session[:-step]
            if not counted.any():
                return
            if not self.config.self_pairs:
                counted &= items[step:] != items[:-step]
            first, second = items[:-step][counted], items[step:][counted]
            weight = worth[session[step:][counted]]
            if self.config.step_weight == "reciprocal":
                weight = weight / step
            if self.config.direction == "both":
                first, second = np.concatenate([first, second]), np.concatenate([second, first])
                weight = np.tile(weight, 2)
            yield first * (self.n_items + 1) + second, weight

    def click_weights(self, recency: Tensor, lengths: Tensor) -> Tensor:
        """Weights (n,) of clicks that ``recency`` clicks follow, in sessions of ``lengths``."""
        return decay(self.config.recency_weight, recency, lengths)


def _merged(chunks: Iterator[Weighted]) -> Weighted:
    """Each pair once, sorted, with the sum of its weights; memory is bounded by merging early."""
    merged: list[Weighted] = [(np.zeros(0, np.int64), np.zeros(0))]
    for chunk in chunks:
        merged.append(chunk)
        if sum(len(keys) for keys, _ in merged[1:]) > PENDING:
            merged = [_summed(merged)]
    return _summed(merged)


def _summed(chunks: list[Weighted]) -> Weighted:
    keys, weights = (np.concatenate(arrays) for arrays in zip(*chunks, strict=True))
    order = np.argsort(keys, kind="stable")
    keys, weights = keys[order], weights[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[starts], np.add.reduceat(weights, starts) if len(starts) else weights
