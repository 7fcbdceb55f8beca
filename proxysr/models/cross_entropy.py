"""Cross-entropy of a softmax over all items, and its gradient, some rows at a time.

With scores ``z_ri = x_r.I_i + b_i`` and their softmax p over the items, target t_r of row r costs

    ``log sum_i exp(z_ri) - z_r,t_r``

and the gradient by the scores is ``p_ri - [i = t_r]``, so those by x, I and b are products of
that matrix with I, with x and with ones. As nothing else depends on the scores, all is done while
those of a few rows are in the cache: they are exponentiated in place, multiplied, and
forgotten. Neither the scores of all rows nor their logarithms are ever in memory together.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from proxysr.data.sessions import PAD

CPU_MEMORY = 2**24
"""Bytes of scores that are made at once on a CPU: what caches hold and allocators keep."""
CUDA_MEMORY = 2**28
FEWEST_ROWS = 64
"""With fewer rows at a time, adding to the items' gradient would take longer than products."""


def cross_entropy_over_all(
    vectors: Tensor,
    items: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    left_out: Tensor | None = None,
) -> Tensor:
    """Sum over all rows of the cross-entropy of their targets; a scalar.

    Parameters
    ----------
    vectors : (R, D)
    items : (V, D)
        Row ``PAD`` takes no part.
    targets : int64 (R,)
    bias : (V,), optional
        Added to the scores.
    left_out : int64 (R, n), optional
        Items that take no part in a row, filled up with ``PAD``; never its target.
    """
    return _CrossEntropy.apply(vectors, items, bias, targets, left_out)  # type: ignore[no-any-return,no-untyped-call]


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        vectors: Tensor,
        items: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        left_out: Tensor | None,
    ) -> Tensor:
        memory = CPU_MEMORY if items.device.type == "cpu" else CUDA_MEMORY
        rows = max(FEWEST_ROWS, memory // (items.element_size() * len(items)))
        total = vectors.new_zeros(())
        for_vectors, for_items = torch.empty_like(vectors), torch.zeros_like(items)
        for_bias = None if bias is None else torch.zeros_like(bias)
        for first in range(0, len(vectors), rows):
            part = slice(first, first + rows)
            x, target = vectors[part], targets[part, None]
            scores = x @ items.T if bias is None else torch.addmm(bias, x, items.T)
            scores[:, PAD] = -torch.inf
            if left_out is not None:
                scores.scatter_(1, left_out[part], -torch.inf)
            scores -= scores.amax(dim=1, keepdim=True)
            total -= scores.gather(1, target).sum()
            sums = scores.exp_().sum(dim=1, keepdim=True)
            total += sums.log().sum()
            # rows of p - [i = t] times their sums, which are cheaper to divide by afterwards
            scores.scatter_add_(1, target, -sums)
            for_vectors[part] = (scores @ items) / sums
            for_items.addmm_(scores.T, x / sums)
            if for_bias is not None:
                for_bias.addmv_(scores.T, 1 / sums.squeeze(1))
        ctx.save_for_backward(for_vectors, for_items, for_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        return *(None if g is None else g * grad for g in ctx.saved_tensors), None, None
