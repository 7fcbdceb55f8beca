"""CSRM: reads a session beside the sessions most like it among the latest ones.

Idea
----
An inner memory encoder reads the session itself: where it stands (a recurrent network) and what it
is about (a second one, and attention over its clicks). An outer memory encoder keeps vectors of
the latest sessions and mixes those most like the session's own; a gate weighs inner against outer.

Reference
---------
Meirui Wang, Pengjie Ren, Lei Mei, Zhumin Chen, Jun Ma, Maarten de Rijke: A Collaborative
Session-based Recommendation Approach with Parallel Memory Modules. SIGIR 2019.
https://doi.org/10.1145/3331184.3331210

Where the equations are
-----------------------
Inner memory encoder: :meth:`CSRM.inner`; reading the outer memory: :meth:`CSRM.outer`; writing
it, first in, first out: :meth:`CSRM.remember`; fusion gate: :meth:`CSRM.fuse`; bilinear
decoder: its last line and :meth:`proxysr.models.softmax.SoftmaxModel.logits`.

What the memory holds
---------------------
In training, the sessions of the earlier steps of the epoch, in evaluation the latest training
sessions: see :mod:`proxysr.models.memory`. A session is one entry; in training without its last
click, which is only a target. An empty memory is read as the session's own vector.

Differences from the paper
--------------------------
- The memory of evaluation is the one described above, a function of weights and training data.
- As in the authors' program, attention weights are a softmax, the gate is one number a session, and
  the three vectors are standardised, each over its entries, before they meet in the gate; with
  ``standardised=False`` they meet as they are, as in the paper.

Differences from the authors' program
-------------------------------------
- Theirs goes on writing while it evaluates, so that a score depends on the sessions scored before.
- It takes every prefix for a session of its own; here a session is remembered once.
- Neighbours as near as the last of the k, to within rounding, are read too: no order of
  summation decides which of two equal sessions counts.
- Matrices but those of the GRUs start as there. Item embeddings start with deviation
  ``init_std``, not with the root of 2 over their number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, sigmoid, softmax

from proxysr.config import Count, Share
from proxysr.data.batches import SessionBatch, whole_sessions
from proxysr.data.sessions import Sessions
from proxysr.models.attention import attend
from proxysr.models.base import Ends, Loss
from proxysr.models.memory import MemoryModel
from proxysr.models.softmax import SoftmaxConfig, left_aligned, shifted, targets_of

ROUNDING = 1e-6
"""Difference of two cosines that may be rounding alone."""


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


class CSRM(MemoryModel):
    """The model; see the module's docstring.

    Attributes
    ----------
    memory : (N, D)
        Remembered sessions, the latest one last; N is at most ``n_remembered``.
    """

    Config = CSRMConfig
    config: CSRMConfig
    sized_by_data = ("memory",)
    memory: Tensor

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
        self.latest_sessions: Sessions | None = None

    def inner(self, batch: SessionBatch, ends: Ends | None = None) -> tuple[Tensor, Tensor]:
        """``c^g``, the state of the sessions, and ``c^l``, their main purpose; (R, D) each."""
        ends = shifted(batch, ends)
        clicks = self.dropout_items(self.embed(left_aligned(batch)))  # (B, L, D)
        global_states, _ = self.global_encoder(clicks)
        states, _ = self.local_encoder(clicks)
        latest = self.attention_latest(states[ends])  # (R, D)

        def logits(rows: Tensor, each: Tensor) -> Tensor:
            return self.attention_out(sigmoid(each + latest[rows, None])).squeeze(2)  # type: ignore[no-any-return]

        return global_states[ends], attend(self.attention_each(states), states, ends, logits)

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

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """Vectors (R, D) of the sessions as they were after the clicks at ``ends``."""
        return self.fuse(*self.inner(batch, ends))

    def loss(self, batch: SessionBatch) -> Loss:
        """Mean cross-entropy over all targets; the sessions are remembered after the step."""
        row, column = ends = targets_of(batch)
        n, width = batch.items.shape
        sessions = torch.arange(n, device=row.device)
        latest = torch.full_like(sessions, width - 1)
        all_ends = torch.cat([row, sessions]), torch.cat([column, latest])
        global_, local = self.inner(batch, all_ends)
        if self.training:
            self.to_remember = local[len(row) :].detach()
        vectors = self.fuse(global_[: len(row)], local[: len(row)])
        return Loss(self.cross_entropy(vectors, batch.targets[ends]) / batch.n_targets, {})

    # -- the memory ------------------------------------------------------------------------

    def forget(self) -> None:
        """Empty the memory."""
        self.memory = self.memory[:0]

    def remember(self, states: Tensor) -> None:
        """Store sessions (B, D) in place of the oldest ones."""
        remembered = torch.cat([self.memory, states])
        self.memory = remembered[-self.config.n_remembered :].clone()

    def prepare(self, train: Sessions) -> None:
        """Take the latest training sessions, for the memory of evaluation."""
        super().prepare(train)
        self.latest_sessions = train.select(
            np.flatnonzero(train.lengths)[-self.config.n_remembered :]
        )
        if not self.training:
            self.recall()

    @torch.no_grad()
    def recall(self) -> None:
        """Fill the memory with the latest training sessions."""
        if self.latest_sessions is not None:
            device = self.memory.device
            self.memory = self.memory.new_zeros(len(self.latest_sessions), self.memory.shape[1])
            for rows, batch in whole_sessions(
                self.latest_sessions, max_length=self.max_length, device=device
            ):
                self.memory[torch.from_numpy(rows)] = self.inner(batch)[1]

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        state.pop(prefix + "latest_sessions", None)  # older runs saved them
        super()._load_from_state_dict(state, prefix, *args)


def standard(vectors: Tensor) -> Tensor:
    """Vectors (R, D), each with mean 0 and variance 1 over its entries."""
    variance, mean = torch.var_mean(vectors, dim=1, correction=0, keepdim=True)
    return (vectors - mean) / (variance + 1e-10).sqrt()
