"""The history of a training: metrics and weights by epoch; no file I/O."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor

from proxysr.findings import Metrics, worth
from proxysr.models.base import SessionModel

State = dict[str, Tensor]
Snapshots = MutableMapping[int, State]


@dataclass(frozen=True)
class Checkpoint:
    """The state after an epoch that training can resume from."""

    model: State
    optimizer: State
    """Moments and step counts, as ``PARAMETER.KEY``."""
    rows: list[dict[str, float]]
    """One row of the history an epoch."""


@dataclass
class History:
    """The history of a training: one row an epoch, and the weights of some epochs."""

    rows: list[dict[str, float]] = field(default_factory=list)
    snapshots: Snapshots = field(default_factory=dict)
    """Weights by epoch, on the CPU; at the end for ``half_epoch`` and ``best_epoch``."""
    counters: dict[str, Metrics] = field(default_factory=dict)
    """At the end, validation metrics of models that only count, by name."""
    findings: list[str] = field(default_factory=list)
    """At the end, sentences on the result, for models that learn."""

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a table.

        Columns: ``epoch``; ``temperature`` (ProxySR); ``loss`` and its parts, means over the
        batches; ``R@20``, ``MRR@20`` on validation; for models with proxies, the columns of
        :func:`~proxysr.findings.use_of_proxies`; ``train_seconds``, ``eval_seconds``,
        ``sessions_per_second``.

        ``violated`` (ProxySR) is the share of hinge terms that are positive. With
        ``target_is_negative``, a target that is among its own negatives always violates the
        margin, so the share need not reach 0.
        """
        frame = pd.DataFrame(self.rows)
        return frame.astype({"epoch": "int64"}) if len(frame) else frame

    @property
    def best_epoch(self) -> int:
        """The epoch with the highest validation recall, of equal ones that with the highest MRR.

        Recall is often equal where 20 items are many: all targets are found, in whatever order.
        """
        if not self.rows:
            raise ValueError("No epoch has been trained yet, so none is the best.")
        return max(range(len(self.rows)), key=lambda epoch: (*worth(self.rows[epoch]), -epoch))

    @property
    def half_epoch(self) -> int:
        """The epoch half-way to the best one."""
        return self.best_epoch // 2

    def keep_weights(self, state: State) -> None:
        """Store the weights of the latest epoch, and delete those that are not needed any more.

        If a later epoch e becomes the best, e // 2 is half-way, so the latest half is kept.
        """
        now = len(self.rows) - 1
        self.snapshots[now] = {
            name: tensor.detach().cpu().clone() for name, tensor in state.items()
        }
        for epoch in set(self.snapshots) - {self.best_epoch, self.half_epoch}:
            if epoch < (now + 1) // 2:
                del self.snapshots[epoch]


@dataclass(frozen=True)
class TrainState:
    """Handed to ``on_epoch`` after every epoch."""

    model: SessionModel
    optimizer: torch.optim.Optimizer | None
    history: History

    def checkpoint(self) -> Checkpoint:
        """The checkpoint for :func:`proxysr.training.fit` to resume from."""
        moments = {}
        if self.optimizer is not None:
            for name, parameter in self.model.named_parameters():
                for key, value in self.optimizer.state[parameter].items():
                    moments[f"{name}.{key}"] = value
        return Checkpoint(self.model.state_dict(), moments, list(self.history.rows))

    def restore(self, saved: Checkpoint, *, with_weights: bool) -> None:
        """Load a checkpoint; ``with_weights``: also check that the needed snapshots exist."""
        self.model.load_state_dict(saved.model)
        self.history.rows.extend(dict(row) for row in saved.rows)
        needed = {self.history.best_epoch, self.history.half_epoch}
        missing = needed - set(self.history.snapshots)
        if missing and with_weights:
            raise ValueError(f"Cannot resume: the weights of epoch {min(missing)} are missing.")
        if self.optimizer is None:
            return
        for name, parameter in self.model.named_parameters():
            self.optimizer.state[parameter] = {
                # the number of steps, too: fused steps read it where the parameter is
                key.removeprefix(f"{name}."): value.clone().to(parameter.device)
                for key, value in saved.optimizer.items()
                if key.rpartition(".")[0] == name
            }
