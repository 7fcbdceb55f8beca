"""The tiled sums are the plain line, with its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from proxysr.kernels import sizes
from proxysr.kernels.mixture import log_mixture, log_normalisers
from proxysr.kernels.tiles import side_by_side


def plain(queries: Tensor, proxies: Tensor, items: Tensor) -> Tensor:
    """The line that the kernel replaces."""
    return ((queries @ items.T).exp() @ (proxies @ items.T).exp().T).log()


@pytest.fixture
def tensors() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    queries, proxies, items = (
        torch.randn(n, 6, generator=generator, dtype=torch.float64) for n in (5, 3, 23)
    )
    return 3 * queries, proxies, normalize(items, dim=1)


@pytest.mark.parametrize("tile", [1, 4, 23, 100])
@pytest.mark.parametrize("kept", [0, 700, 2**28])  # none, some or all are kept for the gradients
def test_values_and_gradients(
    tile: int, kept: int, tensors: tuple[Tensor, Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "TILE", tile)
    monkeypatch.setattr(sizes, "KEPT", kept)
    weights = torch.linspace(-1, 2, 15, dtype=torch.float64).view(5, 3)
    found = []
    for fast in (True, False):
        inputs = [x.clone().requires_grad_() for x in tensors]
        values = log_normalisers(*inputs) if fast else plain(*inputs)
        (values * weights).sum().backward()
        found.append([values.detach(), *(x.grad for x in inputs)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_weighted_items_count_as_often(tensors: tuple[Tensor, Tensor, Tensor]) -> None:
    queries, proxies, items = tensors
    times = torch.arange(23) % 3 + 1
    log_weights = times.double().log()
    weighted = log_normalisers(queries, proxies, items, log_weights)
    repeated = plain(queries, proxies, items.repeat_interleave(times, dim=0))
    torch.testing.assert_close(weighted, repeated, rtol=1e-12, atol=1e-12)


def test_large_numbers_do_not_overflow() -> None:
    items = normalize(torch.randn(50, 8), dim=1)
    found = log_normalisers(40 * items[:4], 60 * items[:2], items)
    expected = plain(40 * items[:4].double(), 60 * items[:2].double(), items.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("rows", [3, 9])  # one tile of all items, or several
def test_mixtures_are_the_plain_line(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "TILE", 8)
    queries, items, weights = (torch.rand(*n).double() for n in ((rows, 4), (23, 4), (rows, 3)))
    by_proxy, terms = torch.rand(3, 23).double(), torch.rand(rows, 3).double()
    items[0] = 0  # the padding
    mixture = log_mixture(queries, items, weights, by_proxy, terms)
    by_query = (queries @ items.T - queries.norm(dim=1, keepdim=True)).exp()
    by_query[:, 0] = 0
    share = weights / (by_query @ by_proxy.T + terms)
    wanted = (by_query * (share @ by_proxy)).log()
    torch.testing.assert_close(side_by_side(mixture, 23), wanted, rtol=1e-12, atol=1e-12)
