"""Scores of all items, kept a tile of items at a time, and the ranks that are counted in them.

The plain lines: ``scores = vectors @ items.T`` and
``rank = 1 + (scores > scores.gather(1, target)).sum(dim=1)``.

What a product of R vectors with the item table gives is finished while it is in the cache, and
stays together in memory: a tensor (tiles, R, width), where item ``i`` is column ``i % width`` of
tile ``i // width``, and -inf fills the last tile up.
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
    """Memory (tiles, rows, width) for numbers of all ``items`` (V, D)."""
    width = sizes.tile_width(rows, items)
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
    if len(vectors) <= sizes.FEW_ROWS:  # each item is read at a stretch
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
        The rows that the columns are of; by default row r of the r-th.

    Returns
    -------
    int64 (R, n)
    """
    _, rows, width = tiles.shape[:3]
    if row is None:
        row = torch.arange(rows, device=columns.device)
    return (columns // width * rows + row[:, None]) * width + columns % width


def leave_out(tiles: Tensor, items: Tensor) -> None:
    """Set the scores of some items (R, n) of each row to -inf."""
    tiles.view(-1)[entries(tiles, items)] = -torch.inf


def add_to(tiles: Tensor, items: Tensor, values: Tensor) -> None:
    """Add values (R, n) to the scores of some items (R, n) of each row."""
    tiles.view(-1).index_add_(0, entries(tiles, items).flatten(), values.flatten())


def count_ranks(tiles: Tensor, target: Tensor, ties: Ties = "mean") -> Tensor:
    """Rank from 1 (float64) of item ``target`` (R,) in each row of tiles (tiles, R, width).

    Ones are written as numbers and summed in the cache: summing truth values, or all
    rows at once, takes ten times as long on a CPU.
    """
    rows, width = tiles.shape[1:]
    own = tiles.reshape(-1)[entries(tiles, target[:, None])]
    exact = torch.float32 if width < 2**24 else torch.float64
    together = sizes.rows_in_cache(rows, width, tiles.device)
    ones = tiles.new_empty((together, width), dtype=exact)
    better = tiles.new_zeros(rows, dtype=torch.float64)
    as_good = torch.zeros_like(better)
    for tile in tiles:
        for first in range(0, rows, together):
            part = slice(first, first + together)
            for compare, count in ((torch.gt, better), (torch.ge, as_good)):
                is_so = compare(tile[part], own[part], out=ones[: len(own[part])])
                count[part] += is_so.sum(dim=1)
    if ties == "best":
        return better + 1
    return as_good if ties == "worst" else (better + 1 + as_good) / 2


def all_finite(tiles: Tensor, n_items: int) -> Tensor:
    """Whether all scores of items are finite: a truth value on the device."""
    width = tiles.shape[2]
    sums = [
        tile[:, (PAD + 1 if number == 0 else 0) : n_items + 1 - number * width].sum()
        for number, tile in enumerate(tiles)
    ]
    return torch.stack(sums).isfinite().all()
