"""FGNN: a session as a weighted graph, read by asking it several times.

Idea
----
The order in which items were clicked need not be the order that matters. Layers of graph
attention mix each item with those clicked right after it, minding how often each step
was made. A recurrent readout then asks the graph one question after another: each
answer, an attention over all items, leads to the next question, and so an order of the
items is learnt instead of taken from the clicks.

Reference
---------
Ruihong Qiu, Jingjing Li, Zi Huang, Hongzhi Yin: Rethinking the Item Order in Session-based
Recommendation with Graph Neural Networks. CIKM 2019.
https://doi.org/10.1145/3357384.3358010

Where the equations are
-----------------------
The graph with self loops: :func:`with_loops`; the weighted graph attention of several
heads (WGAT): :class:`WeightedGraphAttention`; the readout: :meth:`FGNN.read_out`; scores and
loss: :class:`proxysr.models.softmax.SoftmaxModel`.

Differences from the paper
--------------------------
What the paper leaves open, or what can be read in more than one way, is done as follows.

- A node attends to itself and to the items clicked right after it (``edges="after"``), as in the
  authors' program: its attention is a softmax over the edges that leave a node. With
  ``edges="before"`` messages run with the clicks instead.
- Layers but the last join their heads and end in ReLU; the last one takes their mean and is
  linear. LeakyReLU has slope 0.2, and layers have biases, as in the program.
- The first question is asked from zero, as in the readout of sets that the paper builds on.

Differences from the authors' program
-------------------------------------
Published are the attention layer, the readout, the making of graphs and the training; the file
that puts them together is not. What it says of itself (in the name of its logs): two layers, of 8
heads and of one, three questions, a linear map. They are the preset ``fgnn-diginetica``; here the
last layer has as many heads as the others unless ``n_last_heads`` says otherwise.

- Nodes without an edge to themselves get one of weight 1; the function that does so there
  is not published.
- It lowers the learning rate tenfold every three epochs.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu, softmax

from proxysr.config import Count, Whole
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD
from proxysr.models.session_graphs import session_graphs
from proxysr.models.softmax import Embed, PrefixModel, SoftmaxConfig

SLOPE = 0.2


class FGNNConfig(SoftmaxConfig):
    """Hyper-parameters of FGNN."""

    n_layers: Count = 2
    """Layers L of weighted graph attention."""
    n_heads: Count = 8
    """Heads K of each layer."""
    n_last_heads: Whole = 0
    """Heads of the last layer, if not as many as the others have; 0: as many."""
    edges: Literal["after", "before"] = "after"
    """Whether a node attends to what was clicked right after it, or right before it."""
    n_questions: Count = 3
    """Steps t of the readout."""


class WeightedGraphAttention(nn.Module):
    """One layer WGAT.

    Parameters
    ----------
    dim_in, dim : int
        Size of the vectors that are read, and of those of each head.
    n_heads : int
    joined : bool
        Whether the heads are put side by side, or their mean is taken.
    """

    def __init__(self, dim_in: int, dim: int, n_heads: int, *, joined: bool) -> None:
        super().__init__()
        self.shape, self.joined = (n_heads, dim), joined
        self.w = nn.Linear(dim_in, n_heads * dim, bias=False)
        self.att_own = nn.Parameter(torch.randn(n_heads, dim) / dim**0.5)
        self.att_other = nn.Parameter(torch.randn(n_heads, dim) / dim**0.5)
        self.att_weight = nn.Parameter(torch.randn(n_heads) / dim**0.5)
        self.bias = nn.Parameter(torch.zeros(n_heads * dim if joined else dim))

    def forward(self, states: Tensor, weights: Tensor) -> Tensor:
        """New vectors of the nodes, (B, N, n_heads * dim) if joined, else (B, N, dim).

        Parameters
        ----------
        states : (B, N, dim_in)
        weights : (B, N, N)
            ``weights[b, i, j]`` is that of the edge by which i attends to j, 0 if there is none.
        """
        values = self.w(states).unflatten(2, self.shape).transpose(1, 2)  # one matrix a head
        own = (values * self.att_own[:, None]).sum(dim=3)
        other = (values * self.att_other[:, None]).sum(dim=3)
        edge = self.att_weight[:, None, None] * weights[:, None]
        logits = leaky_relu(own[..., None] + other[:, :, None] + edge, SLOPE)
        attention = softmax(logits.masked_fill(weights[:, None] == 0, -torch.inf), dim=3)
        heads: Tensor = attention @ values
        return (heads.transpose(1, 2).flatten(2) if self.joined else heads.mean(dim=1)) + self.bias


class FGNN(PrefixModel):
    """The model; see the module's docstring."""

    Config = FGNNConfig
    config: FGNNConfig

    def __init__(self, n_items: int, config: FGNNConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        d = c.embedding_dim
        inputs = [d] + [c.n_heads * d] * (c.n_layers - 1)
        heads = [c.n_heads] * (c.n_layers - 1) + [c.n_last_heads or c.n_heads]
        self.layers = nn.ModuleList(
            WeightedGraphAttention(dim, d, n_heads, joined=layer < c.n_layers)
            for layer, (dim, n_heads) in enumerate(zip(inputs, heads, strict=True), start=1)
        )
        self.next_question = nn.GRUCell(2 * d, d)
        self.w_out = nn.Linear(2 * d, d, bias=False)

    def read_out(self, states: Tensor, is_node: Tensor) -> Tensor:
        """The last question and its readout (B, 2 D).

        Parameters
        ----------
        states : (B, N, D)
            Vectors of the nodes.
        is_node : bool (B, N)
            False at empty places.
        """
        question = states.new_zeros(len(states), states.shape[2])
        readout = torch.cat([question, question], dim=1)
        for _ in range(self.config.n_questions):
            question = self.next_question(readout, question)
            logits = (states @ question[:, :, None]).squeeze(2)
            attention = softmax(logits.masked_fill(~is_node, -torch.inf), dim=1)
            readout = torch.cat([question, (attention[:, None] @ states).squeeze(1)], dim=1)
        return readout

    def encode_whole(self, batch: SessionBatch, embed: Embed) -> Tensor:
        """Vectors (B, D); see :meth:`PrefixModel.encode_whole`."""
        graphs = session_graphs(batch.items, self.items.dtype)
        counts = graphs.counts if self.config.edges == "after" else graphs.counts.mT
        weights = with_loops(counts)
        states = embed(graphs.nodes)
        for layer in self.layers[:-1]:
            states = relu(layer(states, weights))
        states = self.layers[-1](states, weights)
        return self.w_out(self.read_out(states, graphs.nodes != PAD))  # type: ignore[no-any-return]


def with_loops(counts: Tensor) -> Tensor:
    """Weights (B, N, N) of the edges between nodes.

    An edge weighs as much as it occurred; a node without an edge to itself gets one of weight 1,
    and so does an empty place.

    Parameters
    ----------
    counts : (B, N, N)
        See :class:`proxysr.models.session_graphs.SessionGraphs`; or its transpose.
    """
    no_loop = counts.diagonal(dim1=1, dim2=2) == 0
    return counts + torch.diag_embed(no_loop.to(counts.dtype))
