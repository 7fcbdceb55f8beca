"""What models share that know how much each item speaks for each other one.

That is a matrix, kept as lists of what is not zero. A session adds up the rows of its clicks.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxysr.config import Settings
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD
from proxysr.models.counting import CountingModel, Ints, add_lists, offsets_of
from proxysr.models.softmax import recent


class PairModel(CountingModel):
    """Base of models that add up rows of a matrix of items.

    Parameters
    ----------
    n_items : int
    config : Settings, optional
        With a ``max_length``: clicks of a session that are asked for, its latest ones.

    Attributes
    ----------
    offsets : int64 (V + 1,)
        Row ``i`` of the matrix is at ``offsets[i] : offsets[i + 1]`` of ``beside`` and ``counts``.
    beside : int32 (n_pairs,)
        The item that item ``i`` speaks for.
    counts : (n_pairs,)
        How much it does.
    """

    sized_by_data = ("beside", "counts")
    offsets: Tensor
    beside: Tensor
    counts: Tensor

    def __init__(self, n_items: int, config: Settings | None = None) -> None:
        super().__init__(n_items, config)
        self.register_buffer("offsets", torch.zeros(n_items + 2, dtype=torch.long))
        self.register_buffer("beside", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("counts", torch.zeros(0))

    def keep(self, first: Ints, second: Ints, counts: npt.NDArray[np.floating]) -> None:
        """Take the matrix: items ``first`` in ascending order, ``second``, and how much; (n,)."""
        self.offsets.copy_(torch.from_numpy(offsets_of(first, self.n_items + 1)))
        self.beside = torch.from_numpy(second.astype(np.int32)).to(self.beside.device)
        self.counts = torch.from_numpy(counts).to(self.counts)

    @abstractmethod
    def click_weights(self, recency: Tensor, lengths: Tensor) -> Tensor:
        """Weights (n,) of clicks that ``recency`` clicks follow, in sessions of ``lengths``."""

    @torch.no_grad()
    def score(self, batch: SessionBatch) -> Tensor:
        """Sums (B, V) of the rows of the session's clicks, weighted by recency."""
        items = recent(batch, self.max_length).items
        scores = self.counts.new_zeros(len(items), self.n_items + 1)
        row, column = (items != PAD).nonzero(as_tuple=True)
        recency, lengths = items.shape[1] - 1 - column, (items != PAD).sum(dim=1)[row]
        weights = self.click_weights(recency, lengths)
        add_lists(scores, row, items[row, column], weights, self.offsets, self.beside, self.counts)
        scores[:, PAD] = -torch.inf
        return scores
