"""Numbers of each item, kept a tile of items at a time, as a processor's cache likes them.

What a product of R vectors with the item table gives is finished while it is in the cache, and
stays together in memory: a tensor (tiles, R, width), where item ``i`` is column ``i % width`` of
tile ``i // width``, and -inf fills the last tile up.
"""

from __future__ import annotations

import torch
from torch import Tensor

from proxysr.data.sessions import PAD

TILE = 2048
"""Items per tile."""
FEW = 4
"""Rows up to which there is one tile of all items: then it takes longest to read the items."""


def new_tiles(rows: int, items: Tensor) -> Tensor:
    """Memory (tiles, rows, width) for numbers of all ``items`` (V, D).

    A GPU makes one product of all items faster than many, and so does a CPU for few rows: the
    width is V then.
    """
    width = TILE if items.device.type == "cpu" and rows > FEW else len(items)
    return items.new_empty(-(-len(items) // width), rows, width)


def fill_up(tiles: Tensor, n: int) -> Tensor:
    """The same tiles, -inf where there is no item: at the padding, and from item ``n`` on."""
    tiles[0, :, PAD] = -torch.inf
    tiles[-1, :, n - (len(tiles) - 1) * tiles.shape[2] :] = -torch.inf
    return tiles


@torch.no_grad()
def product_tiles(vectors: Tensor, items: Tensor, bias: Tensor | None = None) -> Tensor:
    """Dot products (tiles, R, width) of vectors (R, D) and all items (V, D), plus a bias (V,)."""
    tiles = new_tiles(len(vectors), items)
    if len(vectors) <= FEW:  # each item is read at a stretch
        tiles[0] = (items @ vectors.T).T
        if bias is not None:
            tiles += bias
        return fill_up(tiles, len(items))
    for index, some in enumerate(torch.split(items, tiles.shape[2])):
        scores = torch.mm(vectors, some.T, out=tiles[index, :, : len(some)])
        if bias is not None:
            first = index * tiles.shape[2]
            scores += bias[first : first + len(some)]
    return fill_up(tiles, len(items))


def side_by_side(tiles: Tensor, n: int) -> Tensor:
    """The numbers of ``n`` items in one row for each of R: (R, n)."""
    return tiles.transpose(0, 1).flatten(1)[:, :n]


def entries(tiles: Tensor, columns: Tensor, row: Tensor | None = None) -> Tensor:
    """Where the first three dimensions of ``tiles``, as one, have some columns of each row.

    A single index into the flat memory is faster than one for each dimension.

    Parameters
    ----------
    tiles : (tiles, rows, width, ...)
    columns : int64 (R, n)
        Numbered through the tiles.
    row : int64 (R,), optional
        The row that each of the R asks; by default r asks row r.

    Returns
    -------
    int64 (R, n)
    """
    _, rows, width = tiles.shape[:3]
    if row is None:
        row = torch.arange(rows, device=columns.device)
    return (columns // width * rows + row[:, None]) * width + columns % width
