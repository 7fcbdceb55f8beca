"""Which form of a computation is taken, by size and device: all such choices are made here."""

from __future__ import annotations

import torch
from torch import Tensor

TILE = 2048
"""Items whose scores with some rows stay in a processor's cache."""
FEW_ROWS = 4
"""Rows up to which there is one tile of all items: then it takes longest to read the items."""
ROWS = 256
"""Rows whose scores with a tile of items are made at once on a CPU: its second cache holds them."""
BLOCK = 16
"""Items per maximum that is kept of a tile: these are looked through first, for the best items."""
FEW_THREADS = 2
"""With so many threads or fewer NumPy finds the best ones, by vector instructions on one thread."""
DENSE = 8
"""Gradients are products with all items if these are fewer than so many times the negatives."""
CACHE = 2**21
"""Bytes of scores that are compared with those of targets at once on a CPU."""
CUDA_MEMORY = 2**28
"""Bytes of scores that are made at once on a GPU, of all items."""
KEPT = 2**28
"""Bytes of exponentials that are kept for a backward pass; what does not fit is made again."""


def tile_width(n_rows: int, items: Tensor) -> int:
    """Items of a tile of scores.

    A GPU makes one product of all items faster than many, and so does a CPU for few rows.
    """
    return TILE if items.device.type == "cpu" and n_rows > FEW_ROWS else len(items)


def rows_and_width(items: Tensor) -> tuple[int, int]:
    """Rows and items whose scores are made at once where only their sums are kept."""
    if items.device.type == "cpu":
        return ROWS, TILE
    return max(1, CUDA_MEMORY // (items.element_size() * len(items))), len(items)


def rows_in_cache(rows: int, width: int, device: torch.device) -> int:
    """How many of some rows of scores are compared with those of their targets at once."""
    return min(rows, max(1, CACHE // (4 * width))) if device.type == "cpu" else rows


def rows_within(memory: int, n_items: int, element_size: int = 4) -> int:
    """How many queries, each of a session of its own, are compared at once in ``memory`` bytes."""
    return max(1, memory // (2 * (n_items + TILE) * element_size))


def numpy_picks(values: Tensor) -> bool:
    """Whether NumPy finds the largest of some numbers faster than PyTorch."""
    return values.device.type == "cpu" and torch.get_num_threads() <= FEW_THREADS


def by_products(n_columns: int, n_items: int) -> bool:
    """Whether one product with all items costs less than sums of so many rows of them."""
    return DENSE * n_columns > n_items
