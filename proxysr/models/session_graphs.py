"""Sessions as graphs: the distinct items are nodes, and each step from click to click is an edge.

The graphs of a whole batch are made on its device at once. A node sits in the column of its
item's first click, so a graph has as many places as its row has columns (N = L), and those of
repeated clicks stay empty like the padding. The session ``[5, 2, 5, 9]`` in four columns::

    items  5 2 5 9      nodes  5 2 0 9      alias  0 1 0 3
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from proxysr.data.sessions import PAD, Ints, Sessions

NO_EDGE, OUT, IN, IN_OUT, SELF = range(5)
"""Kinds of edges that :func:`edge_types` tells apart."""
KINDS = (OUT, IN, IN_OUT, SELF)
"""Those of edges."""


class SessionGraphs(NamedTuple):
    """One graph a session.

    Attributes
    ----------
    nodes : int64 (B, N)
        Item of each node, ``PAD`` where there is none.
    alias : int64 (B, L)
        Node of each click; at the padding, an empty place.
    counts : float (B, N, N)
        ``counts[b, u, v]`` is how often a click on node v came right after one on node u.
    """

    nodes: Tensor
    alias: Tensor
    counts: Tensor

    def at_clicks(self, states: Tensor) -> Tensor:
        """The vector (B, L, D) of each click's node, from those of the nodes (B, N, D)."""
        return states.gather(1, self.alias[:, :, None].expand(-1, -1, states.shape[2]))


def session_graphs(items: Tensor, dtype: torch.dtype) -> SessionGraphs:
    """The graphs of some sessions.

    Parameters
    ----------
    items : int64 (B, L)
        Clicks, padded on the left.
    dtype
        Of the counts.

    >>> session_graphs(torch.tensor([[0, 5, 2, 5]]), torch.float32).counts[0]
    tensor([[0., 0., 0., 0.],
            [0., 0., 1., 0.],
            [0., 1., 0., 0.],
            [0., 0., 0., 0.]])
    """
    rows, n = items.shape
    column = torch.arange(n, device=items.device)
    same = items[:, :, None] == items[:, None, :]
    alias = torch.where(same, column, n).amin(dim=2)
    edges = alias[:, :-1] * n + alias[:, 1:]
    is_edge = (items[:, :-1] != PAD).to(dtype)
    counts = is_edge.new_zeros(rows, n * n).scatter_add_(1, edges, is_edge)
    return SessionGraphs(items.masked_fill(alias != column, PAD), alias, counts.view(rows, n, n))


def adjacency(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Incoming and outgoing edges (B, N, N) of each node, in shares that sum to 1.

    ``incoming[b, v, u]`` is the share of u among the clicks right before v, and
    ``outgoing[b, u, v]`` that of v among the clicks right after u; a row without edges is zero.
    """
    incoming = counts.mT / counts.mT.sum(dim=2, keepdim=True).clamp(min=1)
    outgoing = counts / counts.sum(dim=2, keepdim=True).clamp(min=1)
    return incoming, outgoing


def edge_types(counts: Tensor) -> Tensor:
    """How each node u is connected with each node v, (B, N, N).

    ``OUT`` if only v was clicked right after u, ``IN`` if only u right after v,
    ``IN_OUT`` if both, else ``NO_EDGE``. Every node, an empty one too, has itself as ``SELF``.
    """
    follows = counts > 0
    types = OUT * follows.long() + IN * follows.mT.long()
    itself = torch.eye(counts.shape[1], dtype=torch.bool, device=counts.device)
    return types.masked_fill(itself, SELF)


def global_graph(
    train: Sessions, n_items: int, *, window: int, n_neighbors: int
) -> tuple[Ints, Ints]:
    """For each item, those most often clicked within ``window`` steps before or after it.

    Returns
    -------
    int64 (n_items + 1, n_neighbors) twice
        Neighbours by falling count (ties: by item), and the counts; 0 in empty places.

    >>> global_graph(Sessions.from_lists([[1, 2, 3], [2, 3]]), 3, window=1, n_neighbors=2)
    (array([[0, 0], [2, 0], [3, 1], [2, 0]]), array([[0, 0], [1, 0], [2, 1], [2, 0]]))
    """
    session = train.session_of_click
    clicks = np.asarray(train.items, dtype=np.int64)
    keys = []
    for step in range(1, window + 1):
        same_session = session[:-step] == session[step:]
        before, after = clicks[:-step][same_session], clicks[step:][same_session]
        keys += [before * (n_items + 1) + after, after * (n_items + 1) + before]
    key, count = np.unique(np.concatenate(keys), return_counts=True)
    item, neighbor = np.divmod(key, n_items + 1)
    order = np.lexsort((neighbor, -count, item))
    item, neighbor, count = item[order], neighbor[order], count[order]
    place = np.arange(len(item)) - np.searchsorted(item, item)
    is_top = place < n_neighbors
    neighbors, counts = np.zeros((2, n_items + 1, n_neighbors), dtype=np.int64)
    neighbors[item[is_top], place[is_top]] = neighbor[is_top]
    counts[item[is_top], place[is_top]] = count[is_top]
    return neighbors, counts
