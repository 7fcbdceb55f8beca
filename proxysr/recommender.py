"""Recommend for a new session: raw ids in, raw ids and titles out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from proxysr.config import ConfigError, require
from proxysr.data.batches import batch_of
from proxysr.data.ids import id_text
from proxysr.data.sessions import PAD, Sessions, Task, check_task
from proxysr.evaluation import device_of
from proxysr.models import SessionModel
from proxysr.priors import learning_from_history, posteriors
from proxysr.run import RunDir


@dataclass(frozen=True, eq=False)
class Recommendations:
    """The answer to one session.

    Attributes
    ----------
    items : DataFrame
        ``rank`` (from 1), ``item_id``, ``score`` (higher is better), and ``title`` where known;
        empty if no click was on a known item, unless the model knows what sessions begin with, or
        if every known item was clicked (task unseen).
    unknown : list of str
        Clicked ids that the model was not trained on; they were left out.
    user : str or None
        The known user whose parameters were used; None if the session was taken as anonymous.
    unknown_in_history : list of str
        Unknown ids in the earlier sessions.
    n_known : int
        Number of clicks on known items.
    """

    items: pd.DataFrame
    unknown: list[str]
    user: str | None = None
    unknown_in_history: list[str] = field(default_factory=list)
    n_known: int = 0


LISTS = (Sequence, np.ndarray, pd.Series, pd.Index)


def _id(value: object, argument: str) -> str:
    """A raw id as text, by the same rule as ids of a log.

    Raises
    ------
    ConfigError
        If it is not an id: a list, a table, true or false, or missing.
    """
    allowed = isinstance(value, str | bytes | int | float | Decimal | np.integer | np.floating)
    text = id_text(value) if allowed and not isinstance(value, bool) else None
    if text is None and not isinstance(value, str):
        raise ConfigError(f"{argument}: an id is text or a number; received {value!r}.")
    return text or str(value)


class Recommender:
    """A trained model that takes and returns the raw item ids of a log.

    Parameters
    ----------
    model : SessionModel
    items : DataFrame
        Row ``i - 1`` describes item index i, with ``item_id`` and perhaps ``title``.
    users : DataFrame, optional
        Row ``u`` has the ``user_id`` of user index u, for models with user parameters, such as
        ProxySR with ``n_users``.
    """

    def __init__(
        self, model: SessionModel, items: pd.DataFrame, users: pd.DataFrame | None = None
    ) -> None:
        require(
            len(items) == model.n_items,
            f"The items table has {len(items)} rows, the model knows {model.n_items} items.",
        )
        self.model = model.eval()
        self.items = items
        ids = items["item_id"].astype(str)
        self._index = {item_id: row for row, item_id in enumerate(ids, start=1)}
        user_ids = [] if users is None else users["user_id"].astype(str).tolist()
        self._users = {user_id: row for row, user_id in enumerate(user_ids)}

    @classmethod
    def load(cls, run: str | Path | RunDir, device: str = "cpu") -> Recommender:
        """The recommender of a run, at its best epoch."""
        run = run if isinstance(run, RunDir) else RunDir(run)
        return cls(run.model("best", device), run.items, run.users)

    @property
    def n_users(self) -> int:
        """Number of users that the model has parameters for."""
        return len(self._users)

    def recommend(
        self,
        clicks: Sequence[object],
        k: int = 20,
        task: Task = "unseen",
        *,
        user: object | None = None,
        history: Sequence[Sequence[object]] = (),
    ) -> Recommendations:
        """The k items most likely to be clicked next.

        Parameters
        ----------
        clicks : sequence
            Raw ids of the clicked items, oldest first. They are compared as text by the same rule
            as ids of a log: 101.0 is "101", white space and invisible characters at the ends are
            removed. May be empty for models that can predict first clicks, such as LatentProxy.
        k : int
            Length of the list.
        task : {"unseen", "repeat"}
            "unseen" leaves out the items that were clicked already.
        user : optional
            Raw id of the user, if known. It is used if the model has parameters for this user;
            otherwise the session is taken as anonymous, and ``user`` of the result is None.
        history : sequence of sequences, optional
            The same user's earlier sessions, for models that ``uses_history``, such as
            LatentProxy. Nothing is retrained, and the user may be new. Ids as in ``clicks``.

        Raises
        ------
        ConfigError
            If there is no click, ``k`` is below 1, the task is unknown, or the model does not use
            earlier sessions.
        FloatingPointError
            If a score is not finite.
        """
        require(isinstance(task, str), f"task is unseen or repeat; received {task!r}.")
        check_task(task)
        require(
            isinstance(k, int | np.integer) and not isinstance(k, bool) and k >= 1,
            f"k is a whole number from 1; received {k!r}.",
        )
        known, unknown = self._known(clicks, "clicks")
        require(
            len(known) + len(unknown) > 0 or self.model.starts_sessions,
            "A session needs at least one click; received none.",
        )
        require(
            isinstance(history, LISTS) and not isinstance(history, str | bytes),
            f"history: a list of sessions, each a list of item ids; received {history!r}.",
        )
        sessions = [self._known(session, "each session of history") for session in history]
        earlier = [session for session, _ in sessions if session]
        unknown_in_history = list(dict.fromkeys(name for _, names in sessions for name in names))
        user_id = None if user is None else _id(user, "user")
        row = -1 if user_id is None else self._users.get(user_id, -1)
        result = Recommendations(
            self._table([], []), unknown, user_id if row >= 0 else None, unknown_in_history,
            n_known=len(known),
        )  # fmt: skip
        prior = self._prior(earlier) if history else None
        if not known and not self.model.starts_sessions:
            return result
        with torch.inference_mode():
            batch = batch_of([known or [PAD]], device=device_of(self.model), users=[row])
            batch = batch._replace(lengths=(batch.items != PAD).sum(dim=1), prior=prior)
            scores = self.model.score(batch)[0]
        best = best_items(self.model, scores, known, k=k, task=task)
        return replace(result, items=self._table(*best))

    def _known(self, clicks: Sequence[object], argument: str) -> tuple[list[int], list[str]]:
        """Indices of the known items among clicks, and the unknown ids, once each."""
        require(
            isinstance(clicks, LISTS) and not isinstance(clicks, str | bytes),
            f"{argument}: a list of item ids; received {clicks!r}.",
        )
        names = [_id(click, argument) for click in clicks]
        known = [self._index[name] for name in names if name in self._index]
        return known, list(dict.fromkeys(name for name in names if name not in self._index))

    @torch.no_grad()
    def _prior(self, earlier: list[list[int]]) -> Tensor:
        """The prior (1, K) from a user's earlier sessions."""
        model = learning_from_history(self.model)
        if not earlier:
            return model.prior(model.temperature.new_zeros(1, model.n_proxies))
        sums = posteriors(model, Sessions.from_lists(earlier)).sum(dim=0, keepdim=True)
        return model.prior(sums)

    def _table(self, indices: list[int], scores: list[float]) -> pd.DataFrame:
        columns = [name for name in ("item_id", "title") if name in self.items]
        table = self.items.iloc[[index - 1 for index in indices]][columns].reset_index(drop=True)
        table.insert(0, "rank", range(1, len(table) + 1))
        return table.assign(score=pd.Series(scores, dtype="float64"))


@torch.inference_mode()
def best_items(
    model: SessionModel, scores: Tensor, clicks: Sequence[int], *, k: int, task: Task
) -> tuple[list[int], list[float]]:
    """The k items with the highest of a model's scores (V,) after these clicks, and their scores.

    Raises
    ------
    FloatingPointError
        If a score is not finite.
    """
    if not scores[1:].isfinite().all():
        raise FloatingPointError(
            f"{type(model).__name__} gave scores that are not finite; "
            "a list would mean nothing. Its weights are damaged: train again."
        )
    n_allowed = model.n_items
    if task == "unseen":
        scores[list(clicks)] = -torch.inf
        n_allowed -= len(set(clicks))
    best = scores.topk(min(k, n_allowed))
    return best.indices.tolist(), best.values.tolist()
