"""The loss that is computed a tile at a time against PyTorch's over all scores, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from proxysr.kernels import sizes
from proxysr.kernels.cross_entropy import cross_entropy_over_all


def literal(
    vectors: Tensor, items: Tensor, targets: Tensor, bias: Tensor, left_out: Tensor | None
) -> Tensor:
    scores = vectors @ items.T + bias
    takes_no_part = torch.zeros_like(scores, dtype=torch.bool)
    takes_no_part[:, 0] = True
    for row, some in enumerate([] if left_out is None else left_out.tolist()):
        takes_no_part[row, some] = True
    return cross_entropy(scores.masked_fill(takes_no_part, -torch.inf), targets, reduction="sum")


@pytest.mark.parametrize("tile", [(1, 7), (3, 1), (11, 20), (4, 64), (64, 3)])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("with_left_out", [False, True])
@pytest.mark.parametrize("scale", [0.1, 30.0])
def test_value_and_gradient(
    monkeypatch: pytest.MonkeyPatch,
    tile: tuple[int, int],
    with_bias: bool,
    with_left_out: bool,
    scale: float,
) -> None:
    monkeypatch.setattr(sizes, "ROWS", tile[0])
    monkeypatch.setattr(sizes, "TILE", tile[1])
    generator = torch.Generator().manual_seed(1)
    vectors, items, bias = (
        (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).requires_grad_()
        for shape in ((11, 4), (20, 4), (20,))
    )
    targets = torch.randint(1, 10, (11,), generator=generator)
    left_out = torch.randint(10, 20, (11, 3), generator=generator)
    left_out[::2, 0] = 0
    some = left_out if with_left_out else None
    none = torch.zeros(20, dtype=torch.float64)
    expected = literal(vectors, items, targets, bias if with_bias else none, some)
    got = cross_entropy_over_all(
        vectors, items, targets, bias=bias if with_bias else None, left_out=some
    )
    assert abs((got - expected).item()) < 1e-9 * scale**2
    inputs = [vectors, items, *([bias] if with_bias else [])]
    for gradient, wanted in zip(
        torch.autograd.grad(3 * got, inputs),
        torch.autograd.grad(3 * expected, inputs),
        strict=True,
    ):
        assert (gradient - wanted).abs().max() < 1e-9


def test_the_only_item_costs_nothing() -> None:
    vectors, items = torch.ones(2, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    total = cross_entropy_over_all(vectors, items, torch.tensor([1, 1]))
    total.backward()  # type: ignore[no-untyped-call]
    assert total == 0
    assert vectors.grad is not None
    assert (vectors.grad == 0).all()


def test_a_second_backward_is_refused() -> None:
    vectors, items = torch.ones(2, 3, requires_grad=True), torch.ones(4, 3, requires_grad=True)
    total = cross_entropy_over_all(vectors, items, torch.tensor([1, 2]))
    total.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()  # type: ignore[no-untyped-call]
