"""HRNN: one recurrent network reads a session, a second one reads a user's sessions.

Idea
----
The sessions of a user say something about the next one. When a session ends, its last state
goes into the user's state, and the next session of this user starts from there: the user's
state sets the first state of the session's network ("init"), and may also be read beside
every click ("all"). Whoever can group sessions can take the place of the user: Table 6 of the
ProxySR paper puts proxies there.

Reference
---------
Massimo Quadrana, Alexandros Karatzoglou, Balázs Hidasi, Paolo Cremonesi: Personalizing
Session-based Recommendations with Hierarchical Recurrent Neural Networks. RecSys 2017.
https://doi.org/10.1145/3109859.3109896

Where the equations are
-----------------------
``c_m = GRU_usr(s_m, c_{m-1})``: :meth:`HRNN.user_state`; ``s_0 = tanh(W c_m + b)`` and
``s_n = GRU_ses(x_n, s_{n-1}[, c_m])``: :meth:`HRNN.read`.

What is carried
---------------
Tables keep, for every group, the last state of its latest session and the group's state before
that session. The group's state now is computed from the two when its next session comes, so
that the loss reaches the user's network; further back, gradients are not followed.

- In training, batches are in the order of :class:`proxysr.data.batches.GroupBatches`, and
  an epoch starts with empty tables.
- In evaluation, the tables are those after all training sessions, read anew with the weights as
  they are when the model enters evaluation mode. Sessions that are scored, on validation
  or test, carry nothing.
- The first session of a group starts from zero, as in GRU4Rec; so does every session of unknown
  group, which leaves nothing behind.

The last click of a training session is part of its last state, though it is only a target in it.

Groups by proxies
-----------------
With ``proxysr``, the model holds a trained ProxySR that is not changed: a session to be scored
belongs to the group of the proxy that its clicks so far choose, so that it may change its
group from click to click and never sees the target. In training, a session's group
is the given one; where this is the proxy of the whole session, its targets had a say in it.

Differences from the paper
--------------------------
- The loss is the cross-entropy over all items; embeddings of the items that are read are also
  those that are scored. The paper uses TOP1 over the other targets of a mini-batch. Without
  groups, this model is :class:`proxysr.models.gru4rec.GRU4Rec` of one layer, as it is here.
- A step is a batch of whole sessions of different groups, and the gradient is followed through
  all their clicks. The paper advances parallel sessions by one click a step.
- Both networks have states as long as the embeddings.
- The first session of a group starts from zero, as in the authors' program, not from ``tanh(b)``.
- The reset gate is that of PyTorch's GRU; see :mod:`proxysr.models.gru4rec`.

Differences from the authors' program
-------------------------------------
As above, and:

- In "all", theirs lets the user's state into the gates of the session's network, but not into
  its candidate state; here, as in the paper, it is an input like the click.
- Dropped entries of a state are dropped for what reads it. In theirs the next click, or the next
  session, sees the state with its dropped entries, too.
- Theirs goes on updating the users' states with the sessions that it evaluates.
- Weights start as PyTorch draws them; the optimizer is the trainer's Adam.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from proxysr.config import Share, require
from proxysr.data.batches import GroupBatches, SessionBatch
from proxysr.data.sessions import Sessions
from proxysr.models.base import Ends, Loss
from proxysr.models.proxysr_config import ProxySRConfig
from proxysr.models.proxysr_variants import ProxySR
from proxysr.models.softmax import (
    SoftmaxConfig,
    SoftmaxModel,
    left_aligned,
    shifted,
    targets_of,
)

READ_TOGETHER = 256
"""Most training sessions that are read at a time to fill the tables for evaluation."""


class HRNNConfig(SoftmaxConfig):
    """Hyper-parameters of HRNN; both states are as long as the embeddings."""

    variant: Literal["init", "all"] = "init"
    """Whether the user's state only sets a session's first state, or is also read at all clicks."""
    dropout_user: Share = 0.0
    """Share of the entries of the user's state that is dropped in training."""
    dropout_session: Share = 0.0
    """Share of the entries of the session's vector that is dropped in training."""
    dropout_init: Share = 0.0
    """Share of the entries of a session's first state that is dropped in training."""
    proxysr: tuple[str, ...] = ()
    """Settings of a ProxySR that chooses the group of a session to be scored, each as
    ``NAME=VALUE``; empty: the groups are the given ones, such as known users."""

    def check(self) -> None:
        """Check ranges."""
        super().check()
        for setting in self.proxysr:
            require("=" in setting, f"proxysr lists settings as NAME=VALUE; received {setting!r}.")
        require(
            not self.proxysr or self.proxysr_config.chooses,
            "proxysr are settings of a ProxySR that chooses no proxies: nothing would be grouped.",
        )

    @property
    def proxysr_config(self) -> ProxySRConfig:
        """What ``proxysr`` says."""
        settings = (setting.split("=", 1) for setting in self.proxysr)
        return ProxySRConfig.from_dict({name.strip(): value for name, value in settings})


class Ended(NamedTuple):
    """What sessions leave behind: their last states and their groups' states before, (B, D)."""

    users: Tensor
    session: Tensor
    user: Tensor


class HRNN(SoftmaxModel):
    """The model; see the module's docstring.

    Parameters
    ----------
    n_items : int
    config : HRNNConfig, optional

    Attributes
    ----------
    latest_session : (G + 1, D)
        ``s_m``, the last state of each group's latest session; the last row stands for all groups
        that had none.
    user_before : (G + 1, D)
        ``c_{m-1}``, each group's state before that session.
    has_session : bool (G + 1,)
        Whether there is one.
    """

    Config = HRNNConfig
    config: HRNNConfig
    batches = GroupBatches
    knows_users = True
    data_parallel = False  # it carries states from session to session, of all groups
    sized_by_data = ("latest_session", "user_before", "has_session")
    latest_session: Tensor
    user_before: Tensor
    has_session: Tensor

    def __init__(self, n_items: int, config: HRNNConfig | None = None) -> None:
        super().__init__(n_items, config)
        c = self.config
        d = c.embedding_dim
        self.session_gru = nn.GRU(2 * d if c.variant == "all" else d, d, batch_first=True)
        self.user_gru = nn.GRUCell(d, d)
        self.first_state = nn.Linear(d, d)
        self.item_bias = nn.Parameter(torch.zeros(n_items + 1))
        self.dropout_user = nn.Dropout(c.dropout_user)
        self.dropout_session = nn.Dropout(c.dropout_session)
        self.dropout_init = nn.Dropout(c.dropout_init)
        self.grouping: ProxySR | None = None
        if c.proxysr:
            self.grouping = ProxySR(n_items, c.proxysr_config).eval().requires_grad_(False)
        self.register_buffer("latest_session", torch.zeros(1, d))
        self.register_buffer("user_before", torch.zeros(1, d))
        self.register_buffer("has_session", torch.zeros(1, dtype=torch.bool))
        self._history: GroupBatches | None = None
        self._ended: Ended | None = None

    # -- equations -------------------------------------------------------------------------

    def user_state(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """``c_m`` (B, D) of groups (B,), and whether (B, 1) they had a session; zero if not."""
        n = len(self.has_session) - 1
        row = torch.where((users >= 0) & (users < n), users, n)
        state = self.user_gru(self.latest_session[row], self.user_before[row])
        has_one = self.has_session[row, None]
        return torch.where(has_one, state, 0.0), has_one

    def read(self, batch: SessionBatch) -> tuple[Tensor, Tensor]:
        """States (B, L, D) after every click, padding behind, and their groups' (B, D) before."""
        user, has_one = self.user_state(_users(batch))
        seen = self.dropout_user(user)
        first = self.dropout_init(torch.tanh(self.first_state(seen)))
        first = torch.where(has_one, first, 0.0)
        clicks = self.embed(left_aligned(batch))
        if self.config.variant == "all":
            clicks = torch.cat([clicks, seen[:, None].expand_as(clicks)], dim=2)
        states, _ = self.session_gru(clicks, first[None])
        return states, user

    # -- the contract ----------------------------------------------------------------------

    @property
    def biases(self) -> Tensor:
        """What is added to the scores of the items, (V,)."""
        return self.item_bias

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """State (R, D) of the session after the clicks at ``ends``."""
        states, _ = self.read(batch)
        return self.dropout_session(states[shifted(batch, ends)])  # type: ignore[no-any-return]

    def loss(self, batch: SessionBatch) -> Loss:
        """Mean cross-entropy over all targets; a batch holds at most one session of a group."""
        ends = targets_of(batch)
        over = ended(batch)
        states, user = self.read(over)
        if self.training:
            self._ended = _left(over, states, user)
        vectors = self.dropout_session(states[shifted(batch, ends)])
        return Loss(self.cross_entropy(vectors, batch.targets[ends]) / batch.n_targets, {})

    def vectors(self, batch: SessionBatch) -> Tensor:
        """Vectors (B, D) of the sessions, given their clicks and the groups they belong to."""
        return super().vectors(self._grouped(batch))

    def choices(self, batch: SessionBatch) -> dict[str, Tensor]:
        """The proxy that each session belongs to, and its weight, if proxies make the groups."""
        return {} if self.grouping is None else self.grouping.choices(batch)

    def _grouped(self, batch: SessionBatch) -> SessionBatch:
        """The batch with the groups that its clicks choose."""
        if self.grouping is None:
            return batch
        return batch._replace(users=self.grouping.choices(batch)["proxy"])

    # -- what is carried -------------------------------------------------------------------

    def prepare(self, train: Sessions) -> None:
        """Make room for the groups of the training sessions, which are read before evaluation."""
        super().prepare(train)
        n = int(train.user_index.max(initial=-1)) + 1
        for name in self.sized_by_data:
            table: Tensor = getattr(self, name)
            setattr(self, name, table.new_zeros(n + 1, *table.shape[1:]))
        self._history = GroupBatches(
            train.select(train.user_index >= 0),
            task="repeat",
            min_prefix=1,
            max_length=self.max_length,
            batch_size=READ_TOGETHER,
            seed=0,
            device=self.latest_session.device,
        )
        if not self.training:
            self._recall()

    def start_epoch(self, epoch: int) -> None:
        """Forget all sessions."""
        self.has_session = torch.zeros_like(self.has_session)

    @torch.no_grad()
    def after_step(self) -> None:
        """Carry what the sessions of the step leave behind."""
        if self._ended is not None:
            self._carry(self._ended)
            self._ended = None

    def train(self, mode: bool = True) -> Self:
        """Enter training mode, or evaluation mode with the training sessions carried."""
        was_training = self.training
        super().train(mode)
        if self.grouping is not None:
            self.grouping.eval()
        if was_training and not mode:
            self._recall()
        return self

    @torch.no_grad()
    def _recall(self) -> None:
        """Read the training sessions; a loaded model, which has none, keeps its tables."""
        if self._history is not None:
            self.start_epoch(0)
            for batch in self._history.epoch(0):
                over = ended(batch)
                self._carry(_left(over, *self.read(over)))

    def _carry(self, ended: Ended) -> None:
        carried = (ended.users >= 0) & (ended.users < len(self.has_session) - 1)
        row = ended.users[carried]
        self.latest_session[row] = ended.session[carried]
        self.user_before[row] = ended.user[carried]
        self.has_session[row] = True


def ended(batch: SessionBatch) -> SessionBatch:
    """The sessions of a training batch with their last clicks, which are only targets in it.

    >>> batch = SessionBatch(torch.tensor([[0, 4], [5, 2]]), torch.tensor([1, 2]),
    ...     torch.tensor([[0, 9], [2, 0]]), last_items=torch.tensor([9, 7]))
    >>> ended(batch).items
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


def settings_text(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Settings as ``NAME=VALUE``, as :attr:`HRNNConfig.proxysr` lists them."""
    return tuple(f"{name}={value}" for name, value in settings.items())


def _users(batch: SessionBatch) -> Tensor:
    return torch.full_like(batch.lengths, -1) if batch.users is None else batch.users


def _left(batch: SessionBatch, states: Tensor, user: Tensor) -> Ended:
    return Ended(_users(batch), states[shifted(batch, None)].detach(), user.detach())
