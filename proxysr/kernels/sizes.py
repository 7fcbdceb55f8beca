"""Chooses among forms of a computation by size and device; all such choices are here."""

from __future__ import annotations

import torch
from torch import Tensor

TILE = 2048
"""Items of a tile: their scores with a batch of rows fit into a CPU's cache."""
FEW_ROWS = 4
"""Up to so many rows, one tile has all items: reading the items dominates then."""
ROWS = 256
"""Rows whose scores with a tile of items are computed at once on a CPU (its L2 cache)."""
BLOCK = 16
"""Items of a block. Each block's maximum is stored, to find the best items faster."""
FEW_THREADS = 2
"""Up to so many threads, NumPy's partition (vector instructions, one thread) is faster."""
DENSE = 8
"""Gradients are products with all items if there are fewer items than this times the negatives."""
CACHE = 2**21
"""Bytes of scores that are compared with those of targets at once on a CPU."""
CUDA_MEMORY = 2**28
"""Bytes of scores of all items that are computed at once on a GPU."""
ENTRY = 2000
"""Multiplications of a matrix product that take as long as adding one entry of a list, on a CPU."""
FILLED = 2**30
"""Bytes of a matrix of counts that is filled with zeros for products."""
KEPT = 2**28
"""Bytes of exponentials kept for the backward pass; the others are computed again."""


def tile_width(n_rows: int, items: Tensor) -> int:
    """Items of a tile of scores.

    One product with all items is faster than many on a GPU, and for few rows on a CPU.
    """
    return TILE if items.device.type == "cpu" and n_rows > FEW_ROWS else len(items)


def rows_and_width(items: Tensor) -> tuple[int, int]:
    """Rows and items whose scores are computed at once where only sums are stored."""
    if items.device.type == "cpu":
        return ROWS, TILE
    return max(1, CUDA_MEMORY // (items.element_size() * len(items))), len(items)


def rows_in_cache(rows: int, width: int, device: torch.device) -> int:
    """How many of ``rows`` rows of scores to compare with the targets' scores at once."""
    return min(rows, max(1, CACHE // (4 * width))) if device.type == "cpu" else rows


def rows_within(memory: int, n_items: int, element_size: int = 4) -> int:
    """How many queries, each of another session, fit into ``memory`` bytes with their scores."""
    return max(1, memory // (2 * (n_items + TILE) * element_size))


def numpy_picks(values: Tensor) -> bool:
    """Whether NumPy finds the k largest values faster than PyTorch."""
    return values.device.type == "cpu" and torch.get_num_threads() <= FEW_THREADS


def by_products(n_columns: int, n_items: int) -> bool:
    """Whether one product with all items is faster than sums over ``n_columns`` rows of items."""
    return DENSE * n_columns > n_items


def filled(n_entries: int, n_rows: int, n_items: int) -> bool:
    """Whether a product of rows with a full matrix of counts is faster than adding its entries."""
    return ENTRY * n_entries > n_rows * n_items**2 and 4 * n_items**2 <= FILLED
