"""RepeatNet: decides whether the next click repeats one of the session, then which one it is.

Idea
----
People come back to what they clicked. A recurrent network reads the session; one attention over
its clicks decides between two modes, a second one says which of the session's items is
repeated, a third one informs a softmax over all the other items. An item's probability
is that of its mode times its probability in this mode.

Trained for the *unseen* task, no target is an item of the prefix: the repeat mode learns to be
nothing. What RepeatNet is for shows only when it is trained and evaluated with repeats.

Reference
---------
Pengjie Ren, Zhumin Chen, Jing Li, Zhaochun Ren, Jun Ma, Maarten de Rijke: RepeatNet: A Repeat
Aware Neural Recommendation Machine for Session-based Recommendation. AAAI 2019.
https://doi.org/10.1609/aaai.v33i01.33014806

Where the equations are
-----------------------
Encoder, repeat-explore mechanism and both decoders: :meth:`RepeatNet.decode`, with an
:class:`Attention` each; the mixture: :meth:`RepeatNet.score` and :meth:`RepeatNet.loss`; the loss
of the mode: ``lambda_mode``.

Differences from the paper
--------------------------
- Scores are log probabilities, computed as sums of logarithms. The logarithm of a repeat
  probability that is too small for a float is taken at the smallest positive one.
- The loss of the mode, which the paper adds with weight 1 in its joint training, has a weight of
  its own, 0 by default.

Differences from the authors' program
-------------------------------------
There are two. The first, in Chainer, has the layers of the paper and of this file. The second, in
PyTorch, reads the session in both directions, so that it needs every prefix by itself, and its
explore decoder sees the sum of states without the last one. Both draw dropout for the last state
and for the sequence of states separately; here one draw serves both.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, softmax

from proxysr.config import NotNegative, Share, require
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD
from proxysr.kernels.cross_entropy import cross_entropy_over_all
from proxysr.models.base import Ends, LearnedModel, Loss
from proxysr.models.softmax import SoftmaxConfig, left_aligned, recent, shifted, targets_of


class RepeatNetConfig(SoftmaxConfig):
    """Hyper-parameters of RepeatNet; states of the encoder are as wide as the embeddings."""

    dropout: Share = 0.5
    """Share of the entries of embeddings and states that is dropped in training."""
    lambda_mode: NotNegative = 0.0
    """Weight of the loss of the mode; 1 is the paper's joint training."""

    def check(self) -> None:
        """Check ranges."""
        super().check()
        require(
            self.sampled_negatives == 0,
            "RepeatNet's probabilities are of all items: sampled_negatives is 0; "
            f"received {self.sampled_negatives}.",
        )


class Attention(nn.Module):
    """Shares of a prefix's clicks: the softmax of ``v tanh(W h_t + U h_j)`` over its clicks j."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.latest = nn.Linear(dim, dim, bias=False)
        self.each = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, 1, bias=False)

    def forward(self, states: Tensor, row: Tensor, last: Tensor, in_prefix: Tensor) -> Tensor:
        """Shares (R, L), 0 outside the prefix.

        Parameters
        ----------
        states : (B, L, D)
        row, last : int64 (R,)
            Session of each prefix and column of its latest click.
        in_prefix : bool (R, L)
        """
        together = self.each(states)[row] + self.latest(states[row, last])[:, None]
        logits = self.out(together.tanh()).squeeze(2)
        return softmax(logits.masked_fill(~in_prefix, -torch.inf), dim=1)


class Decoded(NamedTuple):
    """What the model says after R prefixes.

    Attributes
    ----------
    clicks : int64 (R, L)
        Items of the prefix, ``PAD`` elsewhere.
    log_mode : (R, 2)
        Log probabilities that the next click repeats, and that it explores.
    repeat : (R, L)
        Probability of each click to be the one that is repeated, if one is.
    vector : (R, 2 D)
        Last state and the sum of the states that the explore decoder's attention takes.
    """

    clicks: Tensor
    log_mode: Tensor
    repeat: Tensor
    vector: Tensor


class RepeatNet(LearnedModel):
    """The model; see the module's docstring."""

    Config = RepeatNetConfig
    config: RepeatNetConfig

    def __init__(self, n_items: int, config: RepeatNetConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        d = c.embedding_dim
        self.max_length = c.max_length
        self.items = nn.Parameter(torch.randn(n_items + 1, d) * c.init_std)
        self.encoder = nn.GRU(d, d, batch_first=True)
        self.mode_attention = Attention(d)
        self.repeat_attention = Attention(d)
        self.explore_attention = Attention(d)
        self.mode = nn.Linear(d, 2, bias=False)
        self.explore = nn.Linear(2 * d, n_items + 1, bias=False)
        self.dropout = nn.Dropout(c.dropout)

    def decode(self, batch: SessionBatch, ends: Ends | None = None) -> Decoded:
        """What is said after the clicks at ``ends``, without a score of any item."""
        items = left_aligned(batch)
        row, last = shifted(batch, ends)
        states = self.dropout(self.encoder(self.dropout(self.items[items]))[0])
        in_prefix = torch.arange(items.shape[1], device=items.device) <= last[:, None]
        prefix = (states, row, last, in_prefix)
        to_mode = self.mode_attention(*prefix)[:, None] @ states[row]
        to_explore = self.explore_attention(*prefix)[:, None] @ states[row]
        clicks = items[row].masked_fill(~in_prefix, PAD)
        return Decoded(
            clicks,
            log_softmax(self.mode(to_mode.squeeze(1)), dim=1),
            self.repeat_attention(*prefix),
            torch.cat([states[row, last], to_explore.squeeze(1)], dim=1),
        )

    def log_explore(self, decoded: Decoded) -> Tensor:
        """Log probability (R, V) of each item outside the prefix, if the next click explores."""
        logits = self.explore(decoded.vector)
        # The lowest number in place of -inf: finite even where a prefix has all items.
        lowest = torch.finfo(logits.dtype).min
        logits = logits.scatter(1, decoded.clicks, lowest)
        logits[:, PAD] = lowest
        return log_softmax(logits, dim=1)

    def loss(self, batch: SessionBatch) -> Loss:
        """Mean negative log-likelihood over all targets of the batch, and that of their modes."""
        ends = targets_of(batch)
        targets = batch.targets[ends]
        decoded = self.decode(batch, ends)
        is_target = decoded.clicks == targets[:, None]
        repeats = is_target.any(dim=1)
        explores = ~repeats
        repeat = log((decoded.repeat * is_target).sum(dim=1)[repeats])
        explore = cross_entropy_over_all(
            decoded.vector[explores],
            self.explore.weight,
            targets[explores],
            left_out=decoded.clicks[explores],
        )
        log_mode = torch.where(repeats, decoded.log_mode[:, 0], decoded.log_mode[:, 1])
        mode = -log_mode.sum() / batch.n_targets
        item = mode + (explore - repeat.sum()) / batch.n_targets
        total = item + self.config.lambda_mode * mode
        return Loss(total, {"item": item.detach(), "mode": mode.detach()})

    @torch.no_grad()
    def score(self, batch: SessionBatch) -> Tensor:
        """Log probability (B, V) of each item, -inf for the padding."""
        decoded = self.decode(recent(batch, self.max_length))
        scores = self.log_explore(decoded) + decoded.log_mode[:, 1:]
        repeat = torch.zeros_like(scores).scatter_add(1, decoded.clicks, decoded.repeat)
        repeat = log(repeat.gather(1, decoded.clicks)) + decoded.log_mode[:, :1]
        scores.scatter_(1, decoded.clicks, repeat)
        scores[:, PAD] = -torch.inf
        return scores

    @torch.no_grad()
    def represent(self, batch: SessionBatch) -> Tensor:
        """What the explore decoder sees of each session, (B, 2 D)."""
        return self.decode(recent(batch, self.max_length)).vector


def log(probability: Tensor) -> Tensor:
    """Logarithm of a probability, finite where that is 0."""
    return probability.clamp(min=torch.finfo(probability.dtype).tiny).log()
