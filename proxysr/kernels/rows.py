"""Functions applied only to the rows of an array that need it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SHORT = 32
"""Clicks up to which sessions are not told apart by length: parts of few rows cost more than
padding."""


def at_clicks(f: Callable[[Tensor], Tensor], x: Tensor, is_click: Tensor) -> Tensor:
    """``f`` at the clicks of ``x`` (B, L, D), zero at the padding.

    The plain line: ``f(x) * is_click[..., None]``. Sessions of a batch differ in length, so most
    of that work could be for the padding.
    """
    where = is_click.nonzero(as_tuple=True)
    values = f(x[where])
    return values.new_zeros(*is_click.shape, values.shape[-1]).index_put(where, values)


def by_length(lengths: Tensor) -> Iterator[tuple[Tensor, int]]:
    """The rows of a batch in parts of similar length, each with the longest length in it.

    The plain line: ``yield torch.arange(len(lengths)), int(lengths.max())``. Work grows with the
    longest session, or its square, and a few sessions may be ten times as long as most. Rows of up
    to ``SHORT`` clicks are one part, then those of up to twice as many, and so on.

    Parameters
    ----------
    lengths : int64 (B,)

    >>> [(rows.tolist(), longest) for rows, longest in by_length(torch.tensor([2, 90, 32, 66]))]
    [([0, 2], 32), ([1, 3], 90)]
    """
    part = (lengths.clamp(min=SHORT) / SHORT).log2().ceil()
    numbers: Tensor = torch.unique(part)
    for number in numbers:
        rows = (part == number).nonzero()[:, 0]
        yield rows, int(lengths[rows].max())


def unit_rows(table: Tensor) -> Tensor:
    """The rows of a table (n, D), each divided by its length; a row of zeros stays.

    The plain line: ``normalize(table, dim=1)``. Its gradient passes over the table a dozen times;
    this one, ``(g - ê (ê.g)) / length``, three times.
    """
    rows: Tensor = _UnitRows.apply(table)  # type: ignore[no-untyped-call]
    return rows


class _UnitRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(table, dim=1, keepdim=True).clamp_(min=1e-12)
        rows: Tensor = table / length
        ctx.save_for_backward(rows, length)
        return rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        rows, length = ctx.saved_tensors
        along = torch.linalg.vecdot(gradient, rows)[:, None]
        return torch.addcmul(gradient, rows, along, value=-1).div_(length)


@torch.no_grad()
def project_into_ball(table: Tensor) -> None:
    """Scale rows (n, D) that are longer than 1 to length 1, in place.

    The plain line: ``table /= table.norm(dim=1, keepdim=True).clamp(min=1)``. If the table's
    gradient is sparse, the optimizer moved only the rows that have one
    (:mod:`proxysr.optimizer`), and only these are checked.
    """
    grad = table.grad
    if grad is None or not grad.is_sparse:
        table /= torch.linalg.vector_norm(table, dim=1, keepdim=True).clamp_(min=1)
        return
    rows = grad.coalesce().indices()[0]
    norms = torch.linalg.vector_norm(table[rows], dim=1)
    place = (norms > 1).nonzero().squeeze(1)
    outside = rows[place]
    table[outside] = table[outside] / norms[place, None]


def lookup(table: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (n, D) of a table (V, D), and the table, for a loss that uses some rows and every row.

    The plain line: ``table[rows], table``. Left to autograd, each use would fill a gradient of the
    table's size and the sum of them another; here that of the rows is added to that of the table
    in place: the latter must be a tensor of its own.
    """
    values, same = _Lookup.apply(table, rows)  # type: ignore[no-untyped-call]
    return values, same


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(rows)
        return table[rows], table.view_as(table)

    @staticmethod
    def backward(ctx: Any, for_rows: Tensor, for_table: Tensor) -> Any:
        (rows,) = ctx.saved_tensors
        return for_table.index_add_(0, rows, for_rows), None
