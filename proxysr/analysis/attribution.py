"""Why a session chose its proxy: what each click adds, and which change of one click changes it.

The logits of a session are sums of one addend a click (see
:attr:`proxysr.models.proxy_model.ProxyTrace.position_logits`), so the first question has an exact
answer. For the second, the sums find the most promising changes, and the model then weighs each
edited session, so this answer is exact, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from proxysr.analysis.assignments import summary
from proxysr.analysis.representations import check_items, session_batch, with_proxies
from proxysr.data.batches import batch_of
from proxysr.evaluation import device_of
from proxysr.models import ProxyModel, SessionModel

MEMORY = 64 * 2**20
"""Bytes for the logits of a batch of edits."""
CANDIDATES = 50
"""How many of the most promising replacements are weighed exactly."""


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
        Index of the user; -1 if unknown.

    Returns
    -------
    DataFrame
        One row for each click that is read (the latest ``max_length``): ``position`` (from 0, in
        ``clicks``), ``item``, ``proxy`` (chosen), ``runner_up``, and

        - ``logit``: the click's addend for the proxy. They sum to the proxy's logit, less what is
          known of it before the first click, such as the bias of a known user,
        - ``difference``: that addend less the one for the runner-up. With ``prior``, they sum to
          the lead of the proxy over it. NaN if there is no runner-up,
        - ``prior``: what is known before the first click, of the proxy less of the runner-up, or
          of the proxy if it is the only one; the same in all rows.

    Raises
    ------
    ConfigError
        If the model chooses no proxies, there is no click, or an item is unknown.
    """
    model = with_proxies(model)
    trace = model.trace(session_batch(model, clicks, user))
    choice = summary(trace.proxy_logits, trace.proxy_weights)
    proxy, runner_up = int(choice[0]), int(choice[2])
    addends = trace.position_logits[0].double().cpu().numpy()
    first = len(clicks) - len(addends)
    prior = trace.prior_logits[0].double().cpu().numpy()
    has_rival = runner_up >= 0
    second = addends[:, runner_up] if has_rival else np.nan
    return pd.DataFrame(
        {
            "position": range(first, len(clicks)),
            "item": clicks[first:],
            "proxy": proxy,
            "runner_up": runner_up,
            "logit": addends[:, proxy],
            "difference": addends[:, proxy] - second,
            "prior": prior[proxy] - (prior[runner_up] if has_rival else 0.0),
        }
    )


@torch.inference_mode()
def proxy_path(model: SessionModel, clicks: Sequence[int], *, user: int = -1) -> pd.DataFrame:
    """The leading proxy of a session after each of its clicks that are read.

    What was clicked before the latest ``max_length`` clicks is left out after each of them; an
    evaluation reads that many before each target. The two differ for longer sessions.

    Parameters are those of :func:`contributions`.

    Returns
    -------
    DataFrame
        One row for each click that is read, as in :func:`contributions`: ``position``, ``item``,
        ``proxy`` (the most probable one after this click) and ``probability``.

    Raises
    ------
    ConfigError
        If the model chooses no proxies, there is no click, or an item is unknown.
    """
    model = with_proxies(model)
    probability, proxy = model.path(session_batch(model, clicks, user))[0].max(dim=1)
    first = len(clicks) - len(proxy)
    return pd.DataFrame(
        {
            "position": range(first, len(clicks)),
            "item": clicks[first:],
            "proxy": proxy.cpu().numpy(),
            "probability": probability.double().cpu().numpy(),
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
    """The change of one click after which the session most clearly chooses another proxy.

    Each click is dropped, and is replaced by every replacement; the model reads the edited
    sessions. If a model only estimates the effect of replacements (see
    :meth:`ProxyModel.replaced`), the ``CANDIDATES`` most promising ones are tried.

    Parameters
    ----------
    model : SessionModel
        In evaluation mode.
    clicks : sequence of int
        Item indices, oldest first.
    replacements : sequence of int, optional
        Items to replace a click by; all items if left out, and if empty, clicks are only dropped.
        The time grows with items times clicks: about 100,000 pairs a second with one thread and
        300 proxies.
    user : int
        Index of the user; -1 if unknown.

    Returns
    -------
    Flip or None
        The edit with the largest ``lead``; None if no edit changes the proxy.

    Raises
    ------
    ConfigError
        If the model chooses no proxies, there is no click, or an item is unknown.
    """
    model, clicks = with_proxies(model), [int(item) for item in clicks]
    logits, _ = model.weigh(session_batch(model, clicks, user))
    proxy = int(logits[0].argmax())
    all_items = range(1, model.n_items + 1)
    items = np.array(all_items if replacements is None else replacements, dtype=np.int64)
    check_items(model, items)
    read = range(max(0, len(clicks) - model.max_length), len(clicks))
    edits = [Edit(position) for position in read] if len(clicks) > 1 else []
    edits += _candidates(model, clicks, user, proxy, items)
    if not edits:
        return None
    edited = [edit.of(clicks) for edit in edits]
    batch = batch_of(edited, device=device_of(model), users=[user] * len(edited))
    lead = _leads(model.weigh(batch)[0], proxy)
    for i in lead.argsort(descending=True, stable=True).tolist():
        if lead[i] < 0:
            break
        # weigh it once more, alone, to exclude rounding
        flip = _as_flip(model, clicks, user, proxy, edits[i])
        if flip.after != proxy:
            return flip
    return None


class Edit(NamedTuple):
    """A click that is replaced, or dropped."""

    position: int
    replacement: int | None = None

    def of(self, clicks: list[int]) -> list[int]:
        """The clicks after it."""
        middle = [] if self.replacement is None else [self.replacement]
        return clicks[: self.position] + middle + clicks[self.position + 1 :]


def _candidates(
    model: ProxyModel, clicks: list[int], user: int, proxy: int, items: npt.NDArray[Any]
) -> list[Edit]:
    """The most promising replacements, by the sums of addends."""
    batch = session_batch(model, clicks, user)
    trace = model.trace(batch)
    without = trace.proxy_logits - trace.position_logits[0]  # (L, K): logits without each click
    n, n_proxies = without.shape
    size = max(1, MEMORY // (8 * n * n_proxies))
    candidates: list[tuple[float, Edit]] = []
    for start in range(0, len(items), size):
        replacements = torch.tensor(items[start : start + size], device=without.device)
        lead = _leads(without + model.replaced(batch, replacements), proxy).flatten()
        best = lead.topk(min(CANDIDATES, len(lead)))
        for value, i in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            edit = Edit(len(clicks) - n + i % n, int(replacements[i // n]))
            candidates.append((value, edit))
    candidates.sort(key=lambda pair: -pair[0])
    return [edit for _, edit in candidates[:CANDIDATES]]


def _leads(logits: Tensor, proxy: int) -> Tensor:
    """Lead (...) of the best proxy over the second in logits (..., K); negative for ``proxy``."""
    best = logits.topk(min(2, logits.shape[-1]), dim=-1)
    lead = best.values[..., 0] - best.values[..., -1]
    return torch.where(best.indices[..., 0] == proxy, -lead, lead)


def _as_flip(model: ProxyModel, clicks: list[int], user: int, proxy: int, edit: Edit) -> Flip:
    """The model's choice for an edited session."""
    edited = edit.of(clicks)
    logits, weights = model.weigh(session_batch(model, edited, user))
    after, probability, runner_up, margin, _ = (x.item() for x in summary(logits, weights))
    return Flip(
        kind="drop" if edit.replacement is None else "replace",
        position=edit.position,
        item=clicks[edit.position],
        replacement=edit.replacement,
        clicks=tuple(edited),
        before=proxy,
        after=int(after),
        lead=float(logits[0, int(after)] - logits[0, int(runner_up)]),
        probability=probability,
        margin=margin,
    )
