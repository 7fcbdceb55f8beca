"""Which items the negatives of a batch are searched among: all, or those drawn for the batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding

from proxysr.data.sessions import PAD
from proxysr.models.lookup import lookup


class Searched(NamedTuple):
    """A table of items in which negatives are searched.

    Attributes
    ----------
    items : (n, D)
        Row 0 is the padding.
    targets : int64 (R,)
        The rows of the targets.
    among : int
        The first so many rows are searched; after them come targets that were not drawn.
    """

    items: Tensor
    targets: Tensor
    among: int


def look_up(
    items: Tensor, clicked: Tensor, targets: Tensor, drawn: Tensor | None
) -> tuple[Tensor, Tensor, Searched]:
    """Embeddings of clicks (B, L, D) and of targets (R, D), and where to search.

    If items are drawn, the gradient of the table is sparse.

    Parameters
    ----------
    items : (V, D)
    clicked : int64 (B, L)
    targets : int64 (R,)
    drawn : int64 (M,), optional
        Items to be searched; all if left out.
    """
    n = clicked.numel()
    if drawn is None:
        some, table = lookup(items, torch.cat([clicked.flatten(), targets]))
        searched = Searched(table, targets, len(table))
    else:
        small, places, among = table_of(drawn, targets)
        rows = torch.cat([clicked.flatten(), small])
        some = embedding(rows, items, padding_idx=PAD, sparse=True)
        searched = Searched(some[n:], places, among)
    return some[:n].view(*clicked.shape, -1), some[len(some) - len(targets) :], searched


def table_of(drawn: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, int]:
    """A small table of items in which the drawn ones can be searched and all targets are found.

    Returns
    -------
    items : int64 (n + R,)
        The padding, each drawn item once, and the target of each row.
    places : int64 (R,)
        Where in it the targets are: a target that was drawn is the drawn one.
    n : int
        How many come before the targets.

    >>> table_of(torch.tensor([7, 2, 7]), torch.tensor([7, 5]))
    (tensor([0, 2, 7, 7, 5]), tensor([2, 4]), 3)
    """
    known: Tensor = torch.unique(torch.cat([drawn.new_tensor([PAD]), drawn]))
    n = len(known)
    place = torch.searchsorted(known, targets).clamp(max=n - 1)
    own = n + torch.arange(len(targets), device=targets.device)
    places = torch.where(known[place] == targets, place, own)
    return torch.cat([known, targets]), places, n
