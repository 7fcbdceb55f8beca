"""Numbers fitted to validation sessions, and masks of repeated items in sessions."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from proxysr.data.batches import PrefixBatches
from proxysr.data.sessions import PAD, Sessions
from proxysr.kernels.tiles import side_by_side
from proxysr.models.base import SessionModel

TEMPERATURES = [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0]
"""Temperatures of the posterior to choose from."""
LEVELS = [step / 2 for step in range(-4, 13)]
"""Levels of repeats to choose from."""
TOP = 20
"""The level with the highest MRR at this k is chosen."""


def steps_back(items: Tensor) -> Tensor:
    """``l - u`` (L, L): steps back from click l of (B, L) to click u; negative for later ones."""
    column = torch.arange(items.shape[1], device=items.device)
    return column[:, None] - column


def is_latest(items: Tensor) -> Tensor:
    """Whether, after click l, click u is the latest on its item, (B, L, L).

    Parameters
    ----------
    items : int64 (B, L)
        Clicks, padded on the left.

    >>> is_latest(torch.tensor([[7, 4, 7]])).int()
    tensor([[[1, 0, 0],
             [1, 1, 0],
             [0, 1, 1]]], dtype=torch.int32)
    """
    n, is_click = items.shape[1], items != PAD
    back = steps_back(items)
    repeats = (items[:, :, None] == items[:, None]) & (back < 0)  # (B, u, v): v later, same item
    next_click = torch.where(repeats.any(dim=2), repeats.int().argmax(dim=2), n)
    column = torch.arange(n, device=items.device)
    return (back >= 0) & (column[:, None] < next_click[:, None]) & is_click[:, None]


def best_repeat_level(model: SessionModel, sessions: Sessions) -> float:
    """The one of :data:`LEVELS` that gives the best MRR@20 when added to scores of clicked items.

    Targets are all clicks after the first, repeats included. Among equally good levels, the lowest.

    Parameters
    ----------
    model : SessionModel
        One that ``shares_prefixes``, in evaluation mode.
    sessions : Sessions
    """
    prefixes = PrefixBatches(
        sessions, task="repeat", min_prefix=1, max_length=model.max_length,
        device=next(model.parameters()).device,
    )  # fmt: skip
    total = torch.zeros(len(LEVELS))
    for _, batch, ends, target, _ in prefixes.by_session(rows=512, cells=2**18):
        if ends is None:
            continue  # few prefixes are that long
        scores = side_by_side(model.answer(batch, ends).tiles, model.n_items + 1)
        clicked = batch.items[ends[0]] * is_latest(batch.items)[ends]  # (R, L), each item once
        of_clicked = scores.gather(1, clicked)
        of_unseen = scores.scatter(1, clicked, -torch.inf)
        of_unseen = of_unseen.topk(min(TOP, model.n_items), dim=1).values
        of_target = scores.gather(1, target[:, None])
        is_repeat = (clicked == target[:, None]).any(dim=1, keepdim=True)
        for index, level in enumerate(LEVELS):
            own = of_target + level * is_repeat
            rank = 1 + (of_unseen > own).sum(dim=1) + (of_clicked + level > own).sum(dim=1)
            total[index] += (1 / rank)[rank <= TOP].sum().cpu()
    return LEVELS[int(total.argmax())]


def likeliest_temperature(batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The one of :data:`TEMPERATURES` that gives targets the highest probability.

    Parameters
    ----------
    batches : iterable of two (n, K)
        The evidence before n targets for each proxy, and the targets' log-likelihood under it.
    """
    total = [0.0] * len(TEMPERATURES)
    for evidence, likelihood in batches:
        for index, temperature in enumerate(TEMPERATURES):
            posterior = (evidence / temperature).log_softmax(dim=1)
            total[index] += float(torch.logsumexp(posterior + likelihood, dim=1).sum())
    return TEMPERATURES[max(range(len(total)), key=total.__getitem__)]
