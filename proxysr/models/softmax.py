"""Base of models that compare a session's vector with the items' vectors.

They predict every item of a session from the items before it. The score of an item is the dot
product of its embedding with the session's vector, and the loss is the cross-entropy of the softmax
over all items, or over sampled ones (:mod:`proxysr.kernels.sampling`). A subclass implements
``encode``: in one pass over all positions if it is causal, or for every prefix separately
(:class:`PrefixModel`).
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from proxysr.config import Count, Positive
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, Sessions
from proxysr.kernels.cross_entropy import cross_entropy_over_all
from proxysr.kernels.sampling import ItemSampler, SamplingConfig, sampled_cross_entropy
from proxysr.kernels.tiles import product_tiles
from proxysr.models.base import Answer, Ends, LearnedModel, Loss

Embed = Callable[[Tensor], Tensor]
"""Maps items (...) to their embeddings (..., D)."""
SPREAD = 1.5
"""Largest ratio of the longest to the shortest session of a group."""


class SoftmaxConfig(SamplingConfig):
    """Hyper-parameters of all these models."""

    embedding_dim: Count = 128
    """Size d of the item embeddings."""
    max_length: Count = 50
    """Most clicks of a session that are read, the latest ones."""
    init_std: Positive = 0.1
    """Standard deviation of the item embeddings at the start."""


class SoftmaxModel(LearnedModel):
    """Base of models whose scores are ``encode(batch) @ items.T``.

    Parameters
    ----------
    n_items : int
    config : SoftmaxConfig, optional

    Attributes
    ----------
    items : (V, D)
        Item embeddings; row ``PAD`` is zero and stays so.
    sampler : ItemSampler or None
        Samples negatives for the loss; None if it uses all items.
    """

    Config = SoftmaxConfig
    config: SoftmaxConfig

    def __init__(self, n_items: int, config: SoftmaxConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.max_length = self.config.max_length
        table = torch.randn(n_items + 1, self.config.embedding_dim) * self.config.init_std
        table[PAD] = 0
        self.items = nn.Parameter(table)
        draws = self.config.sampled_negatives > 0
        self.sampler = ItemSampler(n_items, self.config) if draws else None

    def prepare(self, train: Sessions) -> None:
        """Count the clicks of items, if negatives are sampled."""
        if self.sampler is not None:
            self.sampler.count(train)

    @abstractmethod
    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """Vectors (R, D) of the sessions as they were after the clicks at ``ends``.

        Parameters
        ----------
        batch : SessionBatch
        ends : int64 (R,) twice, optional
            The last column of every row if left out; R is B then.
        """

    @property
    def biases(self) -> Tensor | None:
        """Biases (V,) that are added to the scores, if the model has any."""
        return None

    def embed(self, items: Tensor) -> Tensor:
        """Embeddings (..., D) of items (...), such as clicks, with a sparse gradient.

        It is added to the dense gradient from the scores without a second dense table. With
        sampled negatives, there is no dense gradient, and the sum is sparse.
        """
        return embedding(items, self.items, padding_idx=PAD, sparse=True)

    def outputs(self, items: Tensor | None = None) -> Tensor:
        """Output vectors of items (n,), or of all, (V, D), that sessions are compared with."""
        return self.items if items is None else self.embed(items)

    def logits(self, vectors: Tensor) -> Tensor:
        """Scores (R, V) of all items, column ``PAD`` -inf."""
        scores = vectors @ self.outputs().T
        if self.biases is not None:
            scores += self.biases
        scores[:, PAD] = -torch.inf
        return scores

    def cross_entropy(self, vectors: Tensor, targets: Tensor) -> Tensor:
        """Sum of the cross-entropy of targets (R,) given vectors (R, D), as from :meth:`logits`.

        With sampled negatives, only these and the target are in the softmax.
        """
        if self.sampler is None:
            return cross_entropy_over_all(vectors, self.outputs(), targets, bias=self.biases)
        drawn = self.sampler.draw()
        items = torch.cat([drawn, targets])
        bias = -self.sampler.log_expected[items]
        if self.biases is not None:
            bias = bias + self.biases.gather(0, items, sparse_grad=True)
        return sampled_cross_entropy(vectors, self.outputs(items), bias, drawn, targets)

    def loss(self, batch: SessionBatch) -> Loss:
        """Mean cross-entropy over all targets of the batch."""
        ends = targets_of(batch)
        vectors = self.encode(batch, ends)
        return Loss(self.cross_entropy(vectors, batch.targets[ends]) / batch.n_targets, {})

    def vectors(self, batch: SessionBatch) -> Tensor:
        """Vectors (B, D) of the sessions after their last click."""
        return self.encode(recent(batch, self.max_length))

    @torch.no_grad()
    def score(self, batch: SessionBatch) -> Tensor:
        """Dot products (B, V) of the session's vector and all items."""
        return self.logits(self.vectors(batch))

    @torch.no_grad()
    def answer(self, batch: SessionBatch, ends: Ends | None = None) -> Answer:
        """See :meth:`SessionModel.answer`."""
        tiles = product_tiles(self.vectors(batch), self.outputs(), self.biases)
        return Answer(tiles, self.choices(batch))

    @torch.no_grad()
    def represent(self, batch: SessionBatch) -> Tensor:
        """The session's vector (B, D)."""
        return self.vectors(batch)


class PrefixModel(SoftmaxModel):
    """Base of models that read every prefix separately."""

    @abstractmethod
    def encode_whole(self, batch: SessionBatch, embed: Embed) -> Tensor:
        """Vectors (B, D) of the sessions after all their clicks.

        Parameters
        ----------
        batch : SessionBatch
        embed : callable
            Embeds the items that :meth:`reads` names.
        """

    def reads(self, items: Tensor) -> Tensor:
        """Items (n,) whose embeddings are needed to encode sessions of ``items`` (...)."""
        return items.flatten()

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """Vectors (R, D); see :meth:`SoftmaxModel.encode`."""
        sessions = batch if ends is None else prefixes(batch, ends)

        def encode_group(rows: Tensor, width: int) -> Tensor:
            return self.encode_whole(recent(sessions.rows(rows), width), embed)

        # one gradient for the table, not one for each group
        embed = (
            read_once(self.embed, self.reads(batch.items))
            if torch.is_grad_enabled()
            else self.embed
        )
        return in_groups(encode_group, sessions.lengths)


def read_once(embed: Embed, items: Tensor) -> Embed:
    """Call ``embed`` once for items (n,) and the padding; the result looks their vectors up."""
    distinct: Tensor = torch.unique(torch.cat([items.new_tensor([PAD]), items]))
    vectors = embed(distinct)
    return lambda x: embedding(torch.searchsorted(distinct, x.contiguous()), vectors)


def in_groups(f: Callable[[Tensor, int], Tensor], lengths: Tensor) -> Tensor:
    """``f(rows, width)`` by groups of rows of similar length; results are in the original order.

    Most prefixes are short and a few are long; padded to the longest, most would be padding.

    Parameters
    ----------
    f : callable
        Given row numbers (n,) and the greatest of their lengths, returns (n, ...).
    lengths : int64 (R,)
        At least one, each at least 1.

    >>> in_groups(lambda rows, width: rows * 10 + width, torch.tensor([9, 1, 8]))
    tensor([ 9, 11, 29])
    """
    ascending, order = lengths.sort(stable=True)
    n = ascending.tolist()
    parts, start = [], 0
    while start < len(n):
        end = bisect_right(n, SPREAD * n[start])
        parts.append(f(order[start:end], n[end - 1]))
        start = end
    return torch.cat(parts)[order.argsort()]


def targets_of(batch: SessionBatch) -> Ends:
    """Row and column (R,) of the positions of a batch that have a target."""
    row, column = (batch.targets != PAD).nonzero(as_tuple=True)
    return row, column


def recent(batch: SessionBatch, length: int) -> SessionBatch:
    """The batch with at most the latest ``length`` clicks of each row."""
    return batch._replace(
        items=batch.items[:, -length:],
        lengths=batch.lengths.clamp(max=length),
        targets=batch.targets[:, -length:],
    )


def prefixes(batch: SessionBatch, ends: Ends) -> SessionBatch:
    """The sessions as they were after the clicks at ``ends``: a batch of R rows.

    >>> items = torch.tensor([[0, 4, 2, 7]])
    >>> batch = SessionBatch(items, torch.tensor([3]), torch.zeros_like(items))
    >>> prefixes(batch, (torch.tensor([0, 0]), torch.tensor([1, 2]))).items
    tensor([[0, 4],
            [4, 2]])
    """
    row, column = ends
    n = batch.items.shape[1]
    items = pad(batch.items, (n - 1, 0)).unfold(1, n, 1)[row, column]
    lengths = batch.lengths[row] - (n - 1 - column)
    width = int(lengths.max()) if len(lengths) else 0
    return SessionBatch(
        items[:, n - width :],
        lengths,
        batch.targets[row, column, None].new_zeros(len(row), width),
        None if batch.users is None else batch.users[row],
    )


def left_aligned(batch: SessionBatch) -> Tensor:
    """Items (B, L) padded on the right, for networks that read from the left.

    Click ``column`` of a row is found at ``column - (L - length)``; see :func:`shifted`.
    """
    n = batch.items.shape[1]
    start = n - batch.lengths
    column = torch.arange(n, device=batch.items.device) + start[:, None]
    return batch.items.gather(1, column.clamp(max=n - 1)).masked_fill(column >= n, PAD)


def shifted(batch: SessionBatch, ends: Ends | None) -> Ends:
    """Row and column of the clicks at ``ends`` (by default the last) in :func:`left_aligned`."""
    n = batch.items.shape[1]
    if ends is None:
        return torch.arange(len(batch.items), device=batch.items.device), batch.lengths - 1
    row, column = ends
    return row, column - (n - batch.lengths[row])
