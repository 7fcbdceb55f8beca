"""Distances on the hyperplanes of sessions as matrix products, for all items at once.

ProxySR (equation 7) measures a session against item ``I`` by

    ``dist = ||q - I_perp||^2``,  ``I_perp = I - (v.I) v``,  ``||v|| = 1``,

where ``v`` is the normal of the session's hyperplane. Multiplied out,

    ``dist = ||q||^2 - closeness``,
    ``closeness = 2 (q - (q.v) v).I - ||I||^2 + (v.I)^2``,

so two matrix products give the distances of all V items, one with a row per query and one with a
row per session. The plain line, ``distance(q[:, None], v[:, None], items)``, builds B x V x D
numbers.

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
    """R queries to compare all items with.

    Attributes
    ----------
    points : (R, D)
        ``q - (q.v) v``: already on the hyperplane of their session.
    normals : (G, D)
        One unit normal per session; or a single zero row, to leave items unprojected.
    session : int64 (R,)
        Row of ``normals`` of each query.
    norms : bool
        Whether the closeness includes ``||I||^2``.
    """

    points: Tensor
    normals: Tensor
    session: Tensor
    norms: bool = True

    def rows(self, rows: slice) -> Queries:
        """A slice of the queries."""
        session = self.session[rows]
        if len(self.normals) == 1:
            return self._replace(points=self.points[rows], session=session)
        own = torch.arange(len(session), device=session.device)
        return Queries(self.points[rows], self.normals[session], own, self.norms)


class Closeness(NamedTuple):
    """Closeness of R queries to all items, in tiles; the last tile is padded with -inf.

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
        if k >= self.block_max.shape[1]:  # all blocks are needed
            values = side_by_side(self.values, self.values.shape[0] * self.values.shape[2])
            items = largest(values, k)
            return values.gather(1, items), items
        # the k best items are in the k blocks with the largest maxima
        blocks = largest(self.block_max, k)
        values = _blocks(self.values, blocks, sizes.BLOCK).flatten(1)
        best = largest(values, k)
        block, offset = best // sizes.BLOCK, best % sizes.BLOCK
        return values.gather(1, best), blocks.gather(1, block) * sizes.BLOCK + offset

    def along_normal_at(self, session: Tensor, items: Tensor) -> Tensor:
        """``v.I`` (R, n) of items (R, n); ``session`` (R,) is the session of each row."""
        return _blocks(self.along_normal, items, 1, session).squeeze(2)


def largest(values: Tensor, k: int) -> Tensor:
    """Columns (R, k) of the k largest values of each row, in no order; all columns if fewer."""
    k = min(k, values.shape[1])
    if sizes.numpy_picks(values):
        return torch.from_numpy(np.argpartition(values.numpy(), -k, axis=1)[:, -k:])
    return values.topk(k, dim=1, sorted=False).indices


def _blocks(tiles: Tensor, blocks: Tensor, size: int, row: Tensor | None = None) -> Tensor:
    """The values (R, n, size) of blocks (R, n) of ``size`` items, numbered through the tiles.

    Row r of the result is from row r of the tiles, or from ``row[r]``.
    """
    in_blocks = tiles.view(*tiles.shape[:2], -1, size)
    return in_blocks.flatten(0, 2)[entries(in_blocks, blocks, row)]


def closeness_to_own(items: Tensor, queries: Queries) -> tuple[Tensor, Tensor]:
    """Closeness (R,) of query r to item r of ``items`` (R, D), and ``v.I`` (R,)."""
    along = (items * queries.normals[queries.session]).sum(dim=1)
    by_norm = queries.norms * items.square().sum(dim=1)
    return 2 * (items * queries.points).sum(dim=1) - by_norm + along.square(), along


@torch.no_grad()
def closeness_to_all(items: Tensor, queries: Queries) -> Tensor:
    """Closeness (tiles, R, width) of every query to every item, without autograd.

    Every query is of another session. For the layout see :mod:`proxysr.kernels.tiles`.
    """
    points, normals = queries.points, queries.normals
    tiles = new_tiles(len(points), items)
    width = tiles.shape[2]
    doubled = 2 * points
    if len(points) <= sizes.FEW_ROWS:
        # reading the items dominates: read them once for both products, row by row
        both = (items @ torch.cat([doubled, normals]).T).T
        products, along = both[: len(points)], both[len(points) :]
        torch.addcmul(products, along, along, out=tiles[0]).add_(_by_item(items, queries))
        return fill_up(tiles, len(items))
    along_normal = items.new_empty(len(normals), width)  # reused, so that it stays in the cache
    parts = torch.split(items, width), torch.split(_by_item(items, queries), width)
    for tile, part, by_item in zip(tiles, *parts, strict=True):
        n = len(part)
        along = torch.mm(normals, part.T, out=along_normal[:, :n]).expand(len(points), n)
        # addmm_ adds the products in place: one pass fewer over the tile
        torch.addcmul(by_item, along, along, out=tile[:, :n]).addmm_(doubled, part.T)
    return fill_up(tiles, len(items))


def _by_item(items: Tensor, queries: Queries) -> Tensor:
    """``-||I||^2`` (V,) if ``queries.norms``, else zeros."""
    norms = torch.linalg.vector_norm(items, dim=1)
    return -norms.square() if queries.norms else torch.zeros_like(norms)


class ProjectedSearch:
    """Closeness of queries to all items, in buffers that are reused between calls.

    Allocating memory of this size anew would take as long as the products.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def __deepcopy__(self, memo: dict[int, object]) -> ProjectedSearch:
        return ProjectedSearch()

    @torch.no_grad()
    def __call__(self, items: Tensor, queries: Queries) -> Closeness:
        """Closeness of every query to every item, without autograd; the next call overwrites it.

        For the plain line see the module's docstring.
        """
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
            # addmm_ adds the products in place: one pass fewer over the tile
            offset = torch.addcmul(by_item, along, along)
            torch.index_select(offset, 0, session, out=tile).addmm_(doubled, part.T)
            if index == 0:
                tile[:, PAD] = -torch.inf
            values[index, :, width:] = -torch.inf
            block_max[:, index] = max_pool1d(values[index], sizes.BLOCK)
        return Closeness(values, along_normal, block_max.flatten(1))

    def _buffer(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """Memory of this shape, from an earlier call if its buffer is large enough."""
        buffer, size = self._buffers.get(name), math.prod(shape)
        if (
            buffer is None
            or len(buffer) < size
            or (buffer.dtype, buffer.device) != (like.dtype, like.device)
        ):
            buffer = self._buffers[name] = like.new_empty(size)
        return buffer[:size].view(shape)
