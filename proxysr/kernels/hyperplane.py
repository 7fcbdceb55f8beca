"""Distances on the hyperplanes of sessions as matrix products, for all items at once.

ProxySR (equation 7) measures a session against item ``I`` by

    ``dist = ||q - I_perp||^2``,  ``I_perp = I - (v.I) v``,  ``||v|| = 1``,

where ``v`` is the normal of the session's hyperplane. Multiplied out,

    ``dist = ||q||^2 - closeness``,
    ``closeness = 2 (q - (q.v) v).I - ||I||^2 + (v.I)^2``,

so all V items of a batch cost two matrix products, one with a row per query and one with a row per
session. The plain line, ``distance(q[:, None], v[:, None], items)``, builds B x V x D numbers.

Two of the paper's ablations are special cases. Without projection, v is 0: the hyperplane
is the whole space. The dot product ``q.I_perp = (q - (q.v) v).I`` is the closeness to half the
query with v = 0, if ``||I||^2`` is left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import max_pool1d

from proxysr.data.sessions import PAD
from proxysr.kernels import sizes
from proxysr.kernels.tiles import entries, fill_up, new_tiles, side_by_side


class Queries(NamedTuple):
    """R queries that all items are compared with.

    Attributes
    ----------
    points : (R, D)
        ``q - (q.v) v``: already on the hyperplane of their session.
    normals : (G, D)
        One unit normal per session; or a single zero one, for items as they are.
    session : int64 (R,)
        Row of ``normals`` that a query belongs to.
    norms : bool
        Whether ``||I||^2`` is a part of the closeness.
    """

    points: Tensor
    normals: Tensor
    session: Tensor
    norms: bool = True

    def rows(self, rows: slice) -> Queries:
        """Some of the queries."""
        session = self.session[rows]
        if len(self.normals) == 1:
            return self._replace(points=self.points[rows], session=session)
        own = torch.arange(len(session), device=session.device)
        return Queries(self.points[rows], self.normals[session], own, self.norms)


class Closeness(NamedTuple):
    """Closeness of R queries to all items, tile by tile, filled up with -inf to whole tiles.

    Attributes
    ----------
    values : (tiles, R, TILE)
        Item ``i`` is column ``i % TILE`` of tile ``i // TILE``; the padding item is -inf too.
    along_normal : (tiles, G, TILE)
        ``v.I`` of the G sessions.
    block_max : (R, tiles * TILE / BLOCK)
        Column b is the largest value of the items ``b * BLOCK`` up to ``(b + 1) * BLOCK``.
    """

    values: Tensor
    along_normal: Tensor
    block_max: Tensor

    def top(self, k: int) -> tuple[Tensor, Tensor]:
        """The k largest values of each row and their items, (R, k) each, in no order."""
        if k >= self.block_max.shape[1]:  # of all blocks, there is nothing to leave out
            values = side_by_side(self.values, self.values.shape[0] * self.values.shape[2])
            items = largest(values, k)
            return values.gather(1, items), items
        # An item among the k best sits in one of the k blocks with the best maxima.
        blocks = largest(self.block_max, k)
        values = _blocks(self.values, blocks, sizes.BLOCK).flatten(1)
        best = largest(values, k)
        block, place = best // sizes.BLOCK, best % sizes.BLOCK
        return values.gather(1, best), blocks.gather(1, block) * sizes.BLOCK + place

    def along_normal_at(self, session: Tensor, items: Tensor) -> Tensor:
        """``v.I`` at some items of each row, (R, n) both; ``session`` (R,) is the row's."""
        return _blocks(self.along_normal, items, 1, session).squeeze(2)


def largest(values: Tensor, k: int) -> Tensor:
    """Columns (R, k) of the k largest values of each row, or of all, in no order."""
    k = min(k, values.shape[1])
    if sizes.numpy_picks(values):
        return torch.from_numpy(np.argpartition(values.numpy(), -k, axis=1)[:, -k:])
    return values.topk(k, dim=1, sorted=False).indices


def _blocks(tiles: Tensor, blocks: Tensor, size: int, row: Tensor | None = None) -> Tensor:
    """Blocks (R, n) of ``size`` items, numbered through the tiles: (R, n, size).

    Of row r, or of ``row[r]``.
    """
    in_blocks = tiles.view(*tiles.shape[:2], -1, size)
    return in_blocks.flatten(0, 2)[entries(in_blocks, blocks, row)]


def closeness_to_own(items: Tensor, queries: Queries) -> tuple[Tensor, Tensor]:
    """Closeness (R,) of each query to an item (R, D) of its own, and ``v.I`` (R,)."""
    along = (items * queries.normals[queries.session]).sum(dim=1)
    by_norm = queries.norms * items.square().sum(dim=1)
    return 2 * (items * queries.points).sum(dim=1) - by_norm + along.square(), along


@torch.no_grad()
def closeness_to_all(items: Tensor, queries: Queries) -> Tensor:
    """Closeness (tiles, R, width) of every query to every item, without autograd.

    Every query is of a session of its own; tiles are as :mod:`proxysr.kernels.tiles` keeps them.
    """
    points, normals = queries.points, queries.normals
    tiles = new_tiles(len(points), items)
    width = tiles.shape[2]
    doubled = 2 * points
    if len(points) <= sizes.FEW_ROWS:
        # what takes time is to read the items: once for both products, and each item at a stretch
        both = (items @ torch.cat([doubled, normals]).T).T
        products, along = both[: len(points)], both[len(points) :]
        torch.addcmul(products, along, along, out=tiles[0]).add_(_by_item(items, queries))
        return fill_up(tiles, len(items))
    # memory that stays in the cache from tile to tile
    along_normal = items.new_empty(len(normals), width)
    parts = torch.split(items, width), torch.split(_by_item(items, queries), width)
    for tile, part, by_item in zip(tiles, *parts, strict=True):
        n = len(part)
        along = torch.mm(normals, part.T, out=along_normal[:, :n]).expand(len(points), n)
        # the products are added to what is there: one pass fewer over the tile
        torch.addcmul(by_item, along, along, out=tile[:, :n]).addmm_(doubled, part.T)
    return fill_up(tiles, len(items))


def _by_item(items: Tensor, queries: Queries) -> Tensor:
    """``-||I||^2`` (V,), or zeros where that is no part of the closeness."""
    norms = torch.linalg.vector_norm(items, dim=1)
    return -norms.square() if queries.norms else torch.zeros_like(norms)


class ProjectedSearch:
    """Compares queries with a whole item table and keeps its buffers between calls.

    Fresh memory of this size would cost as much as the products themselves.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def __deepcopy__(self, memo: dict[int, object]) -> ProjectedSearch:
        return ProjectedSearch()

    @torch.no_grad()
    def __call__(self, items: Tensor, queries: Queries) -> Closeness:
        """Closeness of every query to every item, without autograd; the next call overwrites it."""
        points, normals, session = queries.points, queries.normals, queries.session
        n, tile_size = len(points), sizes.TILE
        n_tiles = -(-len(items) // tile_size)
        values = self._buffer("values", items, n_tiles, n, tile_size)
        along_normal = self._buffer("along_normal", items, n_tiles, len(normals), tile_size)
        block_max = self._buffer("block_max", items, n, n_tiles, tile_size // sizes.BLOCK)
        doubled = 2 * points
        parts = torch.split(items, tile_size), torch.split(_by_item(items, queries), tile_size)
        for index, (part, by_item) in enumerate(zip(*parts, strict=True)):
            width = len(part)
            tile, along = values[index, :, :width], along_normal[index, :, :width]
            torch.mm(normals, part.T, out=along)
            # the products are added to what is there: one pass fewer over the tile
            offset = torch.addcmul(by_item, along, along)
            torch.index_select(offset, 0, session, out=tile).addmm_(doubled, part.T)
            if index == 0:
                tile[:, PAD] = -torch.inf
            values[index, :, width:] = -torch.inf
            block_max[:, index] = max_pool1d(values[index], sizes.BLOCK)
        return Closeness(values, along_normal, block_max.flatten(1))

    def _buffer(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """Memory of this shape, taken from what an earlier call left where that is enough."""
        kept, size = self._buffers.get(name), math.prod(shape)
        if (
            kept is None
            or len(kept) < size
            or (kept.dtype, kept.device) != (like.dtype, like.device)
        ):
            kept = self._buffers[name] = like.new_empty(size)
        return kept[:size].view(shape)
