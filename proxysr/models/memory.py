"""Base of models that remember earlier sessions, and batches for those that do so by group.

- In training, the states of a step's sessions are stored after the step, so that no session sees
  another one of its batch. An epoch starts with an empty memory, so that no session sees itself.
- When the model enters evaluation mode, the memory is filled from the training sessions with the
  current weights. Sessions that are scored are not stored.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import pad

from proxysr.data.batches import SessionBatch, TrainingBatches
from proxysr.data.sessions import Sessions
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


class GroupBatches(TrainingBatches):
    """Batches for models that remember earlier sessions of a group (such as a user).

    The groups are those of ``Sessions.user_index``; a session of unknown group is its own group.
    Each group's sessions come in time order, and never two of them in one batch. Groups are
    shuffled in every epoch and laid one after the other along lanes; where a lane is full, the
    rest of its last group goes to the start of the next one (McNaughton's rule). So the number of
    batches is minimal, and all are of about the same size: ``batch_size`` sessions, or fewer if the
    largest group has more sessions than there would be batches.

    Parameters are those of :class:`TrainingBatches`; ``bucket_batches`` has no effect.
    """

    def __init__(self, sessions: Sessions, **options: Any) -> None:
        super().__init__(sessions, **options)
        users = sessions.user_index[self.rows].astype(np.int64)
        own_group = users.max(initial=-1) + 1 + np.arange(len(users))
        _, self.group, sizes = np.unique(
            np.where(users < 0, own_group, users), return_inverse=True, return_counts=True
        )
        self.sizes = sizes

    def __len__(self) -> int:
        """Number of batches of an epoch; with a ``half_life``, the most it can have."""
        return max(super().__len__(), int(self.sizes.max(initial=0)))

    def order(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """Which entries of ``rows`` make up each batch of ``epoch``, in the order of time."""
        if not len(self.rows):
            return []
        rng = np.random.default_rng([self.seed, epoch])
        place = rng.permutation(len(self.sizes))[self.group]
        laid = self._taken(np.argsort(place, kind="stable"), rng)  # group by group, in time order
        largest = int(np.bincount(place[laid]).max())
        n_steps = max(largest, -(-len(laid) // self.batch_size))
        step = np.arange(len(laid)) % n_steps  # along the lanes, each as long as the epoch
        step = step[np.lexsort((step, place[laid]))]  # a group that is split starts in time, too
        ends = np.cumsum(np.bincount(step, minlength=n_steps))
        return np.split(laid[np.argsort(step, kind="stable")], ends[:-1])
