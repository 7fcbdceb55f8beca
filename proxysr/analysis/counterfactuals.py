"""What a model would have recommended with another proxy, or at another temperature."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor

from proxysr.analysis.representations import check_items, session_batch, with_proxies
from proxysr.config import require
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import Task, check_task
from proxysr.evaluation import rank_of as rank_among
from proxysr.models import ProxyModel, SessionModel
from proxysr.recommender import best_items

LEAST_TEMPERATURE, MOST_TEMPERATURE = 1e-30, 1e30
"""Between them, logits divided by a temperature are numbers of 32 bits."""


@torch.inference_mode()
def recommendations_under(
    model: SessionModel,
    clicks: Sequence[int],
    *,
    proxy: int | None = None,
    temperature: float | None = None,
    k: int = 10,
    task: Task = "unseen",
    user: int = -1,
) -> pd.DataFrame:
    """The k items that would be recommended after some clicks.

    Parameters
    ----------
    model : SessionModel
        In evaluation mode.
    clicks : sequence of int
        Item indices, oldest first.
    proxy : int, optional
        Proxy to use in place of the chosen one; the temperature has no say then.
    temperature : float, optional
        Temperature to choose at in place of the model's.
    k : int
        Length of the list.
    task : {"unseen", "repeat"}
        "unseen" leaves out the items that were clicked already.
    user : int
        Number of the user; -1 where unknown.

    Returns
    -------
    DataFrame
        ``rank`` (from 1), ``item`` (index), ``score`` (higher is better).

    Raises
    ------
    ConfigError
        If the model chooses no proxies, there is no click, or an argument is out of range.
    """
    require(k >= 1, f"k is at least 1; received {k}.")
    check_task(task)
    model = with_proxies(model)
    scores = _scores(model, session_batch(model, clicks, user), proxy, temperature)[0]
    items, values = best_items(model, scores, clicks, k=k, task=task)
    return pd.DataFrame({"rank": range(1, len(items) + 1), "item": items, "score": values})


@torch.inference_mode()
def rank_of(
    model: SessionModel,
    clicks: Sequence[int],
    target: int,
    *,
    proxy: int | None = None,
    temperature: float | None = None,
    task: Task = "unseen",
    user: int = -1,
) -> float:
    """The rank, from 1, that an item would have among all items after some clicks.

    Parameters are those of :func:`recommendations_under`, and ``target``, the index of the item.
    Items of equal score share their mean rank, as in an evaluation.

    Raises
    ------
    ConfigError
        As :func:`recommendations_under`; and if under "unseen" the item was clicked already.
    """
    check_task(task)
    check_items(model, [target])
    model = with_proxies(model)
    require(
        task == "repeat" or target not in clicks,
        f"Item {target} was clicked already, so that under task 'unseen' it has no rank. "
        "Ask for task 'repeat'.",
    )
    batch = session_batch(model, clicks, user)
    scores = _scores(model, batch, proxy, temperature)
    if task == "unseen":
        scores[0, list(clicks)] = -torch.inf
    return float(rank_among(scores, torch.tensor([target], device=scores.device)))


def at_temperature(model: ProxyModel, temperature: float) -> ProxyModel:
    """The same model, parameters and all, but choosing at another temperature.

    Raises
    ------
    ConfigError
        If it is not from 1e-30 to 1e30.
    """
    _check_temperature(temperature)
    view = copy.copy(model)
    own = torch.full_like(model.temperature, temperature)
    view._buffers = model._buffers | {"temperature": own}
    return view


def _check_temperature(temperature: float) -> None:
    require(
        LEAST_TEMPERATURE <= temperature <= MOST_TEMPERATURE,
        f"A temperature is a number from {LEAST_TEMPERATURE:g} to {MOST_TEMPERATURE:g}; "
        f"received {temperature!r:.80}.",
    )


def _scores(
    model: ProxyModel, batch: SessionBatch, proxy: int | None, temperature: float | None
) -> Tensor:
    """Scores (B, V) under a proxy or temperature that exists."""
    k = model.n_proxies
    require(
        proxy is None or 0 <= proxy < k, f"This model's proxies are 0 to {k - 1}; received {proxy}."
    )
    if temperature is not None:
        _check_temperature(temperature)
    return model.score(batch, force_proxy=proxy, temperature=temperature)
