"""Distances on session-wise hyperplanes as matrix products, for all items at once.

ProxySR (equation 7) measures a session against item ``I`` by

    ``dist = ||q - I_perp||^2``,  ``I_perp = I - (v.I) v``,  ``||v|| = 1``,

where ``v`` is the normal of the session's hyperplane. Multiplied out,

    ``dist = ||q||^2 - closeness``,
    ``closeness = 2 (q - (q.v) v).I - ||I||^2 + (v.I)^2``,

so all V items of a batch cost two matrix products, one with a row per query and
one with a row per session, and nothing of size B x V x D is ever built.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

TILE = 2048
"""Items per tile: a tile of products stays in the processor's cache while it is finished."""
LANES = 128
"""Columns that the maximum over a tile is kept for; each stands for TILE / LANES = 16 items."""


def length(x: Tensor) -> Tensor:
    """Euclidean length of the last dimension, kept, and at least 1e-12."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return norm.clamp(min=1e-12)


def project(x: Tensor, normal: Tensor) -> Tensor:
    """``x`` on the hyperplane of the unit vector ``normal``; (..., D) both."""
    return x - (x * normal).sum(dim=-1, keepdim=True) * normal


class Closeness(NamedTuple):
    """Closeness of R queries to all items, columns padded with -inf to whole tiles.

    Attributes
    ----------
    values : (R, tiles * TILE)
        Column 0, the padding item, is -inf too.
    along_normal : (G, tiles * TILE)
        ``v.I`` of the G sessions.
    lane_max : (R, tiles * LANES)
        Column ``t * LANES + j`` is the maximum of ``values[:, t * TILE + j :: LANES]`` in tile t.
    """

    values: Tensor
    along_normal: Tensor
    lane_max: Tensor

    def top(self, k: int) -> tuple[Tensor, Tensor]:
        """The k largest values of each row and their columns, (R, k) each, in no order."""
        if self.lane_max.shape[1] < 4 * k:
            return self.values.topk(k, dim=1, sorted=False)
        # An item among the k best sits in one of the k lanes with the best maxima.
        lanes = self.lane_max.topk(k, dim=1, sorted=False).indices
        first = lanes // LANES * TILE + lanes % LANES
        stride = torch.arange(0, TILE, LANES, device=first.device)
        columns = (first[:, :, None] + stride).flatten(1)
        best = self.values.gather(1, columns).topk(k, dim=1, sorted=False)
        return best.values, columns.gather(1, best.indices)


def closeness_tiles(
    items: Tensor, queries: Tensor, normals: Tensor, session: Tensor | None = None
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Closeness of every query to every item, a tile of items at a time, without autograd.

    Yields (columns, closeness (R, tile), ``v.I`` (G, tile)); the two tensors are overwritten
    by the next tile. Column 0, the padding, is -inf.

    Parameters
    ----------
    items : (V, D)
        Row 0 is the padding.
    queries : (R, D)
        ``q - (q.v) v``: already on the hyperplane of their session.
    normals : (G, D)
        One unit normal per session.
    session : int64 (R,), optional
        Row of ``normals`` that a query belongs to; its own row if left out.
    """
    items, rows = items.detach(), len(queries)
    left = torch.cat([2 * queries, normals]).detach()
    buffer = left.new_empty(len(left), TILE)
    for start in range(0, len(items), TILE):
        some = items[start : start + TILE]
        products = torch.mm(left, some.T, out=buffer[:, : len(some)])
        closeness, along = products[:rows], products[rows:]
        offset = torch.addcmul(-torch.linalg.vector_norm(some, dim=1).square(), along, along)
        closeness += offset if session is None else offset.index_select(0, session)
        if start == 0:
            closeness[:, 0] = -torch.inf
        yield slice(start, start + len(some)), closeness, along


class ProjectedSearch:
    """Compares queries with a whole item table and keeps its buffers between calls.

    Fresh memory of this size would cost as much as the products themselves.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def __deepcopy__(self, memo: dict[int, object]) -> ProjectedSearch:
        return ProjectedSearch()

    def __call__(
        self, items: Tensor, queries: Tensor, normals: Tensor, session: Tensor
    ) -> Closeness:
        """Closeness of every query to every item; the next call overwrites it.

        Parameters are those of :func:`closeness_tiles`.
        """
        n_tiles = -(-len(items) // TILE)
        values = self._buffer("values", items, len(queries), n_tiles * TILE)
        along_normal = self._buffer("along_normal", items, len(normals), n_tiles * TILE)
        lane_max = self._buffer("lane_max", items, len(queries), n_tiles * LANES)
        tiles = closeness_tiles(items, queries, normals, session)
        for tile, (columns, closeness, along) in enumerate(tiles):
            values[:, columns] = closeness
            along_normal[:, columns] = along
            values[:, columns.stop : (tile + 1) * TILE] = -torch.inf
            highest = values[:, tile * TILE : (tile + 1) * TILE]
            while highest.shape[1] > LANES:
                highest = torch.maximum(*highest.chunk(2, dim=1))
            lane_max[:, tile * LANES : (tile + 1) * LANES] = highest
        return Closeness(values, along_normal, lane_max)

    def _buffer(self, name: str, like: Tensor, rows: int, columns: int) -> Tensor:
        kept = self._buffers.get(name)
        if (
            kept is None
            or kept.shape[0] < rows
            or (kept.shape[1], kept.dtype, kept.device) != (columns, like.dtype, like.device)
        ):
            kept = self._buffers[name] = like.new_empty(rows, columns)
        return kept[:rows]


def rows_within(memory: int, n_items: int, element_size: int = 4) -> int:
    """How many queries, each of a session of its own, are compared at once in ``memory`` bytes."""
    return max(1, memory // (2 * (n_items + TILE) * element_size))
