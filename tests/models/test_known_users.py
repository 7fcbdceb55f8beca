"""Equation 10: known users lean to proxies by a bias of their own, and nobody else is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from proxysr.data.batches import SessionBatch, TrainingBatches
from proxysr.data.known import anonymous
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.evaluation import evaluate
from proxysr.models import ProxySR, create
from proxysr.testing.learning import recall_after
from proxysr.training import TrainConfig, fit
from tests.contract.small import N_ITEMS, SMALL, cycles

USERS = [0, 2, -1]
"""Who the sessions are of, in turn; user 1 never comes."""


def build(n_users: int, **options: Any) -> ProxySR:
    model = create("proxysr", N_ITEMS, SMALL["proxysr"] | {"n_users": n_users} | options, seed=3)
    assert isinstance(model, ProxySR)
    return model


def split_of(users: list[int]) -> SessionSplit:
    def part(n: int, seed: int) -> Sessions:
        who = np.resize(np.array(users, np.int32), n)
        return replace(cycles(n, seed), user_index=who)

    return SessionSplit(
        part(90, 0), part(12, 1), part(12, 2),
        items=pd.DataFrame({"item_id": [str(i) for i in range(N_ITEMS)]}),
        users=pd.DataFrame({"user_id": ["u0", "u1", "u2"]}),
    )  # fmt: skip


def batches_of(split: SessionSplit, batch_size: int = 16) -> list[SessionBatch]:
    batches = TrainingBatches(
        split.train, task="unseen", min_prefix=1, max_length=12, batch_size=batch_size, seed=0,
        device="cpu",
    )  # fmt: skip
    return list(batches.epoch(0))


def bias_of(model: ProxySR) -> Tensor:
    assert model.user_bias is not None
    return model.user_bias


def test_unknown_users_make_no_difference_at_all() -> None:
    """With n_users = 0 and with all users unknown: equal losses, scores and training."""
    split = split_of([-1])
    config = TrainConfig(epochs=2, batch_size=16, learning_rate=0.01, weight_decay=1e-3)
    models, histories = [build(0), build(3)], []
    for batch in batches_of(split):
        plain, of_users = (model.loss(batch) for model in models)
        assert torch.equal(plain.total, of_users.total)
        assert plain.parts == of_users.parts
        assert torch.equal(models[0].score(batch), models[1].score(batch))
    for model in models:
        histories.append(fit(model, split, config, progress=False).frame)
    timeless = [frame.drop(columns=["train_seconds", "eval_seconds", "sessions_per_second"])
                for frame in histories]  # fmt: skip
    pd.testing.assert_frame_equal(*timeless, check_exact=True)
    weights = [model.state_dict() for model in models]
    assert torch.equal(weights[1].pop("user_bias"), torch.zeros(3, 8))
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    ranks = [evaluate(model, split.test).ranks for model in models]
    pd.testing.assert_frame_equal(*ranks, check_exact=True)


def test_a_step_reaches_the_users_of_its_sessions_alone() -> None:
    model = build(3)
    (batch, *_) = batches_of(split_of([0, -1]))
    model.loss(batch).total.backward()
    gradient = bias_of(model).grad
    assert gradient is not None
    assert gradient[0].abs().max() > 0
    assert torch.equal(gradient[1:], torch.zeros(2, 8))
    assert gradient[0].sum().abs() < 1e-5, "a softmax does not care for what all proxies gain"


@pytest.mark.parametrize("users", [None, [-1, -1], [3, 99]])
def test_others_keep_their_choice(users: list[int] | None) -> None:
    """Unknown users, and those beyond n_users, choose as if there were no bias."""
    plain, model = build(0), build(3)
    bias_of(model).data.normal_()
    clicks = torch.tensor([[4, 2, 7], [0, 5, 9]])
    who = None if users is None else torch.tensor(users)
    batch = SessionBatch(clicks, torch.tensor([3, 2]), torch.zeros_like(clicks), who)
    assert torch.equal(model.weigh(batch)[1], plain.weigh(batch)[1])
    assert torch.equal(model.score(batch), plain.score(batch))
    one = batch._replace(users=torch.tensor([1, -1]))
    weights, before = model.weigh(one)[1], plain.weigh(batch)[1]
    logits = plain.weigh(batch)[0][0] + bias_of(model)[1]
    torch.testing.assert_close(weights[0], torch.softmax(logits / plain.temperature, 0))
    assert not torch.allclose(weights[0], before[0])
    assert torch.equal(weights[1], before[1])


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_moves_a_row_by_its_own_gradients(weight_decay: float) -> None:
    """A literal Adam of each row, with a gradient of 0 in the steps without its user.

    So a row still moves in such steps, by the momentum of its own earlier ones; the row of a user
    who never comes stays at exactly 0, whatever the weight decay.
    """
    rate, beta1, beta2, eps = 0.01, 0.9, 0.999, 1e-8
    model = build(3)
    adam = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=weight_decay, fused=True)
    first = torch.zeros(3, 8, dtype=torch.float64)
    second, row = torch.zeros_like(first), torch.zeros_like(first)
    moved_alone = 0.0
    for steps, batch in enumerate(batches_of(split_of(USERS), batch_size=2), start=1):
        adam.zero_grad()
        model.loss(batch).total.backward()
        gradient = bias_of(model).grad
        assert gradient is not None
        assert batch.users is not None
        absent = [user for user in range(3) if user not in batch.users.tolist()]
        assert torch.equal(gradient[absent], torch.zeros(len(absent), 8))
        before = bias_of(model).detach().clone()
        own = gradient.double() + weight_decay * row
        adam.step()
        model.after_step()
        first = beta1 * first + (1 - beta1) * own
        second = beta2 * second + (1 - beta2) * own.square()
        mean, spread = first / (1 - beta1**steps), second / (1 - beta2**steps)
        row = row - rate * mean / (spread.sqrt() + eps)
        moved_alone += float((bias_of(model).detach() - before)[absent].abs().sum())
        torch.testing.assert_close(bias_of(model).double(), row, atol=2e-5, rtol=1e-3)
    assert torch.equal(bias_of(model)[1], torch.zeros(8))
    assert bias_of(model)[[0, 2]].abs().max() > 1e-4
    assert moved_alone > 0


def loyal(n: int, seed: int, *, known: bool) -> SessionSplit:
    """Sessions of two clicks that begin alike; what follows depends on the user alone."""
    users = np.random.default_rng(seed).integers(2, size=n)
    sessions = Sessions.from_lists([[1, 2 + 10 * int(user)] for user in users], user_index=users)
    sessions = sessions if known else anonymous(sessions)
    return SessionSplit(
        sessions, sessions, sessions,
        items=pd.DataFrame({"item_id": [str(i) for i in range(20)]}),
        users=pd.DataFrame({"user_id": ["u0", "u1"]}),
    )  # fmt: skip


@pytest.mark.parametrize("known", [True, False])
def test_what_only_the_user_tells_is_learnt_if_the_user_is_known(known: bool) -> None:
    """With a soft choice: once it has hardened, a bias that did not win yet never does."""
    split = loyal(120, 0, known=known)
    settings = SMALL["proxysr"] | {
        "n_users": 2, "n_negatives": 10, "margin": 0.5,
        "temperature_start": 1.0, "temperature_end": 1.0,
    }  # fmt: skip
    model = create("proxysr", split.n_items, settings, seed=0)
    config = TrainConfig(epochs=12, patience=12, batch_size=16, learning_rate=0.02)
    recall = recall_after(model, split, config, k=1, enough=0.95)
    assert recall > 0.95 if known else recall < 0.7
