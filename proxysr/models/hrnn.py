"""HRNN: one recurrent network reads a session, a second one reads a user's sessions.

Idea
----
When a session ends, its last state goes into the user's state, which sets the first state of this
user's next session ("init") and may also be read beside every click ("all"). Whatever groups
sessions can take the place of the user: Table 6 of the ProxySR paper puts proxies there.

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
that session; when they are written and read is said in :mod:`proxysr.models.memory`. The group's
state now is computed from the two when its next session comes, so that the loss reaches the
user's network; further back, gradients are not followed. The first session of a group starts from
zero, as in GRU4Rec; so does every session of unknown group, which leaves nothing behind. The last
click of a training session is part of its last state, though it is only a target in it.

With ``proxysr``, a trained ProxySR, which is not changed, chooses the group of a session to be
scored by its clicks so far. In training, a session's group is the given one; where this is the
proxy of the whole session, its targets had a say in it.

Differences from the paper
--------------------------
- The loss is the cross-entropy over all items, and the items that are read and scored have the same
  embeddings; the paper uses TOP1 over the other targets of a mini-batch. Without groups, this
  model is :class:`proxysr.models.gru4rec.GRU4Rec` of one layer.
- The sessions of a step are of different groups; the gradient is followed through all their clicks.
- Both networks have states as long as the embeddings.
- The first session of a group starts from zero, as in the authors' program, not from ``tanh(b)``.

Differences from the authors' program
-------------------------------------
As above, and:

- In "all", theirs lets the user's state into the gates of the session's network, but not into
  its candidate state; here, as in the paper, it is an input like the click.
- Theirs drops entries of a state also for the next click, or the next session.
- Theirs goes on updating the users' states with the sessions that it evaluates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from proxysr.config import Share, require
from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import Sessions
from proxysr.models.base import Ends, Loss
from proxysr.models.memory import GroupBatches, MemoryModel, with_last_click
from proxysr.models.proxysr_config import ProxySRConfig
from proxysr.models.proxysr_variants import ProxySR
from proxysr.models.softmax import SoftmaxConfig, left_aligned, shifted, targets_of

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
        """The settings in ``proxysr``."""
        settings = (setting.split("=", 1) for setting in self.proxysr)
        return ProxySRConfig.from_dict({name.strip(): value for name, value in settings})


def settings_text(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Settings as ``NAME=VALUE``, as :attr:`HRNNConfig.proxysr` lists them."""
    return tuple(f"{name}={value}" for name, value in settings.items())


class HRNN(MemoryModel):
    """The model; see the module's docstring.

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
    needs_users = True
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
        self.history: GroupBatches | None = None

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
        user_input = self.dropout_user(user)
        first = self.dropout_init(torch.tanh(self.first_state(user_input)))
        first = torch.where(has_one, first, 0.0)
        clicks = self.embed(left_aligned(batch))
        if self.config.variant == "all":
            clicks = torch.cat([clicks, user_input[:, None].expand_as(clicks)], dim=2)
        states, _ = self.session_gru(clicks, first[None])
        return states, user

    @property
    def biases(self) -> Tensor:
        """Biases (V,) of the items."""
        return self.item_bias

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        """State (R, D) of the session after the clicks at ``ends``."""
        states, _ = self.read(batch)
        return self.dropout_session(states[shifted(batch, ends)])  # type: ignore[no-any-return]

    def loss(self, batch: SessionBatch) -> Loss:
        """Mean cross-entropy over all targets; a batch holds at most one session of a group."""
        ends = targets_of(batch)
        complete = with_last_click(batch)
        states, user = self.read(complete)
        if self.training:
            self.to_remember = complete, states, user
        vectors = self.dropout_session(states[shifted(batch, ends)])
        return Loss(self.cross_entropy(vectors, batch.targets[ends]) / batch.n_targets, {})

    def vectors(self, batch: SessionBatch) -> Tensor:
        """Vectors (B, D) of the sessions, given their clicks and the groups they belong to."""
        if self.grouping is not None:
            batch = batch._replace(users=self.grouping.choices(batch)["proxy"])
        return super().vectors(batch)

    def choices(self, batch: SessionBatch) -> dict[str, Tensor]:
        """The proxy that each session belongs to, and its weight, if proxies make the groups."""
        return {} if self.grouping is None else self.grouping.choices(batch)

    def train(self, mode: bool = True) -> Self:
        """Enter training or evaluation mode; the ProxySR that chooses groups is never trained."""
        super().train(mode)
        if self.grouping is not None:
            self.grouping.eval()
        return self

    # -- the memory ------------------------------------------------------------------------

    def prepare(self, train: Sessions) -> None:
        """Size the tables by the groups of the training sessions, to be read before evaluation."""
        super().prepare(train)
        n = int(train.user_index.max(initial=-1)) + 1
        for name in self.sized_by_data:
            table: Tensor = getattr(self, name)
            setattr(self, name, table.new_zeros(n + 1, *table.shape[1:]))
        self.history = GroupBatches(
            train.select(train.user_index >= 0), task="repeat", min_prefix=1,
            max_length=self.max_length, batch_size=READ_TOGETHER, seed=0,
            device=self.latest_session.device,
        )  # fmt: skip
        if not self.training:
            self.recall()

    def forget(self) -> None:
        """Forget all sessions."""
        self.has_session = torch.zeros_like(self.has_session)

    def remember(self, states: tuple[SessionBatch, Tensor, Tensor]) -> None:
        """Store what :meth:`read` says of complete sessions, of those of known groups."""
        batch, session, user = states
        users = _users(batch)
        known = (users >= 0) & (users < len(self.has_session) - 1)
        row = users[known]
        self.latest_session[row] = session[shifted(batch, None)][known]
        self.user_before[row] = user[known]
        self.has_session[row] = True

    @torch.no_grad()
    def recall(self) -> None:
        """Read the training sessions."""
        if self.history is not None:
            self.forget()
            for batch in self.history.epoch(0):
                complete = with_last_click(batch)
                self.remember((complete, *self.read(complete)))


def _users(batch: SessionBatch) -> Tensor:
    return torch.full_like(batch.lengths, -1) if batch.users is None else batch.users
