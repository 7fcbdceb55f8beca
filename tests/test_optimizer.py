"""Adam of the rows that a step touches, against a literal one and PyTorch's two."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from proxysr.optimizer import RowAdam

RATE, BETA1, BETA2, EPS = 0.05, 0.9, 0.999, 1e-8
N, D, STEPS = 7, 3, 12


def sparse(rows: list[int], values: Tensor) -> Tensor:
    return torch.sparse_coo_tensor(
        torch.tensor([rows]), values, (N, *values.shape[1:]), check_invariants=True
    )


def some_gradients(shape: tuple[int, ...] = (D,)) -> list[tuple[list[int], Tensor]]:
    """Rows of each step, some of them twice, and their gradients."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(STEPS):
        rows = torch.randint(0, N - 1, (4,), generator=generator).tolist()
        found.append((rows, torch.randn(4, *shape, generator=generator, dtype=torch.float64)))
    return found


def moved(
    make: Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer], gradients: list[Tensor]
) -> torch.nn.Parameter:
    torch.manual_seed(0)
    table = torch.nn.Parameter(torch.randn(N, *gradients[0].shape[1:], dtype=torch.float64))
    optimizer = make([table])
    for gradient in gradients:
        table.grad = gradient
        optimizer.step()
    return table


def row_adam(parameters: list[torch.nn.Parameter]) -> RowAdam:
    return RowAdam(parameters, lr=RATE, fused=True)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(D,), ()])  # of embeddings, and of biases
def test_rows_move_as_the_literal_ones(weight_decay: float, shape: tuple[int, ...]) -> None:
    steps = some_gradients(shape)
    table = moved(
        lambda p: RowAdam(p, lr=RATE, weight_decay=weight_decay, fused=True),
        [sparse(rows, values) for rows, values in steps],
    )
    torch.manual_seed(0)
    at_start = torch.randn(N, *shape, dtype=torch.float64)
    expected = at_start.clone()
    first, second = torch.zeros_like(expected), torch.zeros_like(expected)
    for step, (rows, values) in enumerate(steps, start=1):
        for row in set(rows):
            gradient = sum(v for r, v in zip(rows, values, strict=True) if r == row)
            gradient = gradient + weight_decay * expected[row]
            first[row] = BETA1 * first[row] + (1 - BETA1) * gradient
            second[row] = BETA2 * second[row] + (1 - BETA2) * gradient**2
            mean, spread = first[row] / (1 - BETA1**step), second[row] / (1 - BETA2**step)
            expected[row] = expected[row] - RATE * mean / (spread.sqrt() + EPS)
    assert (table.detach() - expected).abs().max() < 1e-12
    assert torch.equal(table[N - 1].detach(), at_start[N - 1]), "no step has touched it"


def test_rows_that_every_step_touches_move_as_in_adam() -> None:
    dense = [torch.randn(N, D, dtype=torch.float64) for _ in range(STEPS)]
    ours = moved(row_adam, [sparse(list(range(N)), gradient) for gradient in dense])
    theirs = moved(lambda p: torch.optim.Adam(p, lr=RATE, fused=True), dense)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_rows_move_as_in_the_sparse_adam_but_for_where_eps_is_added() -> None:
    steps = [sparse(rows, values) for rows, values in some_gradients()]
    ours = moved(row_adam, [step.clone() for step in steps])
    theirs = moved(lambda p: torch.optim.SparseAdam(p, lr=RATE), steps)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_dense_gradients_are_those_of_adam_bit_for_bit() -> None:
    dense = [torch.randn(N, D, dtype=torch.float64) for _ in range(STEPS)]
    theirs = moved(lambda p: torch.optim.Adam(p, lr=RATE, fused=True), dense)
    assert torch.equal(moved(row_adam, dense), theirs)


def test_gradients_stay_and_states_have_the_names_of_adam() -> None:
    table, other = (torch.nn.Parameter(torch.ones(N, D)) for _ in range(2))
    optimizer = row_adam([table, other])
    table.grad = sparse([2, 2], torch.ones(2, D))
    other.grad = torch.ones(N, D)
    optimizer.step()
    assert table.grad.is_coalesced()
    assert table.grad.to_dense()[2].tolist() == [2.0] * D
    assert optimizer.state[table].keys() == optimizer.state[other].keys()
    assert [float(optimizer.state[p]["step"]) for p in (table, other)] == [1, 1]


@pytest.mark.parametrize("is_sparse", [True, False])
def test_a_step_shows_in_the_version_of_a_parameter(is_sparse: bool) -> None:
    """Models tell by it whether the tables that they made of parameters still hold."""
    table = torch.nn.Parameter(torch.ones(N, D))
    optimizer, before = row_adam([table]), table._version
    table.grad = sparse([2], torch.ones(1, D)) if is_sparse else torch.ones(N, D)
    optimizer.step()
    assert table._version > before


def test_a_closure_is_refused() -> None:
    with pytest.raises(ValueError, match="RowAdam takes no closure"):
        row_adam([torch.nn.Parameter(torch.ones(N))]).step(lambda: 0.0)
