"""Rows of length at most 1, or of length 1, and work at clicks without padding."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from proxysr.kernels.rows import SHORT, at_clicks, by_length, lookup, project_into_ball, unit_rows


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


def test_unit_rows_are_the_plain_line_and_its_gradient() -> None:
    generator = torch.Generator().manual_seed(1)
    table = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    table[0] = 0
    weights = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    weights[0] = 0  # the gradient at a row of zeros has no meaning
    results = []
    for function in (unit_rows, normalize):
        given = table.clone().requires_grad_()
        rows = function(given)
        (rows * weights).sum().backward()
        results.append((rows.detach(), given.grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-14)


def test_at_clicks_is_the_plain_line_and_its_gradient() -> None:
    x = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(1))
    is_click = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]]).bool()
    results = []
    for fast in (True, False):
        given = x.clone().requires_grad_()
        values = (
            at_clicks(torch.sigmoid, given, is_click)
            if fast
            else torch.sigmoid(given) * is_click[..., None]
        )
        values.square().sum().backward()  # type: ignore[no-untyped-call]
        results.append((values.detach(), given.grad))
    for ours, wanted in zip(*results, strict=True):
        torch.testing.assert_close(ours, wanted)


def test_lookup_is_the_plain_line_and_its_gradient() -> None:
    table, rows = torch.arange(10.0).view(5, 2), torch.tensor([3, 1, 3])
    gradients = []
    for fast in (True, False):
        given = table.clone().requires_grad_()
        values, same = lookup(given, rows) if fast else (given[rows], given)
        (values.square().sum() + (2 * same.square()).sum()).backward()  # type: ignore[no-untyped-call]
        gradients.append(given.grad)
    torch.testing.assert_close(*gradients)


@given(st.lists(st.integers(1, 40 * SHORT), min_size=1, max_size=20))
def test_parts_by_length_hold_every_row_once_with_little_padding(lengths: list[int]) -> None:
    parts = list(by_length(torch.tensor(lengths)))
    assert sorted(row for rows, _ in parts for row in rows.tolist()) == list(range(len(lengths)))
    for rows, longest in parts:
        inside = [lengths[row] for row in rows.tolist()]
        assert longest == max(inside)
        assert longest <= max(SHORT, 2 * min(inside))
