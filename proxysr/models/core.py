"""CORE: sessions and items in one space, compared by their directions.

Idea
----
A session's vector should be of the kind of the items' vectors, or comparing them means little. So
it is a weighted mean of the embeddings of its clicks, and nothing else; a network only says the
weights. Both are compared by the cosine, divided by a temperature, in a softmax over all items.

Reference
---------
Yupeng Hou, Binbin Hu, Zhiqiang Zhang, Wayne Xin Zhao: CORE: Simple and Effective Session-based
Recommendation within Consistent Representation Space. SIGIR 2022.
https://doi.org/10.1145/3477495.3531955

Where the equations are
-----------------------
Weights of the clicks, by a Transformer (CORE-trm) or all alike (CORE-ave):
:meth:`CORE.click_logits`; the session: :meth:`CORE.encode`; cosines, with dropout on the
items' entries: :meth:`CORE.outputs`; the loss: :class:`proxysr.models.softmax.SoftmaxModel`.

Differences from the paper
--------------------------
The Transformer is causal, as in the authors' program, so that all positions of a session are read
in one pass.

Differences from the authors' program
-------------------------------------
- A dropped entry of a click is dropped for all positions of the session.
- What a softmax takes out, the biases of keys and of logits, is left out.
- Embeddings of the padding take no part in the softmax; there, they are one more item.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize, scaled_dot_product_attention

from proxysr.config import Count, NotNegative, Positive, Share, require
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD
from proxysr.models.attention import attend
from proxysr.models.base import Ends
from proxysr.models.softmax import SoftmaxConfig, SoftmaxModel, left_aligned, shifted


class COREConfig(SoftmaxConfig):
    """Hyper-parameters of CORE; defaults are those of the authors' program."""

    weights: Literal["transformer", "alike"] = "transformer"
    """What says the weights of the clicks: a Transformer (CORE-trm), or all weigh alike (-ave)."""
    n_layers: Count = 2
    """Layers of the Transformer."""
    n_heads: Count = 2
    """Heads of each layer; embedding_dim is a multiple."""
    inner_dim: Count = 256
    """Width of the layers' feed-forward networks."""
    dropout: Share = 0.5
    """Share of entries dropped inside the Transformer."""
    dropout_session: Share = 0.2
    """Share of the entries of the embedded clicks that is dropped in training."""
    dropout_items: Share = 0.2
    """Share of the entries of the items compared with that is dropped in training."""
    temperature: Positive = 0.07
    """What cosines are divided by."""
    init_std: NotNegative = 0.0
    """Deviation of the item embeddings at the start; 0: uniform within ±1/√d, as in the program."""

    def check(self) -> None:
        """Check ranges."""
        require(
            self.embedding_dim % self.n_heads == 0,
            f"embedding_dim ({self.embedding_dim}) is a multiple of n_heads ({self.n_heads}).",
        )


class Layer(nn.Module):
    """Causal self-attention and a feed-forward network, each added and normalised after.

    Parameters
    ----------
    config : COREConfig
    last : bool
        The last one is asked for logits only, and a bias would be the same for all clicks.
    """

    def __init__(self, config: COREConfig, *, last: bool) -> None:
        super().__init__()
        d, self.n_heads = config.embedding_dim, config.n_heads
        self.query, self.value, self.join = (nn.Linear(d, d) for _ in range(3))
        self.key = nn.Linear(d, d, bias=False)
        self.hidden, self.out = nn.Linear(d, config.inner_dim), nn.Linear(config.inner_dim, d)
        self.attention_norm = nn.LayerNorm(d, eps=1e-12)
        self.forward_norm = nn.LayerNorm(d, eps=1e-12, bias=not last)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, L, D) that know of the earlier ones, from (B, L, D)."""
        q, k, v = (
            layer(x).unflatten(2, (self.n_heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        dropped = self.dropout.p if self.training else 0.0
        heads = scaled_dot_product_attention(q, k, v, dropout_p=dropped, is_causal=True)
        x = self.attention_norm(x + self.dropout(self.join(heads.transpose(1, 2).flatten(2))))
        return self.forward_norm(x + self.dropout(self.out(gelu(self.hidden(x)))))  # type: ignore[no-any-return]


class CORE(SoftmaxModel):
    """The model; see the module's docstring."""

    Config = COREConfig
    config: COREConfig

    def __init__(self, n_items: int, config: COREConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        d = c.embedding_dim
        if c.init_std == 0:
            nn.init.uniform_(self.items, -(d**-0.5), d**-0.5)
            self.items.data[PAD] = 0
        self.dropout_session = nn.Dropout(c.dropout_session)
        self.dropout_items = nn.Dropout(c.dropout_items)
        if c.weights == "alike":
            return
        self.positions = nn.Parameter(torch.empty(c.max_length, d))
        self.norm = nn.LayerNorm(d, eps=1e-12)
        self.dropout = nn.Dropout(c.dropout)
        self.layers = nn.ModuleList(
            Layer(c, last=n == c.n_layers) for n in range(1, c.n_layers + 1)
        )
        self.weigh = nn.Linear(d, 1, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2 and name != "items":
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def click_logits(self, clicks: Tensor) -> Tensor:
        """Logits (B, L) of the weights of clicks (B, L, D) that the padding follows."""
        if self.config.weights == "alike":
            return clicks.new_zeros(clicks.shape[:2])
        x = self.dropout(self.norm(clicks + self.positions[: clicks.shape[1]]))
        for layer in self.layers:
            x = layer(x)
        return self.weigh(x).squeeze(2)  # type: ignore[no-any-return]

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """Unit vectors (R, D) over the temperature; see :meth:`SoftmaxModel.encode`."""
        # With the padding behind the clicks, causality alone hides it from them.
        clicks = self.dropout_session(self.embed(left_aligned(batch)))  # (B, L, D)
        logits = self.click_logits(clicks)  # (B, L)
        means = attend(logits, clicks, shifted(batch, ends), lambda _, own: own)
        return normalize(means, dim=1) / self.config.temperature

    def outputs(self, items: Tensor | None = None) -> Tensor:
        """Unit vectors of items (n,), or of all, (V, D)."""
        return normalize(self.dropout_items(super().outputs(items)), dim=1)
