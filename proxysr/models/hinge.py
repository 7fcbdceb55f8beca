"""The margin loss over hard negatives, and its gradient, without a graph over all items.

Equation 8 of ProxySR sums ``[m + dist(r, target) - dist(r, i)]_+`` over
negatives i of each of R positions. Only the hardest negatives, those closest to the
position, contribute; they are *found* without autograd. The sum is then linear
in the distances, ``sum_ri w_ri dist_ri``: w is -1 for a negative that violates the
margin and counts the violations for the target. As (see :mod:`proxysr.models.projected`)

    ``dist_ri = const_r - 2 q_r.I_i + ||I_i||^2 - u_ri^2``,  ``u_ri = v_g.I_i``

with g the session of r, the gradients are weighted sums of a few rows, and
``embedding_bag`` computes those:

    ``d/dq_r = -2 sum_i w_ri I_i``
    ``d/dv_g = -2 sum_{r in g} sum_i w_ri u_ri I_i``
    ``d/dI_i =  2 sum_r w_ri (I_i - q_r - u_ri v_g)``

with ``I_i`` in the last bracket only if norms count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, relu
from torch.utils.checkpoint import checkpoint

from proxysr.models.negatives import Searched
from proxysr.models.projected import ProjectedSearch, Queries, closeness_to_own, rows_within
from proxysr.models.tiles import TILE

DENSE = 8
"""Gradients are products with all items if these are fewer than so many times the negatives."""


class Hinge(NamedTuple):
    """Sum of the hinge terms of each position (R,), and how many are positive (R,), no gradient."""

    total: Tensor
    violated: Tensor


class Negatives(NamedTuple):
    """The k closest items of each position and, as the last column, its target; (R, k + 1) each."""

    columns: Tensor
    closeness: Tensor
    along_normal: Tensor


@torch.no_grad()
def hardest_negatives(
    search: ProjectedSearch,
    searched: Searched,
    queries: Queries,
    *,
    k: int,
    target_is_negative: bool,
    memory: int,
) -> Negatives:
    """Find the k items closest to each position, as many positions at once as ``memory`` allows.

    Parameters
    ----------
    search : ProjectedSearch
    searched : Searched
        The items, n of them with the padding, and the targets (R,).
    queries : Queries
    k : int
        At most the items that are searched, or one less if the target is left out.
    target_is_negative : bool
        Whether a target may count among its own negatives.
    memory : int
        Bytes for closeness values.
    """
    items, targets, among = searched
    step = rows_within(memory, among, items.element_size())
    if len(targets) > step:
        parts = []
        for start in range(0, len(targets), step):
            rows = slice(start, start + step)
            parts.append(
                hardest_negatives(
                    search, searched._replace(targets=targets[rows]), queries.rows(rows),
                    k=k, target_is_negative=target_is_negative, memory=memory,
                )
            )  # fmt: skip
        return Negatives(*(torch.cat(column) for column in zip(*parts, strict=True)))
    found = search(items[:among], queries)
    target = targets[:, None]
    if target_is_negative:
        closeness, columns = found.top(k)
    else:
        closeness, columns = found.top(k + 1)
        closeness, keep = closeness.masked_fill(columns == target, -torch.inf).topk(k, sorted=False)
        columns = columns.gather(1, keep)
    along = found.along_normal_at(queries.session, columns)
    of_target, along_target = closeness_to_own(items[targets], queries)
    return Negatives(
        torch.cat([columns, target], dim=1),
        torch.cat([closeness, of_target[:, None]], dim=1),
        torch.cat([along, along_target[:, None]], dim=1),
    )


def hinge(items: Tensor, queries: Queries, negatives: Negatives, margin: float) -> Hinge:
    """Hinge terms of each position against the negatives found for it.

    Parameters
    ----------
    items : (n, D)
        Row 0 is the padding; gradients reach items, points and normals.
    queries : Queries
    negatives : Negatives
    margin : float
        ``m`` of equation 8.
    """
    total, violated = _HingeFunction.apply(  # type: ignore[no-untyped-call]
        items, *queries, negatives, margin
    )
    return Hinge(total, violated)


class _HingeFunction(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        items: Tensor,
        points: Tensor,
        normals: Tensor,
        session: Tensor,
        norms: bool,
        negatives: Negatives,
        margin: float,
    ) -> tuple[Tensor, Tensor]:
        columns, closeness, along = negatives
        terms = relu(margin + closeness[:, :-1] - closeness[:, -1:])
        active = (terms > 0).to(terms.dtype)
        violated = active.sum(dim=1)
        weights = torch.cat([-active, violated[:, None]], dim=1)
        ctx.norms = norms
        ctx.save_for_backward(items, points, normals, session, columns, along, weights)
        ctx.mark_non_differentiable(violated)
        return terms.sum(dim=1), violated

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> Any:
        items, points, normals, session, columns, along, weights = ctx.saved_tensors
        weights = weights * (2 * grad)[:, None]
        if DENSE * columns.shape[1] > len(items):  # one product costs less than so many rows
            of_all = items.new_zeros(2, len(points), len(items))
            of_all[0].scatter_add_(1, columns, weights)
            of_all[1].scatter_add_(1, columns, weights * along)
            by_point, by_row = of_all @ items
            for_normals = torch.zeros_like(normals).index_add_(0, session, by_row, alpha=-1)
            for_items = -(of_all.flatten(0, 1).T @ torch.cat([points, normals[session]]))
            if ctx.norms:
                for_items.addcmul_(of_all[0].sum(dim=0)[:, None], items)
            return for_items, -by_point, for_normals, None, None, None, None
        for_points = _weighted_rows(items, columns, weights).neg_()
        by_row = _weighted_rows(items, columns, weights * along)
        for_normals = torch.zeros_like(normals).index_add_(0, session, by_row, alpha=-1)

        # the same sums the other way round: for every item, the rows that met it
        order = columns.flatten().argsort()
        row = order.div(columns.shape[1], rounding_mode="floor")
        weights, along = weights.flatten()[order], along.flatten()[order]
        met = torch.cat([points, normals])
        bags = torch.stack([row, len(points) + session[row]], dim=1)
        shares = torch.stack([-weights, -weights * along], dim=1)
        count = torch.bincount(columns.flatten(), minlength=len(items))
        starts = torch.cat([count.new_zeros(1), count.cumsum(0)])
        for_items = embedding_bag(
            bags.flatten(), met, 2 * starts, mode="sum",
            per_sample_weights=shares.flatten(), include_last_offset=True,
        )  # fmt: skip
        if ctx.norms:
            own = items.new_zeros(len(items)).index_add_(0, columns.flatten()[order], weights)
            for_items.addcmul_(own[:, None], items)
        return for_items, for_points, for_normals, None, None, None, None


def _weighted_rows(table: Tensor, columns: Tensor, weights: Tensor) -> Tensor:
    """``sum_i weights[r, i] * table[columns[r, i]]``, (R, D)."""
    return embedding_bag(columns, table, mode="sum", per_sample_weights=weights)


def hinge_over_all(
    items: Tensor, queries: Queries, targets: Tensor, *, margin: float, target_is_negative: bool
) -> Hinge:
    """Hinge terms of each position against every item; tiles are recomputed for the gradient.

    Parameters are those of :func:`hardest_negatives` and :func:`hinge`; targets are rows (R,).
    """
    points, normals, session, norms = queries
    positive, _ = closeness_to_own(items[targets], queries)

    def tile(some: Tensor, start: int) -> tuple[Tensor, Tensor]:
        along = normals @ some.T
        offset = along.square() - norms * some.square().sum(dim=1)
        terms = relu(margin + 2 * points @ some.T + offset[session] - positive[:, None])
        column = torch.arange(start, start + len(some), device=some.device)
        left_out = (column == 0).expand_as(terms)
        if not target_is_negative:
            left_out = left_out | (column == targets[:, None])
        terms = terms.masked_fill(left_out, 0)
        return terms.sum(dim=1), (terms > 0).sum(dim=1)

    total, violated = torch.zeros_like(positive), torch.zeros_like(positive)
    for index, some in enumerate(torch.split(items, TILE)):
        part: tuple[Tensor, Tensor] = checkpoint(tile, some, index * TILE, use_reentrant=False)
        total, violated = total + part[0], violated + part[1]
    return Hinge(total, violated.detach())
