"""STAMP: the last click decides which of the clicks before it matter.

Idea
----
The mean of the clicks is the session's memory, the last click what the user wants now. An
attention net, given both, weighs the clicks anew. What it finds and the last click pass
through a layer each, and a trilinear product of the two and an item's embedding is the
item's score.

Reference
---------
Qiao Liu, Yifu Zeng, Refuoe Mokhosi, Haibin Zhang: STAMP: Short-Term Attention/Memory Priority
Model for Session-based Recommendation. KDD 2018. https://doi.org/10.1145/3219819.3219950

Where the equations are
-----------------------
All in :meth:`STAMP.encode_whole`: the memory ``m_s``, the attention
``α_i = W0 σ(W1 x_i + W2 x_t + W3 m_s + b_a)`` and ``m_a = Σ_i α_i x_i``, the layers
``h_s = tanh(W_s m_a + b_s)`` and ``h_t = tanh(W_t x_t + b_t)``. The trilinear product
``⟨h_s, h_t, x_i⟩`` is the dot product of ``h_s * h_t`` with the item.

Differences from the paper
--------------------------
- The mean of the clicks is added to ``m_a``, as in the authors' program; with ``add_mean=False``
  it is not, as in the paper's equation.
- The trilinear products go into the softmax as they are, as in the program. The paper's sigmoid
  around them leaves the softmax a factor of at most e between two items.
- The loss is the cross-entropy of the target, as in the program. The paper's formula has a term
  for every other item, too.

Differences from the authors' program
-------------------------------------
- The biases ``b_a``, ``b_s`` and ``b_t`` of the paper are kept; theirs has none.
- Embeddings may grow. Theirs cuts them to a norm of at most 1 or 1.5, depending on the data, where
  clicks are looked up, which the paper does not mention.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from proxysr.config import Positive
from proxysr.data.batches import SessionBatch
from proxysr.models.softmax import Embed, PrefixModel, SoftmaxConfig


class STAMPConfig(SoftmaxConfig):
    """Hyper-parameters of STAMP; defaults are those of the authors' program."""

    embedding_dim: int = 100
    """Size d of the item embeddings and of all layers."""
    init_std: float = 0.002
    """Standard deviation of the item embeddings at the start."""
    init_std_weights: Positive = 0.05
    """Standard deviation of all weight matrices at the start."""
    add_mean: bool = True
    """Whether the mean of the clicks is added to what the attention finds."""


class STAMP(PrefixModel):
    """The model; see the module's docstring."""

    Config = STAMPConfig
    config: STAMPConfig

    def __init__(self, n_items: int, config: STAMPConfig | None = None) -> None:
        super().__init__(n_items, config)
        d = self.config.embedding_dim
        self.w0 = nn.Linear(d, 1, bias=False)
        self.w1 = nn.Linear(d, d, bias=False)
        self.w2 = nn.Linear(d, d, bias=False)
        self.w3 = nn.Linear(d, d)  # its bias is b_a
        self.w_s = nn.Linear(d, d)
        self.w_t = nn.Linear(d, d)
        for layer in (self.w0, self.w1, self.w2, self.w3, self.w_s, self.w_t):
            nn.init.normal_(layer.weight, std=self.config.init_std_weights)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def encode_whole(self, batch: SessionBatch, embed: Embed) -> Tensor:
        """``h_s * h_t`` (B, D) of the sessions."""
        x = embed(batch.items)  # (B, L, D), zero at the padding
        last = x[:, -1]
        mean = x.sum(dim=1) / batch.lengths[:, None]
        hidden = torch.sigmoid(self.w1(x) + (self.w2(last) + self.w3(mean))[:, None])
        attention = self.w0(hidden)  # (B, L, 1), no softmax
        memory = (attention * x).sum(dim=1)
        if self.config.add_mean:
            memory = memory + mean
        return torch.tanh(self.w_s(memory)) * torch.tanh(self.w_t(last))
