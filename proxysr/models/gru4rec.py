"""GRU4Rec: a recurrent network reads the session click by click.

Idea
----
A GRU takes one clicked item after the other; its state after a click is the session's
vector. Items are scored by their dot product with it plus a bias of their own; the
embeddings that are read are also those that are scored, a variant of the second paper.

Reference
---------
Balázs Hidasi, Alexandros Karatzoglou, Linas Baltrunas, Domonkos Tikk: Session-based
Recommendations with Recurrent Neural Networks. ICLR 2016. https://arxiv.org/abs/1511.06939

Balázs Hidasi, Alexandros Karatzoglou: Recurrent Neural Networks with Top-k Gains for
Session-based Recommendations. CIKM 2018. https://doi.org/10.1145/3269206.3271761

Where the equations are
-----------------------
The GRU (section 3 of the first paper): :meth:`GRU4Rec.encode`. Cross-entropy, TOP1-max and
BPR-max with its score regularisation (section 3 of the second paper): :meth:`GRU4Rec.loss`,
:func:`top1_max` and :func:`bpr_max`.

Differences from the papers
---------------------------
- Every loss is taken over all items. The papers take the other targets of a mini-batch and
  further sampled items as negatives, to save time; there, a session's loss depends on what is
  beside it. Here items are drawn only if ``sampled_negatives`` asks for it, the same for a whole
  batch, and for the cross-entropy alone.
- The gradient is followed through all clicks of a session.
- The items' biases are those of the authors' program.
- TOP1 and BPR without "-max" are left out: the second paper finds them weaker.

Differences from the authors' program
-------------------------------------
As above, and:

- Theirs keeps a session's state from step to step, but follows no gradient through it.
- Dropped entries of a state are dropped for what comes after the layer. In theirs the next click
  sees the state with its dropped entries, too.
- BPR-max takes the scores as they are. Theirs can bend them by an ELU first.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, logsigmoid

from proxysr.config import Count, NotNegative, Share, require
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD
from proxysr.models.base import Ends, Loss
from proxysr.models.softmax import SoftmaxConfig, SoftmaxModel, left_aligned, shifted, targets_of


class GRU4RecConfig(SoftmaxConfig):
    """Hyper-parameters of GRU4Rec; the states of the GRU are as long as the embeddings."""

    n_layers: Count = 1
    """Layers of the GRU."""
    dropout_embedding: Share = 0.0
    """Share of the entries of the embedded clicks that is dropped in training."""
    dropout_hidden: Share = 0.0
    """Share of the entries of each layer's output that is dropped in training."""
    objective: Literal["cross-entropy", "bpr-max", "top1-max"] = "cross-entropy"
    """What is minimised."""
    lambda_scores: NotNegative = 1.0
    """Weight λ of the squared scores of negatives in BPR-max; the other two have no such term."""

    def check(self) -> None:
        """Check ranges."""
        super().check()
        require(
            self.sampled_negatives == 0 or self.objective == "cross-entropy",
            "sampled_negatives are drawn for the cross-entropy, and objective="
            f"{self.objective!r} takes all items: it must be 0 then; received "
            f"{self.sampled_negatives}.",
        )


class GRU4Rec(SoftmaxModel):
    """The model; see the module's docstring."""

    Config = GRU4RecConfig
    config: GRU4RecConfig

    def __init__(self, n_items: int, config: GRU4RecConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        require(
            n_items > 1 or c.objective == "cross-entropy",
            f"With a single item there is no negative for {c.objective!r}.",
        )
        self.gru = nn.GRU(
            c.embedding_dim,
            c.embedding_dim,
            num_layers=c.n_layers,
            dropout=c.dropout_hidden if c.n_layers > 1 else 0.0,  # between layers
            batch_first=True,
        )
        self.item_bias = nn.Parameter(torch.zeros(n_items + 1))
        self.dropout_embedding = nn.Dropout(c.dropout_embedding)
        self.dropout_hidden = nn.Dropout(c.dropout_hidden)

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """State (R, D) of the last layer after the clicks at ``ends``."""
        clicks = self.embed(left_aligned(batch))
        states, _ = self.gru(self.dropout_embedding(clicks))
        return self.dropout_hidden(states[shifted(batch, ends)])  # type: ignore[no-any-return]

    @property
    def biases(self) -> Tensor:
        """What is added to the scores of the items, (V,)."""
        return self.item_bias

    def loss(self, batch: SessionBatch) -> Loss:
        """Mean of the chosen loss over all targets of the batch."""
        c = self.config
        if c.objective == "cross-entropy":
            return super().loss(batch)
        ends = targets_of(batch)
        scores = self.logits(self.encode(batch, ends))[:, PAD + 1 :]
        target = batch.targets[ends] - (PAD + 1)
        if c.objective == "bpr-max":
            terms = bpr_max(scores, target, c.lambda_scores)
        else:
            terms = top1_max(scores, target)
        return Loss(terms.sum() / batch.n_targets, {})


def bpr_max(scores: Tensor, target: Tensor, lambda_scores: float) -> Tensor:
    """``-log Σ_j s_j σ(r_i - r_j) + λ Σ_j s_j r_j²`` (R,), with ``s`` the softmax of negatives.

    Parameters
    ----------
    scores : (R, n)
        Scores ``r`` of all items.
    target : int64 (R,)
        The column ``i`` of the target; all others are negatives ``j``.
    lambda_scores : float
    """
    of_target = scores.gather(1, target[:, None])
    log_share = _log_share(scores, target)
    chance = torch.logsumexp(log_share + logsigmoid(of_target - scores), dim=1)
    return lambda_scores * (log_share.exp() * scores.square()).sum(dim=1) - chance


def top1_max(scores: Tensor, target: Tensor) -> Tensor:
    """``Σ_j s_j (σ(r_j - r_i) + σ(r_j²))`` (R,); parameters as for :func:`bpr_max`."""
    of_target = scores.gather(1, target[:, None])
    terms = torch.sigmoid(scores - of_target) + torch.sigmoid(scores.square())
    return (_log_share(scores, target).exp() * terms).sum(dim=1)


def _log_share(scores: Tensor, target: Tensor) -> Tensor:
    """Logarithm of ``s``: how close each negative is to being the highest; -inf for the target."""
    return log_softmax(scores.scatter(1, target[:, None], -torch.inf), dim=1)
