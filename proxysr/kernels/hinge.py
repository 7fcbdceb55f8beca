"""The margin loss over hard negatives, and its gradient, without a graph over all items.

Equation 8 of ProxySR sums ``[m + dist(r, target) - dist(r, i)]_+`` over negatives i of each of R
positions. The plain lines, with distances (R, V) of all items:

    ``terms = relu(margin + distances.gather(1, target[:, None]) - distances)``
    ``hinge = terms.topk(k).values.sum(dim=1)``

Only the hardest negatives, those closest to the position, contribute; they are searched without
autograd. The sum is then linear in the distances, ``sum_ri w_ri dist_ri``: w is -1 for a negative
that violates the margin, and the number of violations for the target. The distances are (see
:mod:`proxysr.kernels.hyperplane`)

    ``dist_ri = const_r - 2 q_r.I_i + ||I_i||^2 - u_ri^2``,  ``u_ri = v_g.I_i``

where g is the session of r. So the gradients are weighted sums of a few rows, which
``embedding_bag`` computes:

    ``d/dq_r = -2 sum_i w_ri I_i``
    ``d/dv_g = -2 sum_{r in g} sum_i w_ri u_ri I_i``
    ``d/dI_i =  2 sum_r w_ri (I_i - q_r - u_ri v_g)``

with ``I_i`` in the last bracket only if ``queries.norms``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, relu
from torch.utils.checkpoint import checkpoint

from proxysr.kernels import sizes
from proxysr.kernels.hyperplane import ProjectedSearch, Queries, closeness_to_own


class Candidates(NamedTuple):
    """Items among which negatives are searched.

    Attributes
    ----------
    items : (n, D)
        Row 0 is the padding.
    targets : int64 (R,)
        The rows of the targets.
    n_searched : int
        The first ``n_searched`` rows are searched; the rows after them are targets only.
    """

    items: Tensor
    targets: Tensor
    n_searched: int


class Hinge(NamedTuple):
    """For each position (R,): sum of its hinge terms, and how many are positive (no gradient)."""

    total: Tensor
    violated: Tensor


class Negatives(NamedTuple):
    """The k closest items of each position and, as the last column, its target; (R, k + 1) each."""

    columns: Tensor
    closeness: Tensor
    along_normal: Tensor


def hinge_over_hardest(
    search: ProjectedSearch,
    candidates: Candidates,
    queries: Queries,
    *,
    k: int,
    margin: float,
    target_is_negative: bool = True,
    memory: int = 2**30,
) -> Hinge:
    """Hinge terms of each position against the k items closest to it.

    Parameters
    ----------
    search : ProjectedSearch
    candidates : Candidates
        Gradients reach its items.
    queries : Queries
        Gradients reach points and normals.
    k : int
        At most the number of searched items, or one less if the target is left out.
    margin : float
        ``m`` of equation 8.
    target_is_negative : bool
        Whether a target may count among its own negatives.
    memory : int
        Bytes for closeness values; it limits how many positions are searched at once.
    """
    negatives = hardest_negatives(
        search, candidates, queries, k=k, target_is_negative=target_is_negative, memory=memory
    )
    total, violated = _HingeFunction.apply(  # type: ignore[no-untyped-call]
        candidates.items, *queries, negatives, margin
    )
    return Hinge(total, violated)


@torch.no_grad()
def hardest_negatives(
    search: ProjectedSearch,
    candidates: Candidates,
    queries: Queries,
    *,
    k: int,
    target_is_negative: bool,
    memory: int,
) -> Negatives:
    """The k items closest to each position; parameters as of :func:`hinge_over_hardest`."""
    items, targets, n_searched = candidates
    step = sizes.rows_within(memory, n_searched, items.element_size())
    if len(targets) > step:
        parts = []
        for start in range(0, len(targets), step):
            rows = slice(start, start + step)
            parts.append(
                hardest_negatives(
                    search, candidates._replace(targets=targets[rows]), queries.rows(rows),
                    k=k, target_is_negative=target_is_negative, memory=memory,
                )
            )  # fmt: skip
        return Negatives(*(torch.cat(column) for column in zip(*parts, strict=True)))
    of_items = search(items[:n_searched], queries)
    target = targets[:, None]
    if target_is_negative:
        closeness, columns = of_items.top(k)
    else:
        closeness, columns = of_items.top(k + 1)
        closeness, keep = closeness.masked_fill(columns == target, -torch.inf).topk(k, sorted=False)
        columns = columns.gather(1, keep)
    along = of_items.along_normal_at(queries.session, columns)
    of_target, along_target = closeness_to_own(items[targets], queries)
    return Negatives(
        torch.cat([columns, target], dim=1),
        torch.cat([closeness, of_target[:, None]], dim=1),
        torch.cat([along, along_target[:, None]], dim=1),
    )


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
        if sizes.by_products(columns.shape[1], len(items)):
            scattered = items.new_zeros(2, len(points), len(items))
            scattered[0].scatter_add_(1, columns, weights)
            scattered[1].scatter_add_(1, columns, weights * along)
            by_point, by_row = scattered @ items
            for_normals = torch.zeros_like(normals).index_add_(0, session, by_row, alpha=-1)
            for_items = -(scattered.flatten(0, 1).T @ torch.cat([points, normals[session]]))
            if ctx.norms:
                for_items.addcmul_(scattered[0].sum(dim=0)[:, None], items)
            return for_items, -by_point, for_normals, None, None, None, None
        for_points = _weighted_rows(items, columns, weights).neg_()
        by_row = _weighted_rows(items, columns, weights * along)
        for_normals = torch.zeros_like(normals).index_add_(0, session, by_row, alpha=-1)

        # the same sums by item: for every item, the rows that have it among their columns
        order = columns.flatten().argsort()
        row = order.div(columns.shape[1], rounding_mode="floor")
        weights, along = weights.flatten()[order], along.flatten()[order]
        vectors = torch.cat([points, normals])
        bags = torch.stack([row, len(points) + session[row]], dim=1)
        shares = torch.stack([-weights, -weights * along], dim=1)
        count = torch.bincount(columns.flatten(), minlength=len(items))
        starts = torch.cat([count.new_zeros(1), count.cumsum(0)])
        for_items = embedding_bag(
            bags.flatten(), vectors, 2 * starts, mode="sum",
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
    candidates: Candidates, queries: Queries, *, margin: float, target_is_negative: bool = True
) -> Hinge:
    """Hinge terms of each position against every item; backward computes tiles again.

    Parameters are those of :func:`hinge_over_hardest`.
    """
    items, targets, _ = candidates
    points, normals, session, norms = queries
    positive, _ = closeness_to_own(items[targets], queries)

    def of_tile(tile: Tensor, start: int) -> tuple[Tensor, Tensor]:
        offset = (normals @ tile.T).square() - norms * tile.square().sum(dim=1)
        terms = relu(margin + 2 * points @ tile.T + offset[session] - positive[:, None])
        column = torch.arange(start, start + len(tile), device=tile.device)
        left_out = (column == 0).expand_as(terms)
        if not target_is_negative:
            left_out = left_out | (column == targets[:, None])
        terms = terms.masked_fill(left_out, 0)
        return terms.sum(dim=1), (terms > 0).sum(dim=1)

    total, violated = torch.zeros_like(positive), torch.zeros_like(positive)
    for index, tile in enumerate(torch.split(items, sizes.TILE)):
        part: tuple[Tensor, Tensor] = checkpoint(
            of_tile, tile, index * sizes.TILE, use_reentrant=False
        )
        total, violated = total + part[0], violated + part[1]
    return Hinge(total, violated.detach())
