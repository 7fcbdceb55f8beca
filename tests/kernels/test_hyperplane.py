"""The search for the largest numbers of each row, by NumPy and by PyTorch, and by blocks."""

from __future__ import annotations

import pytest
import torch

from proxysr.kernels import sizes
from proxysr.kernels.hyperplane import ProjectedSearch, Queries, largest
from proxysr.kernels.sizes import BLOCK, TILE


@pytest.mark.parametrize("few_threads", [0, 10_000], ids=["torch", "numpy"])
@pytest.mark.parametrize("k", [1, 7, 30, 40])
def test_largest_are_those_of_a_sorted_row(
    few_threads: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "FEW_THREADS", few_threads)
    values = torch.randn(5, 30, generator=torch.Generator().manual_seed(k))
    values[0, :25] = -torch.inf  # as where a tile is filled up
    columns = largest(values, k)
    assert columns.shape == (5, min(k, 30))
    assert all(len(set(row)) == len(row) for row in columns.tolist())
    found = values.gather(1, columns).sort(dim=1, descending=True).values
    assert found.equal(values.sort(dim=1, descending=True).values[:, :k])


@pytest.mark.parametrize("n_items", [TILE - 500, TILE + 300])
@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])  # of the blocks, some or all are looked through
def test_the_closest_items_are_those_of_a_sorted_row(n_items: int, share: float) -> None:
    generator = torch.Generator().manual_seed(1)
    items, points = (torch.randn(n, 4, generator=generator) for n in (n_items + 1, 3))
    queries = Queries(points, torch.zeros(1, 4), torch.zeros(3, dtype=torch.long))
    k = int(share * n_items)
    closeness, found = ProjectedSearch()(items, queries).top(k)
    expected = 2 * points @ items.T - items.square().sum(dim=1)
    torch.testing.assert_close(closeness, expected.gather(1, found))
    expected[:, 0] = -torch.inf  # the padding
    torch.testing.assert_close(
        closeness.sort(dim=1, descending=True).values, expected.topk(k, dim=1).values
    )
    assert all(len(set(row)) == k for row in found.tolist())
    assert (k < -(-n_items // TILE) * TILE // BLOCK) == (share == 0.01)  # both ways are taken
