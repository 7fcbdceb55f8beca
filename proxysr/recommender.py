"""Recommend for a new session: raw ids in, raw ids and titles out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from proxysr.config import require
from proxysr.data.batches import batch_of
from proxysr.data.sessions import Task, check_task
from proxysr.evaluation import device_of
from proxysr.models import SessionModel
from proxysr.runs import RunDir


@dataclass(frozen=True, eq=False)
class Recommendations:
    """The answer to one session.

    Attributes
    ----------
    items : DataFrame
        ``rank`` (from 1), ``item_id``, ``score`` (higher is better), and ``title`` where known;
        empty if no click was on a known item.
    unknown : list of str
        Clicked ids that the model was not trained on; they were left out.
    user : str or None
        The known user whose preferences took part; None if the session counted as anonymous.
    """

    items: pd.DataFrame
    unknown: list[str]
    user: str | None = None


class Recommender:
    """A trained model that speaks the caller's item ids.

    Parameters
    ----------
    model : SessionModel
    items : DataFrame
        Row ``i - 1`` describes item index i, with ``item_id`` and perhaps ``title``.
    users : DataFrame, optional
        Row ``u`` describes user index u, with ``user_id``: users that the model learnt of by name,
        as ProxySR with ``n_users`` does. Left out if it knows none.
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
        names = [] if users is None else users["user_id"].astype(str).tolist()
        self._users = {name: row for row, name in enumerate(names)}

    @classmethod
    def load(cls, run: str | Path | RunDir, device: str = "cpu") -> Recommender:
        """The recommender of a run, at its best epoch."""
        run = run if isinstance(run, RunDir) else RunDir(run)
        return cls(run.model("best", device), run.items, run.users)

    @property
    def n_users(self) -> int:
        """Number of users that the model learnt of by name."""
        return len(self._users)

    def recommend(
        self,
        clicks: Sequence[object],
        k: int = 20,
        task: Task = "unseen",
        *,
        user: object | None = None,
    ) -> Recommendations:
        """The k items most likely to be clicked next.

        Parameters
        ----------
        clicks : sequence
            Raw ids of the clicked items, oldest first; compared as text, trimmed as in the log.
        k : int
            Length of the list.
        task : {"unseen", "repeat"}
            "unseen" leaves out the items that were clicked already.
        user : optional
            Raw id of the user, if known. It matters if the model learnt of this user by name;
            else the session counts as anonymous, and so does the answer's ``user``.

        Raises
        ------
        ConfigError
            If there is no click, ``k`` is below 1, or the task is unknown.
        FloatingPointError
            If a score is not finite.
        """
        check_task(task)
        require(len(clicks) > 0, "A session needs at least one click; received none.")
        require(k >= 1, f"k is at least 1; received {k}.")
        names = [str(click).strip() for click in clicks]
        unknown = list(dict.fromkeys(name for name in names if name not in self._index))
        known = [self._index[name] for name in names if name in self._index]
        who = None if user is None else str(user).strip()
        row = -1 if who is None else self._users.get(who, -1)
        told = who if row >= 0 else None
        if not known:
            return Recommendations(self._table([], []), unknown, told)
        with torch.inference_mode():
            batch = batch_of([known], device=device_of(self.model), users=[row])
            scores = self.model.score(batch)[0]
        best = best_items(self.model, scores, known, k=k, task=task)
        return Recommendations(self._table(*best), unknown, told)

    def _table(self, indices: list[int], scores: list[float]) -> pd.DataFrame:
        columns = [name for name in ("item_id", "title") if name in self.items]
        table = self.items.iloc[[index - 1 for index in indices]][columns].reset_index(drop=True)
        table.insert(0, "rank", range(1, len(table) + 1))
        return table.assign(score=pd.Series(scores, dtype="float64"))


@torch.inference_mode()
def best_items(
    model: SessionModel, scores: Tensor, clicks: Sequence[int], *, k: int, task: Task
) -> tuple[list[int], list[float]]:
    """The k items with the highest of a model's scores (V,) after some clicks, and these scores.

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
