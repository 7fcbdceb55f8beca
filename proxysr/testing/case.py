"""A model with its settings: the input of all checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from proxysr.config import Settings
from proxysr.data.batches import SessionBatch, TrainingBatches
from proxysr.models.base import LearnedModel, SessionModel
from proxysr.testing.planted import N_ITEMS, TRAINING
from proxysr.training import TrainConfig

Finds = Literal["order", "cycle", "nothing"]
TRAIN = TrainConfig(
    epochs=12, learning_rate=1e-2, batch_size=32, task="repeat", device="cpu", seed=1
)


@dataclass(frozen=True)
class Case:
    """A model with its settings, and what it can find; see :func:`~proxysr.testing.check_model`."""

    model: type[SessionModel]
    config: Settings | None = None
    finds: Finds = "order"
    min_recall: float = 0.85
    train: TrainConfig = TRAIN

    @property
    def n_candidates(self) -> int:
        """Length of the list in which the target should be; a cycle has ten items."""
        return 10 if self.finds == "cycle" else 5

    def build(self, seed: int = 0) -> SessionModel:
        """The new model in training mode; the caller's random state is kept."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.model(N_ITEMS, self.config)

    def prepared(self) -> SessionModel:
        """The model in evaluation mode, after it has seen the training sessions."""
        model = self.build()
        model.prepare(TRAINING)
        return model.eval()

    def learner(self) -> tuple[LearnedModel, SessionBatch]:
        """The model in training mode, and a batch of all training sessions."""
        model = self.prepared().train()
        if not isinstance(model, LearnedModel):
            raise TypeError(f"{type(model).__name__} is not a LearnedModel.")
        batches = TrainingBatches(
            TRAINING, task="repeat", min_prefix=1, max_length=model.max_length, batch_size=99,
            seed=0, device="cpu",
        )  # fmt: skip
        return model, next(batches.epoch(0))


Check = Callable[[Case], None]
"""Raises if a model breaks the rule in the check's docstring."""


def expect(ok: object, received: str) -> None:
    """Raise ``AssertionError`` with what was received, unless ``ok``."""
    if not ok:
        raise AssertionError(received)


def same(
    received: Tensor, expected: Tensor, what: str, *, rtol: float = 1e-5, atol: float = 1e-6
) -> None:
    """Raise ``AssertionError`` unless two tensors are equal up to rounding."""
    torch.testing.assert_close(
        received, expected, rtol=rtol, atol=atol, msg=lambda m: f"{what}: {' '.join(m.split())}"
    )
