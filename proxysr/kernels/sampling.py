"""Sampled negatives: items of a large catalogue, drawn once per batch, instead of all items.

The plain line: ``torch.arange(1, n_items + 1)``. With a million items, a step that compares every
position with every item takes seconds and updates the whole item table. Here M items are drawn for
a batch, popular ones more often; only they are compared, and only their rows get a gradient.

How items are drawn
-------------------
Item i is expected ``e_i = min(1, c count_i^power)`` times, with c such that these sum up to M;
``count_i`` is its number of clicks in the training sessions, at least 1. This is systematic
sampling: the items, by falling counts, divide the line from 0 to M into intervals of length
``e_i``, and one uniform point is drawn in each unit of the line. That costs O(M log N), whatever
the weights. The most popular items (``e_i = 1``) are drawn every time; if M is N, all are drawn
exactly once. An item whose interval crosses the border of two units may be drawn twice.

Sampled softmax
---------------
The softmax is over the target and the drawn items, with ``score_i - log e_i`` instead of the
score (the logQ correction; Bengio and Senécal 2008, https://doi.org/10.1109/TNN.2007.912312; also
"Candidate Sampling Algorithms Reference" of TensorFlow). A drawn item that is a row's target is
left out of that row's negatives. With all items drawn, this is the full softmax.

Sampled normalisers
-------------------
Where the probability itself is needed (:mod:`proxysr.models.latent_proxy`), the sum over all items
is estimated: the batch's own items count once, and each other item ``1 / e_i`` times for each time
that it is drawn. The expectation of this is the sum over all items.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from proxysr.config import NotNegative, Settings, Whole
from proxysr.data.sessions import PAD, Sessions
from proxysr.distributed import copy_first, gathered


class SamplingConfig(Settings):
    """Options of models that can be trained with sampled negatives."""

    sampled_negatives: Whole = 0
    """Items drawn for each batch as negatives; 0: compare with all items."""
    sampling_power: NotNegative = 0.75
    """Items are drawn in proportion to this power of their clicks in training; 0: uniformly."""


class Sample(NamedTuple):
    """Some items that stand for all; see :meth:`ItemSampler.around`.

    Attributes
    ----------
    items : int64 (S,)
        The padding first, then the batch's items, each once, then the drawn ones that are others.
    log_times : (S,)
        Logarithm of how often each of them counts; 0 for those of the batch.
    """

    items: Tensor
    log_times: Tensor


class ItemSampler(nn.Module):
    """Draws items; before :meth:`count`, all are equally popular.

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
        End of the interval of each of these on the line from 0 to M.
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
        """Draw items (M,), perhaps with repeats: the same in all processes of a joint training."""
        n = self.n_drawn
        points = torch.rand(n, dtype=torch.float64, device=self.ends.device)
        copy_first([points])
        points += torch.arange(n, device=points.device)
        place = torch.searchsorted(self.ends, points, right=True)
        return self.by_count[place.clamp(max=len(self.ends) - 1)]

    def around(self, batch: Tensor) -> tuple[Sample, Tensor]:
        """A sample with the items (...) of a batch, and their places in it.

        In a joint training, it has the items of all processes and is the same in each of them.
        """
        everywhere = torch.cat([items.to(batch.device) for items in gathered(batch.flatten())])
        own: Tensor = torch.unique(torch.cat([everywhere.new_tensor([PAD]), everywhere]))
        drawn, times = torch.unique(self.draw(), return_counts=True)
        other = ~torch.isin(drawn, own)
        log_times = times[other].log() - self.log_expected[drawn[other]]
        sample = Sample(torch.cat([own, drawn[other]]), pad(log_times, (len(own), 0)))
        return sample, torch.searchsorted(own, batch.contiguous())


def expected_times(weights: Tensor, n: int) -> Tensor:
    """``min(1, c w)`` with c such that they sum up to ``n``.

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
    # the most popular items are drawn every time
    sure = int((left * weights >= from_here_on).sum())
    share = (n - sure) / from_here_on[sure]
    return torch.where(torch.arange(len(weights)) < sure, 1.0, (share * weights).clamp(max=1))


def sampled_cross_entropy(
    vectors: Tensor, items: Tensor, bias: Tensor, drawn: Tensor, targets: Tensor
) -> Tensor:
    """Sum over rows of the cross-entropy of their targets against the drawn items; a scalar.

    Parameters
    ----------
    vectors : (R, D)
    items : (M + R, D)
        Embeddings of the drawn items, and of the target of each row.
    bias : (M + R,)
        Added to their scores: ``-log e_i`` plus the model's item bias.
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
    """The items of a small embedding table: the padding, the drawn items, and the targets.

    Returns
    -------
    items : int64 (n + R,)
        The padding, each drawn item once, and the target of each row.
    places : int64 (R,)
        Row of each target in this table; for a target that was drawn, the row of the drawn item.
    n : int
        Number of rows before the targets.

    >>> with_targets(torch.tensor([7, 2, 7]), torch.tensor([7, 5]))
    (tensor([0, 2, 7, 7, 5]), tensor([2, 4]), 3)
    """
    distinct: Tensor = torch.unique(torch.cat([drawn.new_tensor([PAD]), drawn]))
    n = len(distinct)
    place = torch.searchsorted(distinct, targets).clamp(max=n - 1)
    own = n + torch.arange(len(targets), device=targets.device)
    places = torch.where(distinct[place] == targets, place, own)
    return torch.cat([distinct, targets]), places, n
