"""Ranks that are counted in tiles are the plain ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.kernels.tiles import count_ranks, product_tiles, put_rows, side_by_side


@pytest.mark.parametrize("ties", ["mean", "best", "worst"])
@pytest.mark.parametrize("width", [1, 4, 13])
def test_tiles_change_no_rank(monkeypatch: pytest.MonkeyPatch, ties: Any, width: int) -> None:
    monkeypatch.setattr("proxysr.kernels.sizes.CACHE", 4 * width * 2)  # two rows at a time
    scores = torch.randint(0, 4, (5, 13), generator=torch.Generator().manual_seed(1)).float()
    target = torch.tensor([0, 3, 7, 12, 5])
    tiles = torch.full((-(-13 // width), 5, width), -torch.inf)
    for item in range(13):
        tiles[item // width, :, item % width] = scores[:, item]
    assert torch.equal(count_ranks(tiles, target, ties), plain(scores, target, ties))


@pytest.mark.parametrize("width", [4, 13])
def test_rows_are_put_in_their_places(width: int) -> None:
    tiles, scores = torch.full((-(-13 // width), 5, width), -torch.inf), torch.rand(2, 13)
    put_rows(tiles, torch.tensor([3, 0]), scores)
    found = side_by_side(tiles, 13)
    assert torch.equal(found[[3, 0], 1:], scores[:, 1:])
    assert found[[1, 2, 4]].eq(-torch.inf).all()
    assert found[:, 0].eq(-torch.inf).all()


def plain(scores: Tensor, target: Tensor, ties: str) -> Tensor:
    """The line that the kernel replaces."""
    own = scores.gather(1, target[:, None])
    better, as_good = (scores > own).sum(dim=1) + 1, (scores >= own).sum(dim=1)
    return {"best": better, "worst": as_good, "mean": (better + as_good) / 2}[ties].double()


@pytest.mark.parametrize("rows", [2, 9])  # one tile of all items, or several
@pytest.mark.parametrize("with_bias", [False, True])
def test_products_are_the_plain_line(
    rows: int, with_bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxysr.kernels.sizes.TILE", 4)
    generator = torch.Generator().manual_seed(1)
    vectors, items, bias = (
        torch.randn(*n, generator=generator) for n in ((rows, 3), (13, 3), (13,))
    )
    found = side_by_side(product_tiles(vectors, items, bias if with_bias else None), 13)
    wanted = vectors @ items.T + (bias if with_bias else 0)
    torch.testing.assert_close(found[:, 1:], wanted[:, 1:])
    assert torch.isneginf(found[:, 0]).all()
