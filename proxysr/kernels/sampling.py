"""Some items of a large catalogue, drawn once a batch, in place of all of them.

The plain line that they replace: ``torch.arange(1, n_items + 1)``. With a million items, a step
that compares every position with every item takes seconds, and moves a table of which it needed
next to nothing. Here M items are drawn for a batch, popular ones
more often, and only those are compared, and only their rows get a gradient.

How items are drawn
-------------------
Item i is expected ``e_i = min(1, c count_i^power)`` times, with c such that these sum up to M;
``count_i`` are its clicks in the training sessions, at least 1. The items are laid one after the
other by falling counts, item i on a piece of length ``e_i`` of the line from 0 to M, and in each
unit of that line a point is drawn evenly. That costs O(M log N), whatever the weights; items that
are as popular as that are drawn every time; and where M is N, all are drawn exactly once. An item
on the border of two units may be drawn twice.

What that does to a softmax
---------------------------
The softmax is one over the target and the drawn items, with ``score_i - log e_i`` in place of the
score (sampled softmax with the logQ correction; Bengio and Senécal 2008,
https://doi.org/10.1109/TNN.2007.912312; also "Candidate Sampling Algorithms Reference" of
TensorFlow). A drawn item that is a row's own target is left out of that row: it is there already.
With all items drawn, this is the whole softmax.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from proxysr.config import NotNegative, Settings, Whole
from proxysr.data.sessions import PAD, Sessions
from proxysr.distributed import copy_first


class SamplingConfig(Settings):
    """Options of models that can be trained with drawn items."""

    sampled_negatives: Whole = 0
    """Items drawn for each batch to be compared with, at most all; 0: all items, none is drawn."""
    sampling_power: NotNegative = 0.75
    """They are drawn in proportion to this power of their clicks in training; 0: evenly."""


class ItemSampler(nn.Module):
    """Draws items; before :meth:`count`, all are as popular as each other.

    Parameters
    ----------
    n_items : int
    config : SamplingConfig
        ``sampled_negatives`` is at least 1.

    Attributes
    ----------
    n_drawn : int
        M, at most ``n_items``.
    by_count : int64 (n_items,)
        Items by falling counts.
    ends : float64 (n_items,)
        Where the piece of each of these ends on the line from 0 to M.
    log_expected : (V,)
        ``log e_i`` of every item.
    """

    by_count: Tensor
    ends: Tensor
    log_expected: Tensor

    def __init__(self, n_items: int, config: SamplingConfig) -> None:
        super().__init__()
        self.n_drawn = min(config.sampled_negatives, n_items)
        self.power = config.sampling_power
        # not saved: they follow from the training sessions
        self.register_buffer("by_count", torch.arange(1, n_items + 1), persistent=False)
        self.register_buffer("ends", torch.zeros(n_items, dtype=torch.float64), persistent=False)
        self.register_buffer("log_expected", torch.zeros(n_items + 1), persistent=False)
        self._lay_out(torch.ones(n_items))

    def count(self, train: Sessions) -> None:
        """Count the clicks of the training sessions."""
        clicks = torch.tensor(train.items, dtype=torch.int64)
        counts = torch.bincount(clicks, minlength=len(self.log_expected))
        self._lay_out(counts[PAD + 1 :].clamp(min=1))

    def _lay_out(self, counts: Tensor) -> None:
        falling, order = counts.double().sort(descending=True, stable=True)
        expected = expected_times(falling**self.power, self.n_drawn)
        self.by_count.copy_(order + PAD + 1)
        self.ends.copy_(expected.cumsum(0))
        self.log_expected[order + PAD + 1] = expected.log().to(self.log_expected)

    def draw(self) -> Tensor:
        """Items (M,), some perhaps twice: the same in all processes that train together."""
        n = self.n_drawn
        points = torch.rand(n, dtype=torch.float64, device=self.ends.device)
        copy_first([points])
        points += torch.arange(n, device=points.device)
        place = torch.searchsorted(self.ends, points, right=True)
        return self.by_count[place.clamp(max=len(self.ends) - 1)]


def expected_times(weights: Tensor, n: int) -> Tensor:
    """``min(1, c w)`` with the c for which these sum up to ``n``.

    Parameters
    ----------
    weights : float64 (N,)
        Positive and falling.
    n : int
        1..N.

    >>> expected_times(torch.tensor([9.0, 2.0, 1.0, 1.0]), 3)
    tensor([1.0000, 1.0000, 0.5000, 0.5000])
    """
    if n == len(weights):
        return torch.ones_like(weights)
    from_here_on = weights.flip(0).cumsum(0).flip(0)
    left = n - torch.arange(len(weights))
    # the most popular ones are drawn for sure, as long as what is left to be drawn allows it
    sure = int((left * weights >= from_here_on).sum())
    share = (n - sure) / from_here_on[sure]
    return torch.where(torch.arange(len(weights)) < sure, 1.0, (share * weights).clamp(max=1))


def sampled_cross_entropy(
    vectors: Tensor, items: Tensor, bias: Tensor, drawn: Tensor, targets: Tensor
) -> Tensor:
    """Sum over all rows of the cross-entropy of their targets among the drawn items; a scalar.

    Parameters
    ----------
    vectors : (R, D)
    items : (M + R, D)
        Embeddings of the drawn items, and of the target of each row.
    bias : (M + R,)
        Added to their scores: ``-log e_i``, and what the model adds.
    drawn : int64 (M,)
    targets : int64 (R,)
    """
    n = len(drawn)
    scores = torch.addmm(bias[:n], vectors, items[:n].T)
    scores = scores.masked_fill(drawn == targets[:, None], -torch.inf)
    of_target = torch.linalg.vecdot(vectors, items[n:]) + bias[n:]
    logits = torch.cat([of_target[:, None], scores], dim=1)
    return cross_entropy(logits, torch.zeros_like(targets), reduction="sum")


def with_targets(drawn: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, int]:
    """The items of a small table in which the drawn ones are, and the target of each row.

    Returns
    -------
    items : int64 (n + R,)
        The padding, each drawn item once, and the target of each row.
    places : int64 (R,)
        Where in it the targets are: a target that was drawn is the drawn one.
    n : int
        How many come before the targets.

    >>> with_targets(torch.tensor([7, 2, 7]), torch.tensor([7, 5]))
    (tensor([0, 2, 7, 7, 5]), tensor([2, 4]), 3)
    """
    known: Tensor = torch.unique(torch.cat([drawn.new_tensor([PAD]), drawn]))
    n = len(known)
    place = torch.searchsorted(known, targets).clamp(max=n - 1)
    own = n + torch.arange(len(targets), device=targets.device)
    places = torch.where(known[place] == targets, place, own)
    return torch.cat([known, targets]), places, n
