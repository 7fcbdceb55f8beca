"""NARM: a recurrent network for what a session does, attention for what it is after.

Idea
----
A global encoder, a GRU, ends in a state that sums up the sequence of clicks. A local
encoder, a GRU too, lets its last state attend to all its states, to pick out those that
tell the main purpose of the session. Both are joined and compared with the items by a
bilinear form.

Reference
---------
Jing Li, Pengjie Ren, Zhumin Chen, Zhaochun Ren, Tao Lian, Jun Ma: Neural Attentive
Session-based Recommendation. CIKM 2017. https://doi.org/10.1145/3132847.3132926

Where the equations are
-----------------------
The encoders, their attention ``α_tj = vᵀ σ(A1 h_t + A2 h_j)``, the joint vector
``c_t = [h_t ; Σ_j α_tj h_j]`` and ``B c_t`` of the bilinear decoder: :meth:`NARM.encode`, for all
positions of a session in one pass. The other half of the decoder, the product with the items,
and the loss are those of :class:`~proxysr.models.softmax.SoftmaxModel`.

Differences from the paper
--------------------------
- Attention weights go through a softmax and both encoders are one GRU, as in the authors'
  program; ``attention="plain"`` and ``encoders="two"`` follow the paper's equations.

Differences from the authors' program
-------------------------------------
Gates and attention use the sigmoid of the paper; theirs the piecewise linear "hard" one.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from proxysr.config import Count, Share
from proxysr.data.batches import SessionBatch
from proxysr.models.attention import attend
from proxysr.models.base import Ends
from proxysr.models.softmax import SoftmaxConfig, SoftmaxModel, left_aligned, shifted


class NARMConfig(SoftmaxConfig):
    """Hyper-parameters of NARM; sizes and dropout are those of the authors' program."""

    embedding_dim: int = 50
    """Size d of the item embeddings."""
    hidden_dim: Count = 100
    """Size of the states of the encoders and of the attention between them."""
    dropout_embedding: Share = 0.25
    """Share of the entries of the embedded clicks that is dropped in training."""
    dropout_session: Share = 0.5
    """Share of the entries of the joint vector c that is dropped in training."""
    attention: Literal["softmax", "plain"] = "softmax"
    """Whether the weights α of a session's states are made to sum to 1, or taken as they are."""
    encoders: Literal["one", "two"] = "one"
    """Whether one GRU is both the global and the local encoder, or each is its own."""


class NARM(SoftmaxModel):
    """The model; see the module's docstring."""

    Config = NARMConfig
    config: NARMConfig

    def __init__(self, n_items: int, config: NARMConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        d, h = c.embedding_dim, c.hidden_dim
        self.local_gru = nn.GRU(d, h, batch_first=True)
        self.global_gru = nn.GRU(d, h, batch_first=True) if c.encoders == "two" else None
        self.a1 = nn.Linear(h, h, bias=False)
        self.a2 = nn.Linear(h, h, bias=False)
        self.v = nn.Linear(h, 1, bias=False)
        self.bilinear = nn.Linear(2 * h, d, bias=False)
        self.dropout_embedding = nn.Dropout(c.dropout_embedding)
        self.dropout_session = nn.Dropout(c.dropout_session)

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """``B c`` (R, D) after the clicks at ``ends``."""
        ends = shifted(batch, ends)
        clicks = self.dropout_embedding(self.embed(left_aligned(batch)))
        local, _ = self.local_gru(clicks)  # (B, L, H)
        states = local if self.global_gru is None else self.global_gru(clicks)[0]
        query = self.a1(local[ends])  # (R, H)

        def logits(rows: Tensor, keys: Tensor) -> Tensor:
            return self.v(torch.sigmoid(query[rows, None] + keys)).squeeze(2)  # type: ignore[no-any-return]

        is_softmax = self.config.attention == "softmax"
        purpose = attend(self.a2(local), local, ends, logits, normalised=is_softmax)
        joint = torch.cat([states[ends], purpose], dim=1)
        return self.bilinear(self.dropout_session(joint))  # type: ignore[no-any-return]
