"""The checks that a model must pass, and the error that lists failed ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from proxysr.config import Settings
from proxysr.models import LearnedModel, ProxyModel, SessionModel
from proxysr.testing import learning, proxies, scores
from proxysr.testing.case import TRAIN, Case, Check, Finds
from proxysr.training import TrainConfig


class ContractError(AssertionError):
    """A model breaks parts of the contract that the program relies on.

    Attributes
    ----------
    failures : dict
        What was received, by the name of the check.
    """

    def __init__(self, model: str, checks: list[Check], failures: dict[str, str]) -> None:
        self.failures = failures
        lines = [f"{model} breaks {len(failures)} of {len(checks)} promises:"]
        for check in checks:
            if check.__name__ in failures:
                promise = " ".join((check.__doc__ or "").split())
                lines.append(f"- {check.__name__}: {promise} Here: {failures[check.__name__]}")
        super().__init__("\n".join(lines))


def check_model(
    model: type[SessionModel],
    config: Settings | Mapping[str, Any] | None = None,
    *,
    finds: Finds = "order",
    min_recall: float = 0.85,
    train: TrainConfig = TRAIN,
    quick: bool = False,
) -> list[str]:
    """Check a model against the contract; returns the names of the passed checks.

    Parameters
    ----------
    model : type
        A subclass of :class:`~proxysr.models.SessionModel`.
    config : Settings or mapping, optional
        Its settings; small ones are checked in seconds.
    finds : {"order", "cycle", "nothing"}
        What it can find in sessions that walk along cycles of ten items: the next item, only the
        cycle (models that do not read the order), or nothing (models that count popularity).
    min_recall : float
        Share of the planted targets among its first five ("cycle": ten) that it has to reach.
    train : TrainConfig
        How to train it for that.
    quick : bool
        Leave out the checks that train on planted and on shuffled sessions.

    Raises
    ------
    ContractError
        If checks fail; the message lists all of them.
    """
    if not (isinstance(model, type) and issubclass(model, SessionModel)):
        raise TypeError(f"check_model takes a subclass of SessionModel; received {model!r}.")
    if isinstance(config, Mapping):
        config = model.Config.from_dict(config)
    case = Case(model, config, finds, min_recall, train)
    case.prepared()  # if the model cannot be built, raise one error
    checks, failures = checks_of(case, quick=quick), {}
    for check in checks:
        try:
            with torch.random.fork_rng(devices=[]):
                check(case)
        except Exception as error:
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            failures[check.__name__] = f"{kind}{error}"
    if failures:
        raise ContractError(model.__name__, checks, failures)
    return [check.__name__ for check in checks]


def checks_of(case: Case, *, quick: bool = False) -> list[Check]:
    """All checks that apply to a model."""
    model = case.build()
    checks: list[Check] = [*scores.CHECKS]
    if model.shares_prefixes:
        checks.append(scores.prefixes_are_answered_as_alone)
    if isinstance(model, LearnedModel):
        checks += learning.CHECKS
        if not model.peeks_in_training:
            checks.append(learning.later_clicks_do_not_change_earlier_losses)
    if isinstance(model, ProxyModel):
        checks += proxies.CHECKS if model.chooses else [proxies.without_proxies_none_is_forced]
    if not quick:
        checks.append(learning.nothing_is_found_where_nothing_is)
        if case.finds != "nothing":
            checks.append(learning.planted_order_is_learnt)
    return checks
