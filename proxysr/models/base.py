"""What every model is to the trainer, the evaluator and the analysis.

Dim letters, used in every model file:

====  =====================================================
B     sessions of a batch
L     clicks of the longest session of a batch (left-padded)
R     targets of a batch: the positions that have one
D     embedding size
K     proxies
V     items and the padding, ``n_items + 1``
====  =====================================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from proxysr.config import Settings
from proxysr.data.batches import SessionBatch, TrainingBatches
from proxysr.data.sessions import Sessions

Ends = tuple[Tensor, Tensor]
"""Row and column (R,) each of the clicks after which a model is asked."""


class Loss(NamedTuple):
    """The value to minimise and the parts it was made of; all scalars on the device."""

    total: Tensor
    parts: dict[str, Tensor]


class Answer(NamedTuple):
    """Scores and choices of a batch.

    Attributes
    ----------
    tiles : (tiles, R, width)
        Scores, but for a number that may be added to all of a row: item ``i`` is column
        ``i % width`` of tile ``i // width``. Ranks are counted in them.
    choices : dict
        Columns (R,) to be kept beside the ranks, such as the proxy a session chose.
    """

    tiles: Tensor
    choices: dict[str, Tensor]


class SessionModel(nn.Module, ABC):
    """A model that ranks all items given the clicks of an anonymous session.

    ``Model(n_items, Model.Config(...))`` builds it on the CPU; it is moved with
    ``.to(device)``. It knows no device and no global settings.

    Parameters
    ----------
    n_items : int
        Items are 1..n_items.
    config : Settings, optional
        An instance of the class's ``Config``; its defaults if left out.
    """

    Config: ClassVar[type[Settings]]
    max_length: int = 50
    """Clicks of a session that the model looks at: its latest ones."""
    peeks_in_training: bool = False
    """Whether the training loss of a position may depend on later clicks (scores never do)."""
    knows_users: ClassVar[bool] = False
    """Whether it is at a loss without users, so that it can't be held against those without."""
    shares_prefixes: ClassVar[bool] = False
    """Whether :meth:`answer` reads a session once for all of its prefixes."""
    starts_sessions: ClassVar[bool] = False
    """Whether it can say what a session begins with, from no clicks at all."""
    uses_history: ClassVar[bool] = False
    """Whether a person's earlier sessions change its scores (``SessionBatch.prior``)."""
    n_known_users: int = 0
    """Users 0..n_known_users - 1 that it learnt of by name."""
    sized_by_data: ClassVar[tuple[str, ...]] = ()
    """Buffers that :meth:`prepare` gives their size; saved ones bring it along."""

    def __init__(self, n_items: int, config: Settings | None = None) -> None:
        super().__init__()
        if n_items < 1:
            raise ValueError(f"A model needs at least one item; received n_items = {n_items}.")
        if config is not None and not isinstance(config, self.Config):
            raise TypeError(
                f"{type(self).__name__} takes a {self.Config.__qualname__}; "
                f"received a {type(config).__qualname__}."
            )
        self.n_items = n_items
        self.config = self.Config() if config is None else config

    @abstractmethod
    def score(self, batch: SessionBatch) -> Tensor:
        """Scores (B, V) of each item as the next click; higher is better.

        Column ``PAD`` is -inf, all others are finite. Items of the prefix are
        not masked: that is the task's business. The caller may change the tensor.
        """

    def answer(self, batch: SessionBatch, ends: Ends | None = None) -> Answer:
        """Scores and :meth:`choices`, in one pass where a model has a faster way to both.

        Parameters
        ----------
        batch : SessionBatch
        ends : int64 (R,) twice, optional
            Row and column of the clicks after which to ask a model that ``shares_prefixes``;
            after the last click of each row if left out. The column before the first click asks
            what the session begins with.
        """
        return Answer(self.score(batch)[None], self.choices(batch))

    @classmethod
    def settled(cls, config: Settings, train: Sessions) -> Settings:
        """The same settings, with what they leave open decided by the training sessions."""
        return config

    @abstractmethod
    def represent(self, batch: SessionBatch) -> Tensor:
        """The vectors (B, D) that a map of the sessions should show."""

    def general_interest(self, batch: SessionBatch) -> Tensor:
        """The vectors (B, D) that stand for general interest, if a model tells it apart."""
        return self.represent(batch)

    def prepare(self, train: Sessions) -> None:
        """Take facts of the training sessions into buffers; models that only count learn here."""

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in self.sized_by_data:
            saved = state.get(prefix + name)
            if saved is not None:
                setattr(self, name, torch.empty_like(saved, device=getattr(self, name).device))
        super()._load_from_state_dict(state, prefix, *args)

    def choices(self, batch: SessionBatch) -> dict[str, Tensor]:
        """Columns (B,) to be kept beside the ranks, such as the proxy a session chose."""
        return {}


class LearnedModel(SessionModel):
    """A model with parameters that are fitted by gradient steps."""

    data_parallel: bool = True
    """Whether several processes can train it together, each on a share of every batch: the mean of
    the losses of the shares must be the loss of the batch, see :meth:`loss`."""
    batches: ClassVar[type[TrainingBatches]] = TrainingBatches
    """The order that its training sessions come in."""
    learning_rate: ClassVar[float] = 2e-3
    """Step size of Adam if the training names none."""
    step_sizes: Mapping[str, float] = MappingProxyType({})
    """Names of parameters that take larger or smaller steps, with factors of the learning rate."""
    training_length: int | None = None
    """Clicks of a training session that it is fitted to, its latest ones; if None, all it reads."""
    schedule_epochs: int = 0
    """Epochs until nothing is annealed any more; training is not stopped before."""

    @abstractmethod
    def loss(self, batch: SessionBatch) -> Loss:
        """The loss over all targets of a batch.

        A mean over targets is ``terms.sum() / batch.n_targets``, one over sessions
        ``terms.sum() / batch.n_sessions``: where a batch is a share of a larger one, these are not
        the numbers of its own targets and sessions (:class:`TrainingBatches`).
        """

    def start_epoch(self, epoch: int) -> None:
        """Called before epoch 0, 1, …; anything annealed is kept in buffers."""

    def calibrate(self, valid: Sessions) -> None:
        """Fit what should be judged on sessions that were not trained on; kept in buffers.

        Called after each epoch, before it is evaluated and kept, in evaluation mode and without
        gradients. Each of several processes calls it with the same sessions.
        """

    def after_step(self) -> None:
        """Called after every optimizer step; constraints on tables go here.

        Gradients are still there: of a sparse one, the step moved no other rows.
        """
