"""The search for the largest numbers of each row, by NumPy and by PyTorch."""

from __future__ import annotations

import pytest
import torch

from proxysr.models import projected
from proxysr.models.projected import largest


@pytest.mark.parametrize("few_threads", [0, 10_000], ids=["torch", "numpy"])
@pytest.mark.parametrize("k", [1, 7, 30, 40])
def test_largest_are_those_of_a_sorted_row(
    few_threads: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projected, "FEW_THREADS", few_threads)
    values = torch.randn(5, 30, generator=torch.Generator().manual_seed(k))
    values[0, :25] = -torch.inf  # as where a tile is filled up
    columns = largest(values, k)
    assert columns.shape == (5, min(k, 30))
    assert all(len(set(row)) == len(row) for row in columns.tolist())
    found = values.gather(1, columns).sort(dim=1, descending=True).values
    assert found.equal(values.sort(dim=1, descending=True).values[:, :k])
