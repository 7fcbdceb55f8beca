"""An average of the weights over epochs, to be evaluated and kept in place of the latest weights.

Steps of a constant size end near a minimum, not in it; the mean of several ends is nearer. Early
epochs are far from it and should count little. With polynomial decay, the mean after epoch t is ::

    a_t = (1 - s_t) a_{t-1} + s_t w_t,    s_t = (η + 1) / (t + 1 + η),  t = 0, 1, …

so that epoch u counts about u^η: with η = 3, the last quarter of the epochs has two thirds of the
weight. Training itself goes on from the latest weights, and takes the same steps as without.

O. Shamir, T. Zhang: Stochastic gradient descent for non-smooth optimization: convergence results
and optimal averaging schemes. ICML 2013 (section 4).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

DECAY = 3.0
"""η."""
ASIDE = "set_aside"
"""Key in an optimizer's state: between epochs the latest weights, and in an epoch their average."""


@torch.no_grad()
def to_average(optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """After an epoch: put the average in place of the latest weights, which are set aside."""
    share = (DECAY + 1) / (epoch + 1 + DECAY)
    for parameter, state in _moved(optimizer):
        average = state.get(ASIDE, parameter).lerp(parameter, share)
        state[ASIDE] = parameter.clone()
        parameter.copy_(average)


@torch.no_grad()
def to_latest(optimizer: torch.optim.Optimizer) -> None:
    """Before an epoch: put the latest weights in place of the average; nothing before the first."""
    for parameter, state in _moved(optimizer):
        if ASIDE in state:
            average = parameter.clone()
            parameter.copy_(state[ASIDE])
            state[ASIDE] = average


def _moved(optimizer: torch.optim.Optimizer) -> Iterator[tuple[Tensor, dict[str, Any]]]:
    """Parameters that a step has moved, and their state; others are their own average."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if state := optimizer.state[parameter]:
                yield parameter, state
