"""What a model would have recommended with another proxy, or at another temperature."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from proxysr.analysis.choosing import check_items, choosing, session_batch
from proxysr.config import require
from proxysr.data.batches import SessionBatch
from proxysr.data.prefix_batches import PrefixBatches
from proxysr.data.sessions import Sessions, Task, check_task
from proxysr.evaluation import device_of, evaluate
from proxysr.evaluation import rank_of as rank_among
from proxysr.models import ProxyModel, SessionModel
from proxysr.recommender import best_items

MEMORY = 64 * 2**20
"""Bytes for the scores under proxies that are forced together."""


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
    model = choosing(model)
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
    model = choosing(model)
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


@torch.inference_mode()
def regret(
    model: SessionModel,
    sessions: Sessions,
    *,
    task: Task = "unseen",
    min_prefix: int = 1,
    n: int = 100,
    seed: int = 0,
) -> pd.DataFrame:
    """How much better another proxy would have ranked the click that came next.

    The best of K proxies is known only afterwards, and is better than the chosen one by luck
    alone. Whether sessions choose well is seen from ``rank`` beside ``median_rank``.

    Parameters
    ----------
    model : SessionModel
        In evaluation mode.
    sessions : Sessions
    task, min_prefix
        Which clicks are targets; see :func:`proxysr.evaluation.evaluate`.
    n : int
        Targets to draw; each is ranked once for every proxy, which takes one thread about 0.15 s
        at 300 proxies and 34,000 items.
    seed : int
        Seed of the draw.

    Returns
    -------
    DataFrame
        One row a target that was drawn, in order: ``session_id``, ``position``, ``target`` (item),
        ``proxy`` (chosen), ``rank`` (with the choice as it is, at the model's temperature),
        ``best_proxy`` and ``best_rank`` (forced; the chosen one if none is better),
        ``median_rank`` over all proxies, and ``regret``, ``1 / best_rank - 1 / rank``: at a high
        temperature it can be negative, since then a mixture may be better than any one proxy.

    Raises
    ------
    ConfigError
        If the model chooses no proxies, there is no target, or ``n`` is below 1.
    """
    model = choosing(model)
    require(n >= 1, f"n, the number of targets to draw, is at least 1; received {n}.")
    highest = int(sessions.items.max(initial=1))
    check_items(model, [highest])
    device = device_of(model)
    prefixes = PrefixBatches(
        sessions, task=task, min_prefix=min_prefix, max_length=model.max_length, device=device
    )
    require(
        len(prefixes) > 0,
        f"None of the {len(sessions)} sessions has a target of task {task!r} after at least "
        f"{min_prefix} click(s).",
    )
    some = np.random.default_rng(seed).choice(
        len(prefixes), min(n, len(prefixes)), replace=False, shuffle=False
    )
    prefixes.order = np.sort(some)
    rows = []
    for _, batch, _, _, seen in prefixes.batches(1, cells=1):
        proxy = int(model.weigh(batch)[0].argmax())
        forced = _ranks_by_proxy(model, batch, seen)
        best = proxy if forced[proxy] == forced.min() else int(forced.argmin())
        rank = _rank(model.score(batch), batch, seen)
        rows.append((proxy, float(rank), best, float(forced[best]), float(forced.quantile(0.5))))
    session, length, target = (column[prefixes.order] for column in prefixes.prefixes)
    names = ["proxy", "rank", "best_proxy", "best_rank", "median_rank"]
    table = pd.DataFrame(rows, columns=names)
    table.insert(0, "session_id", sessions.session_ids[session])
    table.insert(1, "position", length)
    table.insert(2, "target", target)
    return table.assign(regret=1 / table["best_rank"] - 1 / table["rank"])


def metrics_by_temperature(
    model: SessionModel,
    sessions: Sessions,
    temperatures: Sequence[float],
    *,
    task: Task = "unseen",
    ks: Sequence[int] = (5, 10, 20),
    min_prefix: int = 1,
) -> pd.DataFrame:
    """How well a trained model would rank if it chose proxies more or less softly.

    Parameters
    ----------
    model : SessionModel
    sessions : Sessions
    temperatures : sequence of float
        Above 0.
    task, ks, min_prefix
        See :func:`proxysr.evaluation.evaluate`.

    Returns
    -------
    DataFrame
        One row a temperature: ``temperature``, the metrics (``"R@20"`` and so on), and
        ``probability``, the mean weight of the chosen proxy.

    Raises
    ------
    ConfigError
        If the model chooses no proxies, a temperature is not above 0, or as ``evaluate``.
    """
    model = choosing(model)
    rows = []
    for temperature in temperatures:
        result = evaluate(
            at_temperature(model, temperature),
            sessions, task=task, ks=ks, min_prefix=min_prefix,
        )  # fmt: skip
        mean = float(result.ranks["probability"].mean())
        rows.append({"temperature": temperature, **result.metrics, "probability": mean})
    return pd.DataFrame(rows)


def at_temperature(model: ProxyModel, temperature: float) -> ProxyModel:
    """The same model, parameters and all, but choosing at another temperature.

    Raises
    ------
    ConfigError
        If it is not above 0.
    """
    _check_temperature(temperature)
    view = copy.copy(model)
    own = torch.full_like(model.temperature, temperature)
    view._buffers = model._buffers | {"temperature": own}
    return view


def _check_temperature(temperature: float) -> None:
    require(
        0 < temperature < math.inf, f"A temperature is a number above 0; received {temperature}."
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


def _ranks_by_proxy(model: ProxyModel, batch: SessionBatch, seen: Tensor | None) -> Tensor:
    """Rank (K,) of the target of a single prefix under each proxy."""
    device = batch.items.device
    rows = max(1, MEMORY // (4 * (model.n_items + 1)))
    ranks = []
    for proxies in torch.arange(model.n_proxies, device=device).split(rows):  # type: ignore[no-untyped-call]
        n = len(proxies)
        known = {name: x for name, x in batch._asdict().items() if x is not None}
        wide = SessionBatch(**{name: x.expand(n, *x.shape[1:]) for name, x in known.items()})
        scores = model.score(wide, force_proxy=proxies)
        ranks.append(_rank(scores, wide, seen if seen is None else seen.expand(n, -1)))
    return torch.cat(ranks)


def _rank(scores: Tensor, batch: SessionBatch, seen: Tensor | None) -> Tensor:
    """Ranks (B,) of the targets in the last column."""
    if seen is not None:
        scores.scatter_(1, seen, -torch.inf)
    return rank_among(scores, batch.targets[:, -1])
