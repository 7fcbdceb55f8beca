"""SR-GNN: a session as a graph, its items updated by a gated graph network.

Idea
----
The clicks of a session become a directed graph of its items. Gated recurrent steps pass
messages along incoming and outgoing edges, so that an item's vector comes to depend on what
was clicked around it. The session's vector joins that of the latest click with a sum over
all clicks, weighted by an attention that the latest click directs.

Reference
---------
Shu Wu, Yuyuan Tang, Yanqiao Zhu, Liang Wang, Xing Xie, Tieniu Tan: Session-based
Recommendation with Graph Neural Networks. AAAI 2019.
https://doi.org/10.1609/aaai.v33i01.3301346

Where the equations are
-----------------------
The matrix A: :func:`proxysr.models.session_graphs.adjacency`; 1-5: :meth:`SRGNN.propagate`;
6-7: :meth:`SRGNN.encode_whole`; 8-10: :class:`proxysr.models.softmax.SoftmaxModel`.

Differences from the paper
--------------------------
- The paper's loss adds the terms of the items that were not clicked; the authors' program does not.
- The sum of equation 6 runs over clicks, so an item that was clicked twice counts twice, as
  in the authors' program.

Differences from the authors' program
-------------------------------------
- An edge weighs as much as it occurred, as the paper says; theirs counts every edge once.
- The gates are the paper's: no biases, and the reset gate acts before ``U_o``. Theirs
  is PyTorch's form of the unit, with biases and the gate behind the matrix.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from proxysr.config import Count
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD
from proxysr.models.session_graphs import adjacency, session_graphs
from proxysr.models.softmax import Embed, PrefixModel, SoftmaxConfig


class SRGNNConfig(SoftmaxConfig):
    """Hyper-parameters of SR-GNN."""

    n_steps: Count = 1
    """Steps t of the gated graph network; the authors' program: 1."""


class SRGNN(PrefixModel):
    """The model; see the module's docstring."""

    Config = SRGNNConfig
    config: SRGNNConfig

    def __init__(self, n_items: int, config: SRGNNConfig | None = None) -> None:
        super().__init__(n_items, config)
        d = self.config.embedding_dim
        self.h_in = nn.Linear(d, d, bias=False)
        self.h_out = nn.Linear(d, d, bias=False)
        self.bias = nn.Parameter(torch.zeros(2 * d))
        self.w_z, self.u_z = nn.Linear(2 * d, d, bias=False), nn.Linear(d, d, bias=False)
        self.w_r, self.u_r = nn.Linear(2 * d, d, bias=False), nn.Linear(d, d, bias=False)
        self.w_o, self.u_o = nn.Linear(2 * d, d, bias=False), nn.Linear(d, d, bias=False)
        self.w1 = nn.Linear(d, d, bias=False)
        self.w2 = nn.Linear(d, d)
        self.q = nn.Linear(d, 1, bias=False)
        self.w3 = nn.Linear(2 * d, d, bias=False)

    def propagate(self, states: Tensor, incoming: Tensor, outgoing: Tensor) -> Tensor:
        """Equations 1-5: one step of the gated graph network.

        Parameters
        ----------
        states : (B, N, D)
            Vectors of the nodes.
        incoming, outgoing : (B, N, N)
            The two halves of the matrix A.
        """
        messages = torch.cat([incoming @ self.h_in(states), outgoing @ self.h_out(states)], 2)
        messages = messages + self.bias
        update = torch.sigmoid(self.w_z(messages) + self.u_z(states))
        reset = torch.sigmoid(self.w_r(messages) + self.u_r(states))
        candidate = torch.tanh(self.w_o(messages) + self.u_o(reset * states))
        return (1 - update) * states + update * candidate

    def encode_whole(self, batch: SessionBatch, embed: Embed) -> Tensor:
        """Vectors (B, D); see :meth:`PrefixModel.encode_whole`."""
        graphs = session_graphs(batch.items, self.items.dtype)
        incoming, outgoing = adjacency(graphs.counts)
        h = embed(graphs.nodes)
        for _ in range(self.config.n_steps):
            h = self.propagate(h, incoming, outgoing)
        h = graphs.at_clicks(h)  # (B, L, D)
        latest, is_click = h[:, -1], (batch.items != PAD)[:, :, None]
        attention = self.q(torch.sigmoid(self.w1(latest)[:, None] + self.w2(h)))  # equation 6
        global_ = (attention * is_click * h).sum(dim=1)
        return self.w3(torch.cat([latest, global_], dim=1))  # type: ignore[no-any-return]
