"""Rows of a table, and the whole table, with one gradient for both."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def lookup(table: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """``table[rows]`` and ``table`` itself, for a loss that uses some rows and also every row.

    Left to autograd, each use would fill a gradient of the table's size and the
    sum of them another; here the gradient of the rows is added to that of the table in place.

    Parameters
    ----------
    table : (V, D)
    rows : int64 (n,)

    Returns
    -------
    (n, D) and (V, D)
        The second must be used by an operation whose gradient is a tensor of its own.
    """
    some, whole = _Lookup.apply(table, rows)  # type: ignore[no-untyped-call]
    return some, whole


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(rows)
        return table[rows], table.view_as(table)

    @staticmethod
    def backward(ctx: Any, for_rows: Tensor, for_table: Tensor) -> Any:
        (rows,) = ctx.saved_tensors
        return for_table.index_add_(0, rows, for_rows), None
