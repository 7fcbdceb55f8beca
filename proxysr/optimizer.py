"""Adam that updates only the rows of a table that have a gradient.

A step with sampled negatives (:mod:`proxysr.kernels.sampling`) touches a few thousand rows of a
table that may have millions. The gradient is sparse, and updating all rows would take far longer
than the rest of the step.

Differences from Adam
---------------------
If the gradient of a parameter is sparse, a row without a gradient does not change in this step, its
moments do not decay, and ``weight_decay`` does not act on it. All rows share one step count. A row
that has a gradient in every step moves as in Adam, and so do parameters with dense gradients.
``torch.optim.SparseAdam`` does the same, but adds ``eps`` before the bias correction of the second
moment, and builds sparse tensors of the changes, which takes longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version


class RowAdam(torch.optim.Adam):
    """:class:`torch.optim.Adam` that also takes sparse gradients; see the module's docstring.

    The state has Adam's own names. Sparse gradients are coalesced by a step.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        if closure is not None:
            raise ValueError("RowAdam takes no closure: it makes one step with the gradients.")
        sparse = [
            (group, p)
            for group in self.param_groups
            for p in group["params"]
            if p.grad is not None and p.grad.is_sparse
        ]
        gradients = [p.grad.coalesce() for _, p in sparse]
        for (group, p), gradient in zip(sparse, gradients, strict=True):
            self._move_rows(group, p, gradient.indices()[0], gradient.values())
            p.grad = None  # Adam refuses sparse ones
        super().step()
        for (_, p), gradient in zip(sparse, gradients, strict=True):
            p.grad = gradient
        # fused steps do not raise a tensor's version, which models' caches check
        increment_version([p for group in self.param_groups for p in group["params"]])
        return None

    def _move_rows(
        self, group: dict[str, Any], table: Tensor, rows: Tensor, gradient: Tensor
    ) -> None:
        """Update rows (n,) of a table by their gradient (n, ...)."""
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=table.device)
            state["exp_avg"] = torch.zeros_like(table)
            state["exp_avg_sq"] = torch.zeros_like(table)
        state["step"] += 1
        if group["weight_decay"]:
            gradient = gradient.add(table.index_select(0, rows), alpha=group["weight_decay"])
        beta1, beta2 = group["betas"]
        first = state["exp_avg"].index_select(0, rows).lerp_(gradient, 1 - beta1)
        second = state["exp_avg_sq"].index_select(0, rows).mul_(beta2)
        second.addcmul_(gradient, gradient, value=1 - beta2)
        state["exp_avg"].index_copy_(0, rows, first)
        state["exp_avg_sq"].index_copy_(0, rows, second)
        # bias correction; 0-dimensional tensors do not change the dtype of the table
        steps = state["step"].double()
        first *= -group["lr"] / (1 - beta1**steps)
        second /= 1 - beta2**steps
        table.index_add_(0, rows, first.div_(second.sqrt_().add_(group["eps"])))
