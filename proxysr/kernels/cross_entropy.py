"""Cross-entropy of a softmax over all items, and its gradient, a tile of scores at a time.

The plain line: ``cross_entropy(vectors @ items.T + bias, targets, reduction="sum")``, where the
padding's score is -inf.

With scores ``z_ri = x_r.I_i + b_i`` and their softmax p over the items, target t_r of row r costs

    ``log sum_i exp(z_ri) - z_r,t_r``

and the gradient by the scores is ``p_ri - [i = t_r]``, so those by x, I and b are products of
that matrix with I, with x and with ones. A tile holds the scores of some rows with some items; it
is processed while it is in the cache: its exponentials are summed and multiplied by I.
Exponents are relative to the largest score of the row so far; when a later tile has a larger one,
the earlier sums are scaled down. The product with x must wait until the sums are complete, so the
exponentials of the current rows are kept until then. The scores of all rows are never in memory
together.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from proxysr.data.sessions import PAD
from proxysr.kernels.sizes import rows_and_width


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
        Row ``PAD`` is ignored.
    targets : int64 (R,)
    bias : (V,), optional
        Added to the scores.
    left_out : int64 (R, n), optional
        Items to leave out of each row's softmax, padded with ``PAD``; never its target.
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
        rows, width = rows_and_width(items)
        tiles = [slice(a, min(a + width, len(items))) for a in range(0, len(items), width)]
        total = vectors.new_zeros(())
        for_vectors, for_items = torch.zeros_like(vectors), torch.zeros_like(items)
        for_bias = None if bias is None else torch.zeros_like(bias)
        for part in (slice(a, a + rows) for a in range(0, len(vectors), rows)):
            x, target, weighted = vectors[part], targets[part], for_vectors[part]
            of_target = torch.linalg.vecdot(x, items[target])[:, None]
            if bias is not None:
                of_target += bias[target, None]
            most, sums = of_target, torch.zeros_like(of_target)
            kept = []
            for tile in tiles:
                scores = x @ items[tile].T
                if bias is not None:
                    scores += bias[tile]
                if tile.start <= PAD:
                    scores[:, PAD] = -torch.inf
                if left_out is not None:
                    _leave_out(scores, left_out[part] - tile.start)
                before, most = most, torch.maximum(most, scores.amax(dim=1, keepdim=True))
                smaller = (before - most).exp_()
                scores -= most
                sums = sums * smaller + scores.exp_().sum(dim=1, keepdim=True)
                weighted *= smaller
                weighted.addmm_(scores, items[tile])
                kept.append((tile, scores, most))
            total += (sums.log() + most - of_target).sum()
            weighted /= sums
            weighted -= items[target]
            for tile, exponentials, most_then in kept:
                share = (most_then - most).exp_() / sums
                for_items[tile].addmm_(exponentials.T, x * share)
                if for_bias is not None:
                    for_bias[tile].addmv_(exponentials.T, share[:, 0])
            for_items.index_add_(0, target, x, alpha=-1)
            if for_bias is not None:
                for_bias.index_add_(0, target, -torch.ones_like(x[:, 0]))
        ctx.save_for_backward(for_vectors, for_items, for_bias)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        # in place: nothing else uses them, and PyTorch refuses a second backward
        return *(None if g is None else g.mul_(grad) for g in ctx.saved_tensors), None, None


def _leave_out(scores: Tensor, columns: Tensor) -> None:
    """Set scores (R, W) at columns (R, n) to -inf; columns outside 0..W-1 are ignored."""
    rows, positions = ((columns >= 0) & (columns < scores.shape[1])).nonzero(as_tuple=True)
    scores[rows, columns[rows, positions]] = -torch.inf
