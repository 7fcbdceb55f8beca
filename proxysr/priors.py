"""A prior over the proxies from a user's earlier sessions.

There are no user parameters, so it works for users that training never saw, from their second
session on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from proxysr.config import ConfigError, require
from proxysr.data.batches import whole_sessions
from proxysr.data.sessions import Sessions
from proxysr.models import ProxyModel, SessionModel


@torch.no_grad()
def priors(model: SessionModel, sessions: Sessions, history: Sequence[Sessions]) -> Tensor:
    """:attr:`SessionBatch.prior` (S, K) of each session, from its user's earlier sessions.

    Parameters
    ----------
    model : SessionModel
        One that ``uses_history``.
    sessions : Sessions
        In time order; earlier ones of a user are history of later ones.
    history : sequence of Sessions
        Sessions before ``sessions``, in time order.

    Raises
    ------
    ConfigError
        If the model does not use earlier sessions, or no user is known.
    """
    model = learning_from_history(model)
    parts = [*history, sessions]
    user = np.concatenate([part.user_index for part in parts])
    require(
        bool((user >= 0).any()),
        "No session has a known user, so none has earlier sessions: leave history out.",
    )
    weights = torch.cat([posteriors(model, part) for part in parts])
    # sums over earlier sessions of the same user; the stable sort keeps the order of time
    order = np.argsort(user, kind="stable")
    starts = np.searchsorted(user[order], user[order])  # where the user's sessions begin
    sums = weights[order].double().cumsum(dim=0) - weights[order]
    sums = (sums - sums[starts]) * torch.from_numpy(user[order] >= 0).to(sums)[:, None]
    rows = np.argsort(order)[len(order) - len(sessions) :]
    return model.prior(sums[rows].to(weights))


@torch.no_grad()
def posteriors(model: ProxyModel, sessions: Sessions) -> Tensor:
    """Weights (S, K) of the proxies after all clicks of each session; 0 for one without clicks."""
    device = model.temperature.device
    weights = model.temperature.new_zeros(len(sessions), model.n_proxies)
    for rows, batch in whole_sessions(sessions, max_length=model.max_length, device=device):
        weights[torch.from_numpy(rows).to(device)] = model.weigh(batch)[1]
    return weights


def learning_from_history(model: SessionModel) -> ProxyModel:
    """Return the model if it uses a user's earlier sessions; raise ``ConfigError`` otherwise."""
    if isinstance(model, ProxyModel) and model.uses_history:
        return model
    raise ConfigError(
        f"{type(model).__name__} does not use a user's earlier sessions; models such as "
        "LatentProxy do. Leave history out."
    )
