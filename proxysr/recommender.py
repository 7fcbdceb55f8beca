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
    """

    items: pd.DataFrame
    unknown: list[str]


class Recommender:
    """A trained model that speaks the caller's item ids.

    Parameters
    ----------
    model : SessionModel
    items : DataFrame
        Row ``i - 1`` describes item index i, with ``item_id`` and perhaps ``title``.
    """

    def __init__(self, model: SessionModel, items: pd.DataFrame) -> None:
        require(
            len(items) == model.n_items,
            f"The items table has {len(items)} rows, the model knows {model.n_items} items.",
        )
        self.model = model.eval()
        self.items = items
        ids = items["item_id"].astype(str)
        self._index = {item_id: row for row, item_id in enumerate(ids, start=1)}

    @classmethod
    def load(cls, run: str | Path | RunDir, device: str = "cpu") -> Recommender:
        """The recommender of a run, at its best epoch."""
        run = run if isinstance(run, RunDir) else RunDir(run)
        return cls(run.model("best", device), run.items)

    def recommend(
        self, clicks: Sequence[object], k: int = 20, task: Task = "unseen"
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
        if not known:
            return Recommendations(self._table([], []), unknown)
        with torch.inference_mode():
            scores = self.model.score(batch_of([known], device=device_of(self.model)))[0]
        best = best_items(self.model, scores, known, k=k, task=task)
        return Recommendations(self._table(*best), unknown)

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
