"""SASRec: self-attention over the clicks so far, in a few causal blocks.

Idea
----
Each click attends to itself and the clicks before it, and learns by content which of them matter
now: the latest click of a session that follows a chain, several of them in one that circles
around a subject. Blocks of attention and a small feed-forward network are stacked; the vector
at a click ranks the items for the next one.

Reference
---------
Wang-Cheng Kang, Julian McAuley: Self-Attentive Sequential Recommendation. ICDM 2018.
https://doi.org/10.1109/ICDM.2018.00035

Where the equations are
-----------------------
Embedding with positions (section III-A): :meth:`SASRec.encode`; attention, feed-forward network,
residuals and layer normalisation (III-B, III-C): :class:`Block`; prediction with the shared item
embedding (III-D): :meth:`proxysr.models.softmax.SoftmaxModel.logits`; binary cross-entropy
(III-E): :meth:`SASRec.loss` with ``objective="binary"``.

Differences from the paper
--------------------------
- The loss is the softmax over all items by default, as for the models it is compared with;
  ``objective="binary"`` is the paper's, with one sampled negative a position.
- A negative is any item but the target. The paper leaves out all items of the session, among
  them later clicks, which the loss of a position should know nothing of.
- Positions count from the first click that is read. The paper counts within a window of fixed
  length that ends with the session, so that the position of a click depends on how many follow.
- The vector of the last block is normalised once more, as in the authors' program.

Differences from the authors' program
-------------------------------------
- Blocks are those of the paper, ``x + dropout(g(norm(x)))``. Theirs adds the normalised x in
  place of x, normalises the queries but not the keys and values, and applies dropout to the
  attention weights and inside the feed-forward network.
- The item embeddings are not scaled by the root of d; the paper does not mention it.
- Projections of the attention have no bias; the paper writes none.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention, softplus

from proxysr.config import Count, Share, require
from proxysr.data.batches import SessionBatch
from proxysr.models.base import Ends, Loss
from proxysr.models.softmax import SoftmaxConfig, SoftmaxModel, left_aligned, shifted, targets_of


class SASRecConfig(SoftmaxConfig):
    """Hyper-parameters of SASRec."""

    n_blocks: Count = 2
    """Number b of blocks."""
    dropout: Share = 0.5
    """Share of entries dropped from embeddings and from what a layer adds; the paper's for
    sparse data."""
    objective: Literal["softmax", "binary"] = "softmax"
    """Cross-entropy over all items, or the paper's binary one with a sampled negative."""

    def check(self) -> None:
        """Check ranges."""
        super().check()
        require(
            self.sampled_negatives == 0 or self.objective == "softmax",
            "sampled_negatives are drawn for the softmax, and objective='binary' draws one item "
            f"a target anyway: it must be 0 then; received {self.sampled_negatives}.",
        )


class Block(nn.Module):
    """Causal self-attention and a feed-forward network, each normalised before and added.

    Parameters
    ----------
    dim : int
    dropout : float
    """

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim, bias=False)
        self.forward_norm = nn.LayerNorm(dim)
        self.hidden = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, L, D) that know of the earlier ones, from (B, L, D)."""
        z = self.attention_norm(x)
        attended = scaled_dot_product_attention(
            self.query(z), self.key(z), self.value(z), is_causal=True
        )
        x = x + self.dropout(attended)
        hidden = relu(self.hidden(self.forward_norm(x)))
        return x + self.dropout(self.out(hidden))  # type: ignore[no-any-return]


class SASRec(SoftmaxModel):
    """The model; see the module's docstring."""

    Config = SASRecConfig
    config: SASRecConfig

    def __init__(self, n_items: int, config: SASRecConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        require(
            c.objective == "softmax" or n_items > 1,
            'The only item is every target: with objective="binary" no negative is left.',
        )
        self.positions = nn.Parameter(torch.randn(c.max_length, c.embedding_dim) * c.init_std)
        self.blocks = nn.ModuleList(Block(c.embedding_dim, c.dropout) for _ in range(c.n_blocks))
        self.norm = nn.LayerNorm(c.embedding_dim)
        self.dropout = nn.Dropout(c.dropout)

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """Vectors (R, D) of the sessions as they were after the clicks at ``ends``."""
        # With the padding behind the clicks, causality alone hides it from them.
        items = left_aligned(batch)
        x = self.dropout(self.embed(items) + self.positions[: items.shape[1]])
        for block in self.blocks:
            x = block(x)
        return self.norm(x[shifted(batch, ends)])  # type: ignore[no-any-return]

    def loss(self, batch: SessionBatch) -> Loss:
        """Mean over all targets of the batch of the cross-entropy that ``objective`` names."""
        if self.config.objective == "softmax":
            return super().loss(batch)
        ends = targets_of(batch)
        vectors, targets = self.encode(batch, ends), batch.targets[ends]
        positive = (vectors * self.items[targets]).sum(dim=1)
        negative = (vectors * self.items[self.negatives(targets)]).sum(dim=1)
        terms = softplus(-positive) + softplus(negative)
        return Loss(terms.sum() / batch.n_targets, {})

    def negatives(self, targets: Tensor) -> Tensor:
        """An item (R,) for each target, drawn evenly from all others."""
        drawn = torch.randint(1, self.n_items, targets.shape, device=targets.device)
        return drawn + (drawn >= targets)
