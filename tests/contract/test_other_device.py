"""Without a GPU at hand: no model reads its tensors by NumPy, or mixes them with the CPU's.

Loss, gradients and scores are those of the CPU, though kernels choose as they do for a GPU. What
this cannot see is whether a GPU's own operations give the same, and how fast they are.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from proxysr.data.batches import SessionBatch
from proxysr.kernels import sizes
from proxysr.kernels.tiles import all_finite, count_ranks, leave_out
from proxysr.models import LearnedModel, SessionModel
from tests.contract.small import NAMES, TRAINING, small, training_batch
from tests.other_device import DEVICE, OtherDevice, Remote, move, there


@pytest.mark.parametrize("name", NAMES)
def test_loss_gradients_scores_and_ranks_are_those_of_the_cpu(name: str) -> None:
    batch = training_batch()
    asked = batch._replace(targets=torch.zeros_like(batch.targets), last_items=None, counts=None)
    here, moved = small(name), small(name)
    here.prepare(TRAINING)
    expected, ranks = here.eval().score(asked), ranked(here, asked)
    with OtherDevice():
        move(moved)
        moved.prepare(TRAINING)
        scores = moved.eval().score(there(asked))
        assert isinstance(scores, Remote)
        torch.testing.assert_close(scores.local, expected, atol=1e-5, rtol=1e-4)
        # rounding may put two items of about equal scores in the other order
        moved_ranks = local(ranked(moved, there(asked)))
        is_ranked = (asked.items != 1).all(dim=1)
        torch.testing.assert_close(moved_ranks[is_ranked], ranks[is_ranked], atol=1, rtol=0)
    if isinstance(here, LearnedModel) and isinstance(moved, LearnedModel):
        loss, gradients = trained(here, batch)
        with OtherDevice():
            moved_loss, moved_gradients = trained(moved, there(batch))
        torch.testing.assert_close(moved_loss, loss, atol=1e-5, rtol=1e-4)
        assert moved_gradients.keys() == gradients.keys()
        for parameter, gradient in gradients.items():
            torch.testing.assert_close(moved_gradients[parameter], gradient, atol=1e-5, rtol=1e-3)


def ranked(model: SessionModel, batch: SessionBatch) -> Tensor:
    """The rank of item 1 among those that a session has not; of no meaning if it has it."""
    tiles = model.answer(batch).tiles
    assert all_finite(tiles, model.n_items)
    leave_out(tiles, batch.items)
    return count_ranks(tiles, torch.ones_like(batch.lengths), "mean")


def trained(model: LearnedModel, batch: SessionBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and gradients of a step; no gradients where they are sparse, of drawn items."""
    model.train()
    model.start_epoch(0)
    torch.manual_seed(0)
    loss = model.loss(batch).total
    gradients = {}
    if not getattr(model.config, "sampled_negatives", 0):
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        model.after_step()
    return local(loss.detach()), {name: local(gradient) for name, gradient in gradients.items()}


def local(x: Tensor) -> Tensor:
    """Where a tensor of either device computes."""
    return x.local if isinstance(x, Remote) else x


def test_kernels_choose_by_device() -> None:
    items = torch.empty(10_000, 4)
    assert sizes.tile_width(64, items) == sizes.TILE
    assert sizes.tile_width(64, items.to(DEVICE)) == 10_000
    assert sizes.rows_and_width(items) == (sizes.ROWS, sizes.TILE)
    assert sizes.rows_and_width(items.to(DEVICE)) == (sizes.CUDA_MEMORY // 40_000, 10_000)
    assert sizes.rows_in_cache(5000, 2048, items.device) < 5000
    assert sizes.rows_in_cache(5000, 2048, DEVICE) == 5000
    assert not sizes.numpy_picks(items.to(DEVICE))


def test_what_a_gpu_would_refuse_is_refused() -> None:
    with OtherDevice():
        x = Remote(torch.ones(3))
        assert (x + 1).device == torch.arange(3, device=x.device).device == DEVICE
        with pytest.raises(AssertionError, match="the CPU's tensor met one of the GPU"):
            _ = x + torch.ones(3)
        with pytest.raises(RuntimeError, match="numpy"):
            x.numpy()
