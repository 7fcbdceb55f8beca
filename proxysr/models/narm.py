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
- The reset gate acts on the product of matrix and state, ``r * (U h)``, as in PyTorch's GRU; the
  paper has ``U (r * h)``.
- A training session gives all its targets in one batch; there, each prefix is a session of its
  own and shuffled with those of others.

Differences from the authors' program
-------------------------------------
- The reset gate and the batches, as above.
- Gates and attention use the sigmoid of the paper; theirs the piecewise linear "hard" one.
- Weights but the embeddings start as PyTorch draws them, where theirs are normal or orthogonal.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from proxysr.config import Count, Share
from proxysr.data.batches import SessionBatch
from proxysr.models.base import Ends
from proxysr.models.softmax import (
    SoftmaxConfig,
    SoftmaxModel,
    in_groups,
    left_aligned,
    shifted,
)


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
    """The model; see the module's docstring.

    Parameters
    ----------
    n_items : int
    config : NARMConfig, optional
    """

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
        clicks = self.embed(left_aligned(batch))
        clicks = self.dropout_embedding(clicks)
        local, _ = self.local_gru(clicks)
        row, last = shifted(batch, ends)
        states = local if self.global_gru is None else self.global_gru(clicks)[0]
        behavior = states[row, last]
        purpose = in_groups(
            lambda some, width: self.attend(local[:, :width], row[some], last[some]), last + 1
        )
        joint = self.dropout_session(torch.cat([behavior, purpose], dim=1))
        return self.bilinear(joint)  # type: ignore[no-any-return]

    def attend(self, local: Tensor, row: Tensor, last: Tensor) -> Tensor:
        """``Σ_j α_tj h_j`` (R, H) over the states up to ``last`` of each ``row``.

        Parameters
        ----------
        local : (B, L, H)
            States of the local encoder; L counts from the first click of each session.
        row, last : int64 (R,)
            Session and position t.
        """
        keys = self.a2(local).index_select(0, row)
        logits = self.v(torch.sigmoid(self.a1(local[row, last])[:, None] + keys)).squeeze(2)
        later = torch.arange(local.shape[1], device=row.device) > last[:, None]
        if self.config.attention == "softmax":
            weights = softmax(logits.masked_fill(later, -torch.inf), dim=1)
        else:
            weights = logits.masked_fill(later, 0)
        return (weights[:, None] @ local.index_select(0, row)).squeeze(1)
