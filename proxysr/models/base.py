"""The interface of every model: what the trainer, the evaluator and the analyses call.

Dim letters, used in every model file:

====  =====================================================
B     sessions of a batch
L     clicks of the longest session of a batch (left-padded)
R     targets of a batch: the positions that have a target
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
"""Row and column (R,) of the last click of each of R prefixes of a batch."""


class Loss(NamedTuple):
    """The value to minimise and its parts; all scalars on the device."""

    total: Tensor
    parts: dict[str, Tensor]


class Answer(NamedTuple):
    """Scores of R prefixes, and what the model chose for each.

    Attributes
    ----------
    tiles : (tiles, R, width)
        Scores for ranking: item ``i`` is column ``i % width`` of tile ``i // width``. They equal
        those of :meth:`SessionModel.score` up to a constant in each row.
    choices : dict
        Columns (R,) to store beside the ranks, such as the proxy of each prefix.
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
    """The model reads at most this many clicks of a session: the latest ones."""
    peeks_in_training: bool = False
    """Whether the training loss at a position may depend on later clicks (scores never do)."""
    needs_users: ClassVar[bool] = False
    """Whether the model needs to know users; it is not compared with models that do not."""
    shares_prefixes: ClassVar[bool] = False
    """Whether :meth:`answer` reads a session once for all of its prefixes."""
    starts_sessions: ClassVar[bool] = False
    """Whether the model can predict the first click of a session, from no clicks at all."""
    uses_history: ClassVar[bool] = False
    """Whether a user's earlier sessions change the scores (``SessionBatch.prior``)."""
    n_known_users: int = 0
    """The model has parameters for users 0..n_known_users - 1."""
    sized_by_data: ClassVar[tuple[str, ...]] = ()
    """Names of buffers whose size :meth:`prepare` sets; loading weights sets it, too."""

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

        Column ``PAD`` is -inf, all others are finite. Items of the prefix are not masked;
        the evaluator does that for task "unseen". The caller may change the tensor.
        """

    def answer(self, batch: SessionBatch, ends: Ends | None = None) -> Answer:
        """Scores for ranking, and :meth:`choices`; override it where one pass gives both faster.

        Parameters
        ----------
        batch : SessionBatch
        ends : int64 (R,) twice, optional
            Row and column of the last click of each prefix, for a model that ``shares_prefixes``;
            the last click of each row if left out. The column before the first click stands for
            the empty prefix.
        """
        return Answer(self.score(batch)[None], self.choices(batch))

    @classmethod
    def resolved(cls, config: Settings, train: Sessions) -> Settings:
        """The settings, with open ones (None) filled in from the training sessions."""
        return config

    @abstractmethod
    def represent(self, batch: SessionBatch) -> Tensor:
        """The vectors (B, D) that a map of the sessions shows."""

    def general_interest(self, batch: SessionBatch) -> Tensor:
        """The vectors (B, D) of the general interest, in a model that has a separate one."""
        return self.represent(batch)

    def prepare(self, train: Sessions) -> None:
        """Compute buffers from the training sessions; models that only count learn here."""

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in self.sized_by_data:
            saved = state.get(prefix + name)
            if saved is not None:
                setattr(self, name, torch.empty_like(saved, device=getattr(self, name).device))
        super()._load_from_state_dict(state, prefix, *args)

    def choices(self, batch: SessionBatch) -> dict[str, Tensor]:
        """Columns (B,) to store beside the ranks, such as the proxy of each session."""
        return {}


class LearnedModel(SessionModel):
    """A model with parameters that are fitted by gradient steps."""

    data_parallel: bool = True
    """Whether several processes can train it together, each on a share of every batch. The mean of
    the losses of the shares must equal the loss of the batch; see :meth:`loss`."""
    batches: ClassVar[type[TrainingBatches]] = TrainingBatches
    """Makes the training batches of an epoch."""
    learning_rate: ClassVar[float] = 2e-3
    """Of Adam, for a training that names none; see :meth:`default_learning_rate`."""
    averaging: ClassVar[bool] = False
    """Whether a training that does not say keeps an average of the weights over epochs."""
    step_sizes: Mapping[str, float] = MappingProxyType({})
    """Parameter names to factors of the learning rate; 1 for parameters not named."""
    training_length: int | None = None
    """Training reads the latest clicks of a session, this many; ``max_length`` if None."""
    schedule_epochs: int = 0
    """Epochs until annealing ends; early stopping waits for that."""

    @abstractmethod
    def loss(self, batch: SessionBatch) -> Loss:
        """The loss over all targets of a batch.

        A mean over targets is ``terms.sum() / batch.n_targets``, and one over sessions is
        ``terms.sum() / batch.n_sessions``. With several processes, a batch is one process's share
        of a larger batch, and these numbers differ from a count in the share
        (:class:`TrainingBatches`).
        """

    @classmethod
    def default_learning_rate(cls, config: Settings) -> float:
        """The ``learning_rate``, unless it depends on other settings."""
        return cls.learning_rate

    def start_epoch(self, epoch: int) -> None:
        """Called before epoch 0, 1, …; keep annealed values in buffers."""

    def calibrate(self, valid: Sessions) -> None:
        """Fit numbers on the validation sessions, such as a temperature; keep them in buffers.

        Called after each epoch, before evaluation, in evaluation mode and without gradients.
        With several processes, each one calls it with the same sessions.
        """

    def after_step(self) -> None:
        """Called after every optimizer step; apply constraints on tables here.

        Gradients are still there. With a sparse gradient, the step has moved only its rows.
        """
