"""What can be asked only of a model that chooses proxies, and of sessions that it can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from proxysr.config import ConfigError, require
from proxysr.data.batches import SessionBatch, batch_of
from proxysr.evaluation import device_of
from proxysr.models import ProxyModel, SessionModel


def choosing(model: SessionModel) -> ProxyModel:
    """The model, if its sessions choose proxies.

    Raises
    ------
    ConfigError
        If not.
    """
    if isinstance(model, ProxyModel) and model.chooses:
        return model
    raise ConfigError(
        f"This {type(model).__name__} chooses no proxies; models with proxies, such as "
        "ProxySR but not all of its ablations, assign sessions to them."
    )


def proxy_vectors(model: SessionModel) -> npt.NDArray[np.float32]:
    """The K vectors (K, D) that sessions choose among; see :meth:`ProxyModel.proxy_vectors`."""
    table = choosing(model).proxy_vectors()
    return np.asarray(table.detach().float().cpu().numpy())


def session_batch(model: SessionModel, clicks: Sequence[int], user: int = -1) -> SessionBatch:
    """A batch of one session, given its item indices.

    Raises
    ------
    ConfigError
        If there is no click, or an index is none of an item.
    """
    require(len(clicks) > 0, "A session needs at least one click; received none.")
    check_items(model, clicks)
    return batch_of([[int(item) for item in clicks]], device=device_of(model), users=[user])


def check_items(model: SessionModel, items: Sequence[int] | npt.NDArray[np.integer[Any]]) -> None:
    """Raise ``ConfigError`` if one of these indices is none of an item."""
    strange = [int(item) for item in items if not 1 <= item <= model.n_items]
    require(
        not strange,
        f"Items of this model are 1 to {model.n_items}; received "
        f"{', '.join(map(str, strange[:5]))}{', …' if len(strange) > 5 else ''}.",
    )
