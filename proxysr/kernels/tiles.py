"""Scores of all items, stored in tiles of items, and ranks counted in them.

The plain lines: ``scores = vectors @ items.T`` and
``rank = 1 + (scores > scores.gather(1, target)).sum(dim=1)``.

The scores of R vectors with a tile of items are completed while they are in the cache. All tiles
are one tensor (tiles, R, width): item ``i`` is column ``i % width`` of tile ``i // width``, and the
last tile is padded with -inf.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from proxysr.data.sessions import PAD
from proxysr.kernels import sizes

Ties = Literal["mean", "best", "worst"]
"""Rank of a target among items of equal score."""


def new_tiles(rows: int, items: Tensor) -> Tensor:
    """Uninitialized tiles (tiles, rows, width) for scores of all ``items`` (V, D)."""
    width = sizes.tile_width(rows, items)
    return items.new_empty(-(-len(items) // width), rows, width)


def fill_up(tiles: Tensor, n: int) -> Tensor:
    """Set columns without an item to -inf: the padding item, and from item ``n`` on."""
    tiles[0, :, PAD] = -torch.inf
    tiles[-1, :, n - (len(tiles) - 1) * tiles.shape[2] :] = -torch.inf
    return tiles


@torch.no_grad()
def product_tiles(vectors: Tensor, items: Tensor, bias: Tensor | None = None) -> Tensor:
    """Dot products (tiles, R, width) of vectors (R, D) and all items (V, D), plus a bias (V,)."""
    tiles = new_tiles(len(vectors), items)
    if len(vectors) <= sizes.FEW_ROWS:  # reads the items row by row, which is faster
        tiles[0] = (items @ vectors.T).T
        if bias is not None:
            tiles += bias
        return fill_up(tiles, len(items))
    for index, part in enumerate(torch.split(items, tiles.shape[2])):
        scores = torch.mm(vectors, part.T, out=tiles[index, :, : len(part)])
        if bias is not None:
            first = index * tiles.shape[2]
            scores += bias[first : first + len(part)]
    return fill_up(tiles, len(items))


def side_by_side(tiles: Tensor, n: int) -> Tensor:
    """The scores (R, n) of the first ``n`` items as one matrix."""
    return tiles.transpose(0, 1).flatten(1)[:, :n]


def entries(tiles: Tensor, columns: Tensor, row: Tensor | None = None) -> Tensor:
    """Flat indices of columns of each row, for tiles with the first three dimensions flattened.

    A single index into flat memory is faster than one index for each dimension.

    Parameters
    ----------
    tiles : (tiles, rows, width, ...)
    columns : int64 (R, n)
        Numbered through the tiles.
    row : int64 (R,), optional
        The row of the tiles for each row of ``columns``; row r for row r by default.

    Returns
    -------
    int64 (R, n)
    """
    _, rows, width = tiles.shape[:3]
    if row is None:
        row = torch.arange(rows, device=columns.device)
    return (columns // width * rows + row[:, None]) * width + columns % width


def leave_out(tiles: Tensor, items: Tensor) -> None:
    """Set the scores of items (R, n) to -inf, row by row."""
    tiles.view(-1)[entries(tiles, items)] = -torch.inf


def add_to(tiles: Tensor, items: Tensor, values: Tensor) -> None:
    """Add values (R, n) to the scores of items (R, n), row by row."""
    tiles.view(-1).index_add_(0, entries(tiles, items).flatten(), values.flatten())


def put_rows(tiles: Tensor, row: Tensor, scores: Tensor) -> None:
    """Put scores (R, V) in place of the rows ``row`` (R,) of tiles."""
    for tile, part in zip(tiles, torch.split(scores, tiles.shape[2], dim=1), strict=True):
        tile[row, : part.shape[1]] = part
    tiles[0, row, PAD] = -torch.inf


def count_ranks(tiles: Tensor, target: Tensor, ties: Ties = "mean") -> Tensor:
    """Rank from 1 (float64) of item ``target`` (R,) in each row of tiles (tiles, R, width).

    Comparisons are written as floats and summed in the cache: summing booleans, or all rows at
    once, takes ten times as long on a CPU.
    """
    rows, width = tiles.shape[1:]
    own = tiles.reshape(-1)[entries(tiles, target[:, None])]
    exact = torch.float32 if width < 2**24 else torch.float64
    n_together = sizes.rows_in_cache(rows, width, tiles.device)
    ones = tiles.new_empty((n_together, width), dtype=exact)
    better = tiles.new_zeros(rows, dtype=torch.float64)
    not_worse = torch.zeros_like(better)
    for tile in tiles:
        for first in range(0, rows, n_together):
            part = slice(first, first + n_together)
            for compare, count in ((torch.gt, better), (torch.ge, not_worse)):
                holds = compare(tile[part], own[part], out=ones[: len(own[part])])
                count[part] += holds.sum(dim=1)
    if ties == "best":
        return better + 1
    return not_worse if ties == "worst" else (better + 1 + not_worse) / 2


def all_finite(tiles: Tensor, n_items: int) -> Tensor:
    """Whether all scores of items are finite: a boolean on the device."""
    width = tiles.shape[2]
    sums = [
        tile[:, (PAD + 1 if number == 0 else 0) : n_items + 1 - number * width].sum()
        for number, tile in enumerate(tiles)
    ]
    return torch.stack(sums).isfinite().all()
