"""Why a session chose its proxy: what each click adds, and which one click would change it.

The logits of a session are sums of one addend a click (see
:attr:`proxysr.models.proxysr.ProxyTrace.position_logits`), so both questions have exact answers:
nothing here is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from proxysr.analysis.assignments import summary
from proxysr.analysis.choosing import check_items, choosing, session_batch
from proxysr.data.batches import batch_of
from proxysr.evaluation import device_of
from proxysr.models import ProxySR, SessionModel

MEMORY = 64 * 2**20
"""Bytes for the logits of the edits that are looked at together."""


@torch.inference_mode()
def contributions(model: SessionModel, clicks: Sequence[int], *, user: int = -1) -> pd.DataFrame:
    """What each click adds to the logit of the chosen proxy.

    Parameters
    ----------
    model : SessionModel
        In evaluation mode.
    clicks : sequence of int
        Item indices, oldest first.
    user : int
        Number of the user; -1 where unknown.

    Returns
    -------
    DataFrame
        One row for each click that is read (the latest ``max_length``): ``position`` (from 0, in
        ``clicks``), ``item``, ``proxy`` (chosen), ``runner_up``, and

        - ``logit``: the click's addend for the proxy. They sum to the proxy's logit (less the
          bias of a known user, in a model that learnt one),
        - ``difference``: that addend less the one for the runner-up; they sum to the lead of the
          proxy over it. NaN if there is no runner-up.

    Raises
    ------
    ConfigError
        If the model chooses no proxies, there is no click, or an item is unknown.
    """
    model = choosing(model)
    trace = model.trace(session_batch(model, clicks, user))
    choice = summary(trace.proxy_logits, trace.proxy_weights)
    proxy, runner_up = int(choice[0]), int(choice[2])
    addends = trace.position_logits[0].double().cpu().numpy()
    first = len(clicks) - len(addends)
    second = addends[:, runner_up] if runner_up >= 0 else np.nan
    return pd.DataFrame(
        {
            "position": range(first, len(clicks)),
            "item": clicks[first:],
            "proxy": proxy,
            "runner_up": runner_up,
            "logit": addends[:, proxy],
            "difference": addends[:, proxy] - second,
        }
    )


@dataclass(frozen=True)
class Flip:
    """An edit of one click that changes which proxy a session chooses.

    Attributes
    ----------
    kind : {"drop", "replace"}
    position : int
        Of the click, from 0.
    item : int
        What was clicked there.
    replacement : int or None
        What is clicked there instead; None if the click is dropped.
    clicks : tuple of int
        The session after the edit.
    before, after : int
        The chosen proxies.
    lead : float
        Logit of ``after`` less that of the runner-up, after the edit: the larger, the clearer.
    probability, margin : float
        Of ``after``, and less that of its runner-up, at the model's temperature.
    """

    kind: Literal["drop", "replace"]
    position: int
    item: int
    replacement: int | None
    clicks: tuple[int, ...]
    before: int
    after: int
    lead: float
    probability: float
    margin: float


@torch.inference_mode()
def smallest_flip(
    model: SessionModel,
    clicks: Sequence[int],
    *,
    replacements: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
    user: int = -1,
) -> Flip | None:
    """The edit of one click after which the session most clearly chooses another proxy.

    All clicks are dropped in turn, and each is replaced by every replacement. Later clicks keep
    their positions if one is replaced; if one is dropped, those before or after it move, and the
    model reads all of them anew.

    Parameters
    ----------
    model : SessionModel
        In evaluation mode.
    clicks : sequence of int
        Item indices, oldest first.
    replacements : sequence of int, optional
        Items to replace a click by; all items if left out, and if empty, clicks are only dropped.
        The time grows with the items and with the clicks: one thread looks through about 100,000
        pairs of them in a second at 300 proxies, so that the thousand most frequent items are
        answered at once, and all of a large catalogue in seconds.
    user : int
        Number of the user; -1 where unknown.

    Returns
    -------
    Flip or None
        The edit with the largest ``lead``; None if no edit changes the proxy.

    Raises
    ------
    ConfigError
        If the model chooses no proxies, there is no click, or an item is unknown.
    """
    model, clicks = choosing(model), [int(item) for item in clicks]
    logits, _ = model.weigh(session_batch(model, clicks, user))
    before = int(logits[0].argmax())
    items = np.arange(1, model.n_items + 1) if replacements is None else np.asarray(replacements)
    check_items(model, items)
    edits = [
        edit
        for edit in (
            _best_drop(model, clicks, user, before),
            _best_replacement(model, clicks, user, before, items),
        )
        if edit is not None
    ]
    # what was added up is read once more as a session: rounding must not invent a flip
    flips = [_as_flip(model, clicks, user, before, *edit) for edit in edits]
    return max(
        (flip for flip in flips if flip.after != before), key=lambda flip: flip.lead, default=None
    )


def _best_drop(
    model: ProxySR, clicks: list[int], user: int, before: int
) -> tuple[int, int | None] | None:
    """Position whose drop flips the choice most clearly, and None for "no replacement"."""
    read = range(max(0, len(clicks) - model.max_length), len(clicks))
    if len(clicks) < 2:
        return None
    shorter = [clicks[:position] + clicks[position + 1 :] for position in read]
    batch = batch_of(shorter, device=device_of(model), users=[user] * len(shorter))
    lead = _leads(model.weigh(batch)[0], before)
    best = int(lead.argmax())
    return (read[best], None) if lead[best] > -torch.inf else None


def _best_replacement(
    model: ProxySR, clicks: list[int], user: int, before: int, items: npt.NDArray[Any]
) -> tuple[int, int | None] | None:
    """Position and item whose replacement flips the choice most clearly.

    A session that repeats an item has the addends of that item at all positions, so a pass over
    one such session an item tells the logits of the edits at every position.
    """
    trace = model.trace(session_batch(model, clicks, user))
    others = trace.proxy_logits - trace.position_logits[0]  # (L, K): logits without each click
    n, n_proxies = others.shape
    device, size = device_of(model), max(1, MEMORY // (8 * n * n_proxies))
    best: tuple[float, int, int] | None = None
    for start in range(0, len(items), size):
        some = items[start : start + size]
        repeated = batch_of(np.repeat(some[:, None], n, axis=1).tolist(), device=device)
        lead = _leads(others + model.trace(repeated).position_logits, before)
        found = int(lead.argmax())
        value = float(lead.flatten()[found])
        if value > (best[0] if best else -torch.inf):
            best = value, len(clicks) - n + found % n, int(some[found // n])
    return best[1:] if best else None


def _leads(logits: Tensor, before: int) -> Tensor:
    """Lead (...) of the best proxy over the next in logits (..., K); -inf if ``before`` leads."""
    best = logits.topk(min(2, logits.shape[-1]), dim=-1)
    lead = best.values[..., 0] - best.values[..., -1]
    return lead.masked_fill(best.indices[..., 0] == before, -torch.inf)


def _as_flip(
    model: ProxySR, clicks: list[int], user: int, before: int,
    position: int, replacement: int | None,
) -> Flip:  # fmt: skip
    """What the model makes of an edited session, whether it flips or not."""
    middle = [] if replacement is None else [replacement]
    edited = clicks[:position] + middle + clicks[position + 1 :]
    logits, weights = model.weigh(session_batch(model, edited, user))
    after, probability, runner_up, margin, _ = (x.item() for x in summary(logits, weights))
    return Flip(
        kind="drop" if replacement is None else "replace",
        position=position,
        item=clicks[position],
        replacement=replacement,
        clicks=tuple(edited),
        before=before,
        after=int(after),
        lead=float(logits[0, int(after)] - logits[0, int(runner_up)]),
        probability=probability,
        margin=margin,
    )
