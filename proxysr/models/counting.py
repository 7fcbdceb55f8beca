"""What models share that count and learn nothing by gradients.

All they know is counted once, in :meth:`CountingModel.count`, into buffers. Lists of different
length (the items beside an item, the sessions of an item) are kept one after the other:
list ``i`` is ``values[offsets[i] : offsets[i + 1]]``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from proxysr.config import Count, Settings, require
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, Sessions
from proxysr.kernels import sizes
from proxysr.models.base import Answer, Ends, SessionModel
from proxysr.models.softmax import recent

SKETCH = 64
"""Numbers that scores are folded into for a map."""
ENTRIES = 2**21
"""Entries of lists that are taken at a time, so that memory is bounded."""

Ints = npt.NDArray[np.int64]
Decay = Literal["linear", "reciprocal", "none"]
"""How the weight of a click falls from the latest one, 1, to the first one."""


class CountingConfig(Settings):
    """Options of models that read a session's clicks."""

    max_length: Count = 50
    """Clicks of a session that are read: its latest ones."""


class CountingModel(SessionModel):
    """Base of models that only count: a map shows their scores, folded into 64 numbers.

    Attributes
    ----------
    has_counted : bool
        Whether it was prepared or loaded; before that, all items would have equal scores.
    """

    Config: ClassVar[type[Settings]] = CountingConfig
    has_counted: bool = False
    folded: Tensor
    signs: Tensor

    def __init__(self, n_items: int, config: Settings | None = None) -> None:
        super().__init__(n_items, config)
        if isinstance(self.config, CountingConfig):
            self.max_length = self.config.max_length
        random = torch.Generator().manual_seed(0)
        buckets = torch.randint(SKETCH, (n_items + 1,), generator=random)
        signs = torch.randint(2, (n_items + 1,), generator=random) * 2.0 - 1
        self.register_buffer("folded", buckets, persistent=False)
        self.register_buffer("signs", signs, persistent=False)

    @abstractmethod
    def count(self, train: Sessions) -> None:
        """Compute buffers from the training sessions."""

    def prepare(self, train: Sessions) -> None:
        """Count the training sessions."""
        self.count(train)
        self.has_counted = True

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self.has_counted = True

    def answer(self, batch: SessionBatch, ends: Ends | None = None) -> Answer:
        """Scores for ranking; an error before anything is counted."""
        require(
            self.has_counted,
            f"{type(self).__name__} has counted no sessions yet: call fit(model, split), or "
            "model.prepare(split.train), first.",
        )
        return super().answer(batch, ends)

    @torch.no_grad()
    def represent(self, batch: SessionBatch) -> Tensor:
        """The scores (B, V), summed with random signs in 64 buckets, (B, 64).

        That keeps inner products in expectation (K. Weinberger et al.: Feature hashing for
        large scale multitask learning, ICML 2009).
        """
        scores = self.score(batch)
        scores[:, PAD] = 0
        empty = scores.new_zeros(len(scores), SKETCH)
        return empty.index_add_(1, self.folded, scores * self.signs)


class PairModel(CountingModel):
    """Base of models with a sparse item-by-item matrix; a session adds up the rows of its clicks.

    Attributes
    ----------
    offsets : int64 (V + 1,)
        Row ``i`` of the matrix is at ``offsets[i] : offsets[i + 1]`` of ``beside`` and ``counts``.
    beside : int32 (n_pairs,)
        Columns: the items that get a score from item ``i``.
    counts : (n_pairs,)
        Values of the matrix.
    """

    sized_by_data = ("beside", "counts")
    offsets: Tensor
    beside: Tensor
    counts: Tensor

    def __init__(self, n_items: int, config: CountingConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.register_buffer("offsets", torch.zeros(n_items + 2, dtype=torch.long))
        self.register_buffer("beside", torch.zeros(0, dtype=torch.int32))
        self.register_buffer("counts", torch.zeros(0))
        self._full: tuple[Tensor, Tensor] | None = None

    def keep(self, first: Ints, second: Ints, counts: npt.NDArray[np.floating]) -> None:
        """Store the matrix: rows ``first`` in ascending order, columns ``second``, values; (n,)."""
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
        clicked, weights = items[row, column], self.click_weights(recency, lengths)
        n_entries = int((self.offsets[clicked + 1] - self.offsets[clicked]).sum())
        if sizes.filled(n_entries, len(items), self.n_items):
            of_clicks = scores.index_put((row, clicked), weights.to(scores), accumulate=True)
            scores = of_clicks @ self.full()
        else:
            add_lists(
                scores, row, clicked, weights, self.offsets, self.beside,
                lambda _, entry: self.counts[entry],
            )  # fmt: skip
        scores[:, PAD] = -torch.inf
        return scores

    def full(self) -> Tensor:
        """The matrix (V, V) with its zeros, kept until the counts are others."""
        if self._full is None or self._full[0] is not self.counts:
            full = self.counts.new_zeros(self.n_items + 1, self.n_items + 1)
            every = torch.arange(len(full), device=full.device)
            row, entry = lists_of(every, self.offsets)
            full[row, self.beside[entry]] = self.counts[entry]
            self._full = self.counts, full
        return self._full[1]


def decay(kind: Decay, recency: Tensor, lengths: Tensor) -> Tensor:
    """Weights of clicks that ``recency`` clicks follow, in sessions of ``lengths`` clicks.

    >>> decay("linear", torch.tensor([0, 1, 3]), torch.tensor(4))
    tensor([1.0000, 0.7500, 0.2500])
    >>> decay("reciprocal", torch.tensor([0, 1, 3]), torch.tensor(4))
    tensor([1.0000, 0.5000, 0.2500])
    """
    if kind == "linear":
        return (lengths - recency) / lengths
    return 1 / (recency + 1) if kind == "reciprocal" else torch.ones_like(recency) / 1


def lists_of(rows: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """The entries of some lists: (which of ``rows`` it is in, index of the entry), (n,) each.

    >>> lists_of(torch.tensor([2, 0]), torch.tensor([0, 2, 3, 6]))
    (tensor([0, 0, 0, 1, 1]), tensor([3, 4, 5, 0, 1]))
    """
    sizes = offsets[rows + 1] - offsets[rows]
    owner = torch.arange(len(rows), device=rows.device).repeat_interleave(sizes)
    skipped = (offsets[rows] - sizes.cumsum(0) + sizes)[owner]
    return owner, torch.arange(len(owner), device=rows.device) + skipped


def portions(sizes: Tensor, entries: int | None = None) -> Iterator[slice]:
    """Slices of lists of these sizes with about ``entries`` entries each, to bound memory.

    >>> list(portions(torch.tensor([3, 4, 2, 9, 1]), 5))
    [slice(0, 1, None), slice(1, 3, None), slice(3, 5, None)]
    """
    groups = sizes.cumsum(0) // (ENTRIES if entries is None else entries)
    counts = torch.unique_consecutive(groups, return_counts=True)[1]
    start = 0
    for count in counts.tolist():
        yield slice(start, start + count)
        start += count


def add_lists(
    scores: Tensor, rows: Tensor, lists: Tensor, weights: Tensor,
    offsets: Tensor, items: Tensor,
    entry_weights: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> None:  # fmt: skip
    """Add to ``scores`` (B, V), in place, the weighted entries of some lists.

    Parameters
    ----------
    scores : (B, V)
    rows, lists, weights : (m,)
        Which row of the scores gets which list with which weight.
    offsets, items
        The lists: their bounds and their items.
    entry_weights : callable, optional
        Weights (n,) of entries, given their list (0..m - 1) and their places in ``items``,
        (n,) each; 1 if left out.
    """
    flat, width = scores.view(-1), scores.shape[1]
    for portion in portions(offsets[lists + 1] - offsets[lists]):
        owner, entry = lists_of(lists[portion], offsets)
        if portion.start > 0:
            owner += portion.start
        values = weights[owner]
        if entry_weights is not None:
            values = values * entry_weights(owner, entry)
        flat.index_add_(0, rows[owner] * width + items[entry], values)


def offsets_of(owners: npt.NDArray[np.integer[Any]], n: int) -> Ints:
    """Where the lists 0..n - 1 start, and the last ends, from the sorted list of each entry.

    >>> offsets_of(np.array([0, 0, 2]), 4)
    array([0, 2, 2, 3, 3])
    """
    return np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=n))])
