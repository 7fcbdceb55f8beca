"""What models share that carry something from one session to the next.

- In training, what the sessions of a step leave behind is remembered after the step, so that no
  session sees another one of its batch; an epoch starts with nothing, so that none sees itself.
- In evaluation, it is what the training sessions leave behind, read anew with the weights as they
  are when the model enters evaluation mode. Sessions that are scored leave nothing.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import torch
from torch.nn.functional import pad

from proxysr.data.batches import SessionBatch
from proxysr.models.softmax import SoftmaxConfig, SoftmaxModel


class MemoryModel(SoftmaxModel):
    """Base of these models; :meth:`loss` sets ``left_behind`` in training."""

    data_parallel = False  # each process would remember its share of the sessions only

    def __init__(self, n_items: int, config: SoftmaxConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.left_behind: Any = None

    @abstractmethod
    def forget(self) -> None:
        """Empty the memory."""

    @abstractmethod
    def remember(self, left_behind: Any) -> None:
        """Take into memory what some sessions leave behind."""

    @abstractmethod
    def recall(self) -> None:
        """Fill the memory from the training sessions; without any, as after loading, keep it."""

    def start_epoch(self, epoch: int) -> None:
        """Forget all sessions."""
        self.forget()

    @torch.no_grad()
    def after_step(self) -> None:
        """Remember the sessions of the step."""
        if self.left_behind is not None:
            self.remember(self.left_behind)
            self.left_behind = None

    def train(self, mode: bool = True) -> Self:
        """Enter training mode, or evaluation mode with the training sessions remembered."""
        was_training = self.training
        super().train(mode)
        if was_training and not mode:
            self.recall()
        return self


def with_last_click(batch: SessionBatch) -> SessionBatch:
    """The sessions of a training batch with their last clicks, which are only targets in it.

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
