"""Rows that are pulled back into the unit ball: all, or those that a sparse gradient names."""

from __future__ import annotations

import torch
from torch import Tensor

from proxysr.models.unit_ball import project_into_ball


def table_of(gradient: Tensor | None) -> torch.nn.Parameter:
    table = torch.nn.Parameter(torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 2.0], [6.0, 8.0]]))
    table.grad = gradient
    return table


def test_all_rows_without_a_gradient_or_with_a_dense_one() -> None:
    for gradient in (None, torch.zeros(4, 2)):
        table = table_of(gradient)
        project_into_ball(table)
        expected = torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 1.0], [0.6, 0.8]])
        torch.testing.assert_close(table.detach(), expected)


def test_only_rows_of_a_sparse_gradient() -> None:
    rows, values = torch.tensor([[3, 1, 3]]), torch.ones(3, 2)
    table = table_of(torch.sparse_coo_tensor(rows, values, (4, 2), check_invariants=True))
    project_into_ball(table)
    expected = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 2.0], [0.6, 0.8]])
    torch.testing.assert_close(table.detach(), expected)
