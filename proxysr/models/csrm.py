"""CSRM: reads a session beside the sessions most like it among the latest ones.

Idea
----
What others did in a similar session tells what this one is after. An inner memory encoder reads
the session itself: where it stands (a recurrent network) and what it is about (a second one, and
attention over its clicks). An outer memory encoder keeps vectors of the latest sessions and
mixes those most like the session's own; a gate weighs inner against outer.

Reference
---------
Meirui Wang, Pengjie Ren, Lei Mei, Zhumin Chen, Jun Ma, Maarten de Rijke: A Collaborative
Session-based Recommendation Approach with Parallel Memory Modules. SIGIR 2019.
https://doi.org/10.1145/3331184.3331210

Where the equations are
-----------------------
Inner memory encoder: :meth:`CSRM.inner`; reading the outer memory: :meth:`CSRM.outer`; writing
it, first in, first out: :meth:`CSRM.after_step`; fusion gate: :meth:`CSRM.fuse`; bilinear
decoder: its last line and :meth:`proxysr.models.softmax.SoftmaxModel.logits`.

What the memory holds
---------------------
- In training, the sessions of the earlier steps of the epoch. A batch is written after its
  step, so that no session sees another of its batch; an epoch starts with an empty memory,
  so that none sees itself. An empty memory is read as the session's own vector.
- In evaluation, the latest sessions of the training data, encoded by the weights as they are when
  the model enters evaluation mode. Sessions that are scored are never written.

A session is one entry; in training without its last click, which is only a target.

Differences from the paper
--------------------------
- The memory of evaluation is the one described above, a function of weights and training data.
- Details are taken from the authors' program: attention weights are a softmax, the gate is a
  single number a session, and the three vectors are standardised, each over its entries, before
  they meet in the gate; with ``standardised=False`` they meet as they are, as in the paper. What is
  remembered and compared by cosine is never standardised, there and here.

Differences from the authors' program
-------------------------------------
- Theirs goes on writing while it evaluates, so that a score depends on the sessions scored before.
- It takes every prefix for a session of its own; here a session is remembered once.
- Neighbours as near as the last of the k, to within rounding, are read too: no order of
  summation decides which of two equal sessions counts.
- The reset gate acts on the product of matrix and state, ``r * (U h)``, as in PyTorch's GRU; there
  ``U (r * h)``. Its weights start as PyTorch draws them; all other matrices as there.
- Item embeddings start with deviation ``init_std``, not with the root of 2 over their number.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, sigmoid, softmax

from proxysr.config import Count, Share
from proxysr.data.batches import DeviceSessions, SessionBatch
from proxysr.data.sessions import PAD, Sessions
from proxysr.models.base import Ends, Loss
from proxysr.models.softmax import (
    SoftmaxConfig,
    SoftmaxModel,
    in_groups,
    left_aligned,
    recent,
    shifted,
    targets_of,
)

ROUNDING = 1e-6
"""Difference of two cosines that may be rounding alone."""
ENCODED_TOGETHER = 1024
"""Training sessions that are encoded at a time."""


class CSRMConfig(SoftmaxConfig):
    """Hyper-parameters of CSRM; states of the encoders are as wide as the embeddings."""

    n_remembered: Count = 10_000
    """Sessions that the outer memory holds: the latest ones."""
    n_neighbours: Count = 512
    """Number k of remembered sessions that are read."""
    dropout_items: Share = 0.25
    """Share of the entries of the embedded clicks that is dropped in training."""
    dropout: Share = 0.5
    """Share of the entries of the final vector that is dropped in training."""
    standardised: bool = True
    """Whether the vectors that the gate weighs have mean 0 and variance 1 over their entries."""


class CSRM(SoftmaxModel):
    """The model; see the module's docstring.

    Parameters
    ----------
    n_items : int
    config : CSRMConfig, optional

    Attributes
    ----------
    memory : (N, D)
        Remembered sessions, the latest one last; N is at most ``n_remembered``.
    latest_sessions : int64 (N, L)
        Clicks of the latest training sessions, padded on the left.
    """

    Config = CSRMConfig
    config: CSRMConfig
    sized_by_data = ("memory", "latest_sessions")
    data_parallel = False  # it remembers the sessions of every step, all of them
    memory: Tensor
    latest_sessions: Tensor

    def __init__(self, n_items: int, config: CSRMConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        d = c.embedding_dim
        self.global_encoder = nn.GRU(d, d, batch_first=True)
        self.local_encoder = nn.GRU(d, d, batch_first=True)
        self.attention_each = nn.Linear(d, d, bias=False)
        self.attention_latest = nn.Linear(d, d, bias=False)
        self.attention_out = nn.Linear(d, 1, bias=False)
        self.gate = nn.Linear(3 * d, 1, bias=False)
        self.decoder = nn.Linear(2 * d, d, bias=False)
        for layer, rows in (
            (self.attention_each, d), (self.attention_latest, d), (self.attention_out, 1),
            (self.gate, d), (self.decoder, d),
        ):  # fmt: skip
            nn.init.normal_(layer.weight, std=(2 / rows) ** 0.5)
        self.dropout_items = nn.Dropout(c.dropout_items)
        self.dropout = nn.Dropout(c.dropout)
        self.register_buffer("memory", torch.zeros(0, d))
        self.register_buffer("latest_sessions", torch.zeros(0, 1, dtype=torch.long))
        self._to_remember: Tensor | None = None

    # -- equations -------------------------------------------------------------------------

    def inner(self, batch: SessionBatch, ends: Ends | None = None) -> tuple[Tensor, Tensor]:
        """Where the sessions stand and what they are about after the clicks at ``ends``.

        Returns
        -------
        (R, D), (R, D)
            ``c^g``, the last global state, and ``c^l``, local states mixed by attention.
        """
        items = left_aligned(batch)
        row, last = shifted(batch, ends)
        clicks = self.dropout_items(self.embed(items))
        global_states, _ = self.global_encoder(clicks)
        states, _ = self.local_encoder(clicks)
        local = in_groups(
            lambda some, width: self.attend(states[:, :width], row[some], last[some]), last + 1
        )
        return global_states[row, last], local

    def attend(self, states: Tensor, row: Tensor, last: Tensor) -> Tensor:
        """Local states (B, L, D) up to ``last`` of each ``row``, mixed by attention: (R, D)."""
        latest = self.attention_latest(states[row, last])[:, None]
        each = self.attention_each(states).index_select(0, row)
        logits = self.attention_out(sigmoid(each + latest)).squeeze(2)
        later = torch.arange(states.shape[1], device=row.device) > last[:, None]
        attention = softmax(logits.masked_fill(later, -torch.inf), dim=1)
        return (attention[:, None] @ states.index_select(0, row)).squeeze(1)

    def outer(self, local: Tensor) -> Tensor:
        """``c^o``: the k remembered sessions most like ``local`` (R, D), weighed by cosine."""
        if not len(self.memory):
            return local
        similarity = normalize(local, dim=1) @ normalize(self.memory, dim=1).T
        k = min(self.config.n_neighbours, len(self.memory))
        farthest = similarity.detach().topk(k, dim=1).values[:, -1:]
        is_far = similarity < farthest - ROUNDING
        return softmax(similarity.masked_fill(is_far, -torch.inf), dim=1) @ self.memory

    def fuse(self, global_: Tensor, local: Tensor) -> Tensor:
        """Session vectors (R, D), to be compared with the items, from both memories."""
        outer = self.outer(local)
        if self.config.standardised:
            local, global_, outer = standard(local), standard(global_), standard(outer)
        gate = sigmoid(self.gate(torch.cat([local, global_, outer], dim=1)))
        inner = torch.cat([local, global_], dim=1)
        fused = gate * inner + (1 - gate) * torch.cat([outer, outer], dim=1)
        return self.decoder(self.dropout(fused))  # type: ignore[no-any-return]

    # -- the contract ----------------------------------------------------------------------

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """Vectors (R, D) of the sessions as they were after the clicks at ``ends``."""
        return self.fuse(*self.inner(batch, ends))

    def loss(self, batch: SessionBatch) -> Loss:
        """Mean cross-entropy over all targets; the sessions are remembered after the step."""
        row, column = ends = targets_of(batch)
        n, width = batch.items.shape
        sessions = torch.arange(n, device=row.device)
        latest = torch.full_like(sessions, width - 1)
        global_, local = self.inner(
            batch, (torch.cat([row, sessions]), torch.cat([column, latest]))
        )
        if self.training:
            self._to_remember = local[len(row) :].detach()
        vectors = self.fuse(global_[: len(row)], local[: len(row)])
        return Loss(self.cross_entropy(vectors, batch.targets[ends]) / batch.n_targets, {})

    def start_epoch(self, epoch: int) -> None:
        """Forget all sessions."""
        self.memory = self.memory[:0]

    def after_step(self) -> None:
        """Remember the sessions of the step in place of the oldest ones."""
        if self._to_remember is not None:
            remembered = torch.cat([self.memory, self._to_remember])
            self.memory = remembered[-self.config.n_remembered :].clone()
            self._to_remember = None

    def prepare(self, train: Sessions) -> None:
        """Take the latest training sessions, for the memory of evaluation."""
        super().prepare(train)
        device = self.latest_sessions.device
        rows = np.flatnonzero(train.lengths)[-self.config.n_remembered :]
        lengths = np.minimum(train.lengths[rows], self.max_length)
        starts = torch.tensor(train.offsets[rows + 1] - lengths, device=device)
        data, width = DeviceSessions(train, device), int(lengths.max(initial=1))
        n_clicks = torch.tensor(lengths, device=device)
        self.latest_sessions = data.window(data.items, starts, n_clicks, width)
        if not self.training:
            self._recall()

    def train(self, mode: bool = True) -> Self:
        """Enter training mode, or evaluation mode with the latest training sessions in memory."""
        was_training = self.training
        super().train(mode)
        if was_training and not mode:
            self._recall()
        return self

    @torch.no_grad()
    def _recall(self) -> None:
        lengths = (self.latest_sessions != PAD).sum(dim=1)
        order = lengths.argsort()  # sessions of like length together: less padding
        parts = [self.memory[:0]]
        for first in range(0, len(order), ENCODED_TOGETHER):
            rows = order[first : first + ENCODED_TOGETHER]
            items = self.latest_sessions[rows]
            batch = SessionBatch(items, lengths[rows], torch.zeros_like(items))
            parts.append(self.inner(recent(batch, int(batch.lengths.max())))[1])
        self.memory = torch.cat(parts)[order.argsort()]


def standard(vectors: Tensor) -> Tensor:
    """Vectors (R, D), each with mean 0 and variance 1 over its entries."""
    variance, mean = torch.var_mean(vectors, dim=1, correction=0, keepdim=True)
    return (vectors - mean) / (variance + 1e-10).sqrt()
