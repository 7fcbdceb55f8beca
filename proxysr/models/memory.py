"""Base of models that remember earlier sessions.

- In training, the states of a step's sessions are stored after the step, so that no session sees
  another one of its batch. An epoch starts with an empty memory, so that no session sees itself.
- When the model enters evaluation mode, the memory is filled from the training sessions with the
  current weights. Sessions that are scored are not stored.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import torch
from torch.nn.functional import pad

from proxysr.data.batches import SessionBatch
from proxysr.models.softmax import SoftmaxConfig, SoftmaxModel


class MemoryModel(SoftmaxModel):
    """Base of models with a memory; in training, :meth:`loss` sets ``to_remember``."""

    data_parallel = False  # each process would remember only its share of the sessions

    def __init__(self, n_items: int, config: SoftmaxConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.to_remember: Any = None

    @abstractmethod
    def forget(self) -> None:
        """Empty the memory."""

    @abstractmethod
    def remember(self, states: Any) -> None:
        """Store states of sessions in the memory."""

    @abstractmethod
    def recall(self) -> None:
        """Fill the memory from the training sessions; without these (after loading), keep it."""

    def start_epoch(self, epoch: int) -> None:
        """Forget all sessions."""
        self.forget()

    @torch.no_grad()
    def after_step(self) -> None:
        """Remember the sessions of the step."""
        if self.to_remember is not None:
            self.remember(self.to_remember)
            self.to_remember = None

    def train(self, mode: bool = True) -> Self:
        """Enter training mode, or evaluation mode after :meth:`recall`."""
        was_training = self.training
        super().train(mode)
        if was_training and not mode:
            self.recall()
        return self


def with_last_click(batch: SessionBatch) -> SessionBatch:
    """A training batch with the last click of each session, which is otherwise only a target.

    >>> batch = SessionBatch(torch.tensor([[0, 4], [5, 2]]), torch.tensor([1, 2]),
    ...     torch.tensor([[0, 9], [2, 0]]), last_items=torch.tensor([9, 7]))
    >>> with_last_click(batch).items
    tensor([[0, 4, 9],
            [5, 2, 7]])
    """
    if batch.last_items is None:
        return batch
    return batch._replace(
        items=torch.cat([batch.items, batch.last_items[:, None]], dim=1),
        lengths=batch.lengths + 1,
        targets=pad(batch.targets, (0, 1)),
        last_items=None,
    )
