"""Embeddings inside the unit ball, normals on the unit sphere: by projection, or by a penalty."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize, relu


def project_tables(tables: Sequence[Tensor], normals: Tensor | None) -> None:
    """Project the rows of some tables into the unit ball, and normals onto the unit sphere."""
    for table in tables:
        project_into_ball(table)
    if normals is not None:
        project_on_sphere(normals)


@torch.no_grad()
def project_into_ball(table: Tensor) -> None:
    """Pull rows (n, D) that are longer than 1 back to length 1, in place.

    If the table's gradient is sparse, only the rows that have one can have moved
    (:mod:`proxysr.optimizer`), and only these are looked at.
    """
    grad = table.grad
    rows = grad.coalesce().indices()[0] if grad is not None and grad.is_sparse else None
    norms = torch.linalg.vector_norm(table if rows is None else table[rows], dim=1)
    place = (norms > 1).nonzero().squeeze(1)
    outside = place if rows is None else rows[place]
    table[outside] = table[outside] / norms[place, None]


@torch.no_grad()
def project_on_sphere(normals: Tensor) -> None:
    """Bring all rows (K, D) to length 1, in place."""
    normals.copy_(normalize(normals, dim=1))


def penalty(tables: Sequence[Tensor], normals: Tensor | None) -> Tensor:
    """``sum [||x||^2 - 1]_+`` of all rows x, plus ``sum (||v||^2 - 1)^2`` of the normals v."""
    total = torch.stack([relu(table.square().sum(1) - 1).sum() for table in tables]).sum()
    if normals is not None:
        total = (normals.square().sum(dim=1) - 1).square().sum() + total
    return total
