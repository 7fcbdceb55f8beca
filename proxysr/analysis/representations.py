"""Vectors of sessions, items and proxies, and batches for a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm.auto import tqdm

from proxysr.config import ConfigError, require
from proxysr.data import batches
from proxysr.data.batches import SessionBatch, batch_of
from proxysr.data.sessions import Sessions
from proxysr.evaluation import device_of
from proxysr.models import ProxyModel, SessionModel


def whole_sessions(
    model: SessionModel, sessions: Sessions, batch_size: int = 1024
) -> Iterator[tuple[npt.NDArray[np.int64], SessionBatch]]:
    """Yield (rows of ``sessions``, their batch) on the model's device, shortest first.

    Sessions without a click are left out; of long ones, the latest clicks are read.
    """
    return batches.whole_sessions(
        sessions, max_length=model.max_length, device=device_of(model), rows=batch_size
    )


@torch.inference_mode()
def representations(
    model: SessionModel,
    sessions: Sessions,
    *,
    general: bool = False,
    batch_size: int = 1024,
    progress: bool = False,
) -> npt.NDArray[np.float32]:
    """The vector (n, D) of each session by all its clicks, in the order of ``sessions``.

    Parameters
    ----------
    model : SessionModel
        In evaluation mode, on any device.
    sessions : Sessions
        Each with at least one click.
    general : bool
        Take the general interest, as in Figure 4 of the ProxySR paper:
        :meth:`SessionModel.general_interest`.
    batch_size : int
        Sessions of a batch.
    progress : bool
        Show a progress bar.

    Raises
    ------
    ConfigError
        If there is no session, or one has no click.
    """
    require(len(sessions) > 0, "There is no session to represent.")
    empty = int((sessions.lengths == 0).sum())
    require(empty == 0, f"{empty} of {len(sessions)} sessions have no click. Leave them out.")
    table: npt.NDArray[Any] | None = None
    feature = model.general_interest if general else model.represent
    with tqdm(
        total=len(sessions), desc="vectors", unit="session", leave=False, disable=not progress
    ) as bar:
        for rows, batch in whole_sessions(model, sessions, batch_size):
            vectors = feature(batch).float().cpu().numpy()
            if table is None:
                table = np.empty((len(sessions), vectors.shape[1]), np.float32)
            table[rows] = vectors
            bar.update(len(rows))
    return np.asarray(table)


def item_vectors(model: SessionModel) -> npt.NDArray[np.float32]:
    """Embeddings (V, D) of the items; row 0 is the padding; ConfigError if the model has none."""
    table = getattr(model, "items", None)
    require(isinstance(table, Tensor), f"{type(model).__name__} has no vectors of items.")
    return np.asarray(table.detach().float().cpu().numpy())  # type: ignore[union-attr]


def with_proxies(model: SessionModel) -> ProxyModel:
    """The model, if its sessions choose proxies; ConfigError if not."""
    if isinstance(model, ProxyModel) and model.chooses:
        return model
    if isinstance(model, ProxyModel) and model.n_proxies == 1:
        raise ConfigError(
            f"This {type(model).__name__} has one proxy, which all sessions share, so there is "
            "nothing to show. Take a run with a larger n_proxies."
        )
    raise ConfigError(
        f"This {type(model).__name__} chooses no proxies, so there is none to show. Take a run of "
        "latent_proxy or of proxysr (but not of its ablation without a choice)."
    )


def proxy_vectors(model: SessionModel) -> npt.NDArray[np.float32]:
    """The K vectors (K, D) that sessions choose among; see :meth:`ProxyModel.proxy_vectors`."""
    table = with_proxies(model).proxy_vectors()
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
