"""GCE-GNN: items seen in their session's graph and in a graph of all training sessions.

Idea
----
A global graph joins each item to those most often clicked within a few steps of it in any training
session; an attention that knows the current session gathers an item's neighbours there. In the
session's own graph, an attention whose weights depend on the direction of the edges gathers the
items clicked around it. Both vectors are added, and a position-aware attention sums the clicks up.

Reference
---------
Ziyang Wang, Wei Wei, Gao Cong, Xiao-Li Li, Xian-Ling Mao, Minghui Qiu: Global Context
Enhanced Graph Neural Networks for Session-based Recommendation. SIGIR 2020.
https://doi.org/10.1145/3397271.3401142

Where the equations are
-----------------------
The global graph: :func:`proxysr.models.session_graphs.global_graph`; attention over global
neighbours and aggregation: :class:`GlobalAggregator`; several hops: :meth:`GCEGNN.global_level`;
the session graph: :meth:`GCEGNN.session_level`; the sum of both, reversed positions and soft
attention: :meth:`GCEGNN.encode_whole`; scores and loss:
:class:`proxysr.models.softmax.SoftmaxModel`.

Differences from the paper
--------------------------
- The global graph is made of whole training sessions, as in the paper: the step that a training
  position should predict is among those that were counted.
- As in the authors' program, a repeated click makes an item its own global neighbour, the loss is
  the cross-entropy (the paper adds the terms of the items that were not clicked), LeakyReLU has
  slope 0.2, and dropout inside the aggregators is an option.

Differences from the authors' program
-------------------------------------
- An item with few global neighbours has just these. Theirs draws some of them several times, at
  random, to fill the places, and gives items without neighbours the padding's vector.
- Both directions of a two-way step have the type in-out. Theirs writes the types while it
  walks along the session, and one direction can be left with another type.
- The first layers of both attentions have the paper's shape and bias: ``(d + 1) x (d + 1)`` for
  global neighbours, and a bias beside the positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag, leaky_relu, linear, relu, softmax

from proxysr.config import Count, Share
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import PAD, Sessions
from proxysr.models.session_graphs import (
    KINDS,
    NO_EDGE,
    SessionGraphs,
    edge_types,
    global_graph,
    session_graphs,
)
from proxysr.models.softmax import Embed, PrefixModel, SoftmaxConfig, recent

SLOPE = 0.2


class GCEGNNConfig(SoftmaxConfig):
    """Hyper-parameters of GCE-GNN."""

    window: Count = 3
    """Most steps epsilon between two clicks that make their items neighbours; the paper: 3."""
    n_neighbors: Count = 12
    """Global neighbours N that an item keeps: those with the highest counts; the paper: 12."""
    n_hops: Count = 1
    """Hops k on the global graph; the paper tries 1 and 2. A hop multiplies the work by N."""
    dropout: Share = 0.5
    """Share of the global-level vectors' entries that is dropped in training."""
    dropout_aggregator: Share = 0.0
    """Share dropped of what an aggregator reads; the authors' program: 0.2 on Diginetica."""


class GlobalAggregator(nn.Module):
    """One hop on the global graph: neighbours weighed by how they suit the session."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim + 1, dim + 1, bias=False)
        self.q1 = nn.Linear(dim + 1, 1, bias=False)
        self.w2 = nn.Linear(2 * dim, dim, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, vectors: Tensor, session: Tensor, own: Tensor, near: Tensor, counts: Tensor
    ) -> Tensor:
        """Global-level vectors (M, D) of M items, each within its session.

        ``vectors`` and ``session`` (P, D) are those of P items, and the means of their sessions'
        clicks. Of these P, ``own`` (M,) are the items, and ``near`` (M, N) their neighbours;
        ``counts`` (M, N) are the weights of the edges, 0 in places without a neighbour.
        """
        is_neighbor = counts > 0
        # W1 [s * h ; count] by its columns: the product with s * h once an item, not once an edge
        weight = self.w1.weight
        suits = embedding(near, linear(session * vectors, weight[:, :-1]))
        suits = suits + counts[:, :, None] * weight[:, -1]
        logits = self.q1(leaky_relu(suits, SLOPE)).squeeze(2)
        # finite where there is no neighbour at all; such places get weight 0 afterwards
        logits = logits.masked_fill(~is_neighbor, torch.finfo(logits.dtype).min)
        weights = softmax(logits, dim=1).masked_fill(~is_neighbor, 0)
        gathered = embedding_bag(near, vectors, mode="sum", per_sample_weights=weights)
        return relu(self.w2(self.dropout(torch.cat([vectors[own], gathered], dim=1))))


class GCEGNN(PrefixModel):
    """The model; see the module's docstring.

    Attributes
    ----------
    neighbors : int64 (V, n_neighbors)
        Global neighbours of each item, ``PAD`` in empty places; empty before :meth:`prepare`.
    neighbor_counts : (V, n_neighbors)
        Weights of these edges.
    """

    Config = GCEGNNConfig
    config: GCEGNNConfig
    neighbors: Tensor
    neighbor_counts: Tensor

    def __init__(self, n_items: int, config: GCEGNNConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        d = c.embedding_dim
        self.register_buffer("neighbors", torch.full((n_items + 1, c.n_neighbors), PAD))
        self.register_buffer("neighbor_counts", torch.zeros(n_items + 1, c.n_neighbors))
        self.aggregators = nn.ModuleList(
            GlobalAggregator(d, c.dropout_aggregator) for _ in range(c.n_hops)
        )
        self.edge_kinds = nn.Parameter(torch.randn(len(KINDS), d) / d**0.5)
        self.dropout = nn.Dropout(c.dropout)
        self.positions = nn.Parameter(torch.randn(c.max_length, d) * c.init_std)
        self.w3 = nn.Linear(2 * d, d)
        self.w4 = nn.Linear(d, d)
        self.w5 = nn.Linear(d, d, bias=False)
        self.q2 = nn.Linear(d, 1, bias=False)

    def prepare(self, train: Sessions) -> None:
        """Build the global graph from the training sessions."""
        super().prepare(train)
        neighbors, counts = global_graph(
            train, self.n_items, window=self.config.window, n_neighbors=self.config.n_neighbors
        )
        self.neighbors.copy_(torch.from_numpy(neighbors))
        self.neighbor_counts.copy_(torch.from_numpy(counts))

    def global_nodes(self, batch: SessionBatch, graphs: SessionGraphs, embed: Embed) -> Tensor:
        """Global-level vectors (B, N, D) of the nodes, zero in empty places."""
        session = mean_of_clicks(embed(batch.items), batch.items != PAD)
        where = row, _ = (graphs.nodes != PAD).nonzero(as_tuple=True)
        vectors = self.global_level(graphs.nodes[where], row, session, self.config.n_hops, embed)
        return vectors.new_zeros(*graphs.nodes.shape, vectors.shape[1]).index_put(where, vectors)

    def global_level(
        self, items: Tensor, row: Tensor, session: Tensor, hops: int, embed: Embed
    ) -> Tensor:
        """Vectors (M, D) of ``items`` (M,) after ``hops`` hops on the global graph.

        Each is seen in the session ``row`` (M,); ``session`` (B, D) are means of the clicks.
        """
        if hops == 0:
            return embed(items)
        # an item that is near several others of a session is the same for all of them
        within = torch.cat([items[:, None], self.neighbors[items]], dim=1)
        within = within + row[:, None] * (self.n_items + 1)
        pairs, place = torch.unique(within, return_inverse=True)
        row, involved = pairs // (self.n_items + 1), pairs % (self.n_items + 1)
        below = self.global_level(involved, row, session, hops - 1, embed)
        vectors: Tensor = self.aggregators[hops - 1](
            below, session[row], place[:, 0], place[:, 1:], self.neighbor_counts[items]
        )
        return vectors

    def session_level(self, states: Tensor, counts: Tensor) -> Tensor:
        """Vectors (B, N, D) of the nodes after attention along the edges of their session.

        ``states`` (B, N, D) are the nodes' embeddings; ``counts`` as in :class:`SessionGraphs`.
        """
        types = edge_types(counts)
        logits = torch.zeros_like(counts)
        for kind, weight in zip(KINDS, self.edge_kinds, strict=True):
            logits = torch.where(types == kind, states * weight @ states.mT, logits)
        logits = leaky_relu(logits, SLOPE).masked_fill(types == NO_EDGE, -torch.inf)
        return softmax(logits, dim=2) @ states

    def encode_whole(self, batch: SessionBatch, embed: Embed) -> Tensor:
        """Vectors (B, D); see :meth:`PrefixModel.encode_whole`."""
        graphs = session_graphs(batch.items, self.items.dtype)
        h = self.dropout(self.global_nodes(batch, graphs, embed))
        h = graphs.at_clicks(h + self.session_level(embed(graphs.nodes), graphs.counts))
        is_click = batch.items != PAD
        positions = self.positions[: h.shape[1]].flip(0).expand(len(h), -1, -1)
        z = torch.tanh(self.w3(torch.cat([h, positions], dim=2)))
        session = mean_of_clicks(h, is_click)
        attention = self.q2(torch.sigmoid(self.w4(z) + self.w5(session)[:, None]))
        return (attention * is_click[:, :, None] * h).sum(dim=1)  # type: ignore[no-any-return]

    @torch.no_grad()
    def general_interest(self, batch: SessionBatch) -> Tensor:
        """The global graph's view (B, D) of each session: its clicks' global-level vectors' mean.

        This is what Figure 4 of the ProxySR paper shows of GCE-GNN.
        """
        batch = recent(batch, self.max_length)
        graphs = session_graphs(batch.items, self.items.dtype)
        clicks = graphs.at_clicks(self.global_nodes(batch, graphs, self.embed))
        return mean_of_clicks(clicks, batch.items != PAD)

    def reads(self, items: Tensor) -> Tensor:
        """Items (n,) as far as they can be reached on the global graph from ``items`` (...)."""
        reached: Tensor = torch.unique(items)
        for _ in range(self.config.n_hops):
            reached = torch.unique(torch.cat([reached, self.neighbors[reached].flatten()]))
        return reached


def mean_of_clicks(vectors: Tensor, is_click: Tensor) -> Tensor:
    """Means (B, D) of ``vectors`` (B, L, D) over the clicks."""
    return (vectors * is_click[:, :, None]).sum(dim=1) / is_click.sum(dim=1, keepdim=True)
