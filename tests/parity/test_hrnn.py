"""HRNN against its equations, one group and one session at a time, to 1e-9 in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.data.batches import SessionBatch, batch_of
from proxysr.data.sessions import Sessions
from proxysr.models import HRNN, GRU4Rec, ProxySR
from proxysr.models.hrnn import settings_text
from proxysr.models.memory import GroupBatches
from tests.parity.literal_gru import step
from tests.parity.literal_softmax import cross_entropy_at

N_ITEMS, D = 13, 5
VARIANTS = ["init", "all"]
LISTS = [[1, 2, 3], [4, 5], [6, 7, 8, 9], [2, 9, 4], [3], [11, 3, 1], [7, 7], [5, 1, 12, 2]]
USERS = [0, 1, 0, -1, 1, 0, 1, 3]
HISTORY = Sessions.from_lists(LISTS, user_index=USERS)


def build(**options: Any) -> HRNN:
    torch.manual_seed(5)
    settings = {"embedding_dim": D, "max_length": 7, "init_std": 0.8} | options
    model = HRNN(N_ITEMS, HRNN.Config(**settings)).double()
    torch.nn.init.normal_(model.item_bias)
    return model


def session_states(model: HRNN, clicks: list[int], user: Tensor | None) -> list[Tensor]:
    """``s_n`` after each click, given the state of the group, if it has one."""
    h = torch.zeros(D, dtype=torch.float64)
    c = torch.zeros(D, dtype=torch.float64)
    if user is not None:
        c = user
        h = torch.tanh(model.first_state.weight @ c + model.first_state.bias)
    states = []
    for click in clicks:
        x = model.items[click]
        both = torch.cat([x, c]) if model.session_gru.input_size > D else x
        h = step(model.session_gru, both, h, "_l0")
        states.append(h)
    return states


class Literal:
    """What every group has been through."""

    def __init__(self, model: HRNN) -> None:
        self.model = model
        self.left: dict[int, tuple[Tensor, Tensor]] = {}

    def state(self, user: int) -> Tensor | None:
        if user not in self.left:
            return None
        session, before = self.left[user]
        return step(self.model.user_gru, session, before)

    def step(self, sessions: list[tuple[int, list[int], list[int]]]) -> Tensor:
        """The loss of a batch of (user, clicks, what follows all but the last), then carried."""
        terms, left = [], {}
        for user, clicks, targets in sessions:
            c = self.state(user)
            states = session_states(self.model, clicks, c)
            for h, target in zip(states[:-1], targets, strict=True):
                if target:
                    scores = self.model.items[1:] @ h + self.model.item_bias[1:]
                    terms.append(cross_entropy_at(scores, target))
            zero = torch.zeros(D, dtype=torch.float64)
            left[user] = (states[-1].detach(), zero if c is None else c.detach())
        self.left |= {user: pair for user, pair in left.items() if user >= 0}
        return sum(terms) / len(terms)


def batches() -> list[SessionBatch]:
    options = {"task": "unseen", "min_prefix": 1, "max_length": 7, "seed": 2, "device": "cpu"}
    made = list(GroupBatches(HISTORY, batch_size=2, **options).epoch(0))
    assert len(made) >= 3
    return made


def rows(batch: SessionBatch) -> list[tuple[int, list[int], list[int]]]:
    assert batch.users is not None
    found = []
    assert batch.last_items is not None
    for user, items, targets, last in zip(
        batch.users, batch.items, batch.targets, batch.last_items, strict=True
    ):
        clicks = items > 0
        found.append((int(user), [*items[clicks].tolist(), int(last)], targets[clicks].tolist()))
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_and_gradients_of_an_epoch(variant: str) -> None:
    model = build(variant=variant)
    model.prepare(HISTORY)
    model.start_epoch(0)
    literal = Literal(model)
    total = 0.0
    expected_total = torch.zeros((), dtype=torch.float64)
    for batch in batches():
        got = model.loss(batch).total
        got.backward()
        model.after_step()
        expected = literal.step(rows(batch))
        assert abs((got - expected).item()) < 1e-9
        total, expected_total = total + got.item(), expected_total + expected
    wanted = torch.autograd.grad(expected_total, list(model.parameters()))
    for (name, parameter), gradient in zip(model.named_parameters(), wanted, strict=True):
        assert parameter.grad is not None, name
        assert gradient.abs().max() > 1e-6, f"{name}: nothing is compared"
        assert (parameter.grad - gradient).abs().max() < 1e-9, name


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_follow_the_training_sessions_of_the_group(variant: str) -> None:
    model = build(variant=variant)
    model.prepare(HISTORY)
    model.eval()
    literal = Literal(model)
    for user, clicks in zip(USERS, LISTS, strict=True):
        if len(clicks) > 1:
            literal.step([(user, clicks, clicks[1:])])
    sessions, users = [[4, 2, 7], [9], [9], [9], [3, 3, 5], [9]], [0, 1, 3, -1, 2, 77]
    for _ in range(2):  # what is scored carries nothing
        scores = model.score(batch_of(sessions, users=users))
        for row, (clicks, user) in enumerate(zip(sessions, users, strict=True)):
            h = session_states(model, clicks, literal.state(user))[-1]
            expected = model.items[1:] @ h + model.item_bias[1:]
            assert (scores[row, 1:] - expected).abs().max() < 1e-9
    # an unknown group and one without history
    torch.testing.assert_close(scores[3], scores[5], rtol=0, atol=1e-12)
    assert (scores[1] - scores[3])[1:].abs().max() > 1e-3, "history must matter"


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_groups_it_is_gru4rec(variant: str) -> None:
    model = build(variant=variant)
    other = GRU4Rec(N_ITEMS, GRU4Rec.Config(embedding_dim=D, max_length=7)).double()
    state = {"items": model.items, "item_bias": model.item_bias}
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        weights = getattr(model.session_gru, name)
        state[f"gru.{name}"] = weights[:, :D] if name == "weight_ih_l0" else weights
    other.load_state_dict(state)
    unknown = Sessions.from_lists(LISTS, user_index=[-1] * len(LISTS))
    model.prepare(unknown)
    for batch in batches():
        batch = batch._replace(users=torch.full_like(batch.lengths, -1))
        mine, theirs = model.loss(batch).total, other.loss(batch).total
        mine.backward()
        theirs.backward()
        model.after_step()
        assert abs((mine - theirs).item()) < 1e-12
    torch.testing.assert_close(model.items.grad, other.items.grad, rtol=0, atol=1e-12)
    sessions = batch_of([[4, 2, 7], [9], [3, 3, 5, 1]])
    scores = model.eval().score(sessions), other.eval().score(sessions)
    torch.testing.assert_close(*scores, rtol=0, atol=1e-12)


def test_an_epoch_starts_with_nothing_and_evaluation_reads_all() -> None:
    model = build()
    model.prepare(HISTORY)
    assert not model.has_session.any()
    model.eval()
    assert model.has_session.tolist() == [True, True, False, True, False]
    kept = {name: getattr(model, name).clone() for name in model.sized_by_data}
    model.train()
    model.start_epoch(1)
    assert not model.has_session.any()
    model.loss(batches()[0])
    assert not model.has_session.any(), "carried after the step, not before"
    model.after_step()
    assert model.has_session.any()
    model.eval()
    for name, before in kept.items():
        torch.testing.assert_close(getattr(model, name), before, rtol=0, atol=0)


def test_a_checkpoint_brings_its_states_along() -> None:
    model, other = build(), build()
    model.prepare(HISTORY)
    other.load_state_dict(model.eval().state_dict())
    sessions = batch_of([[4, 2, 7], [9]], users=[0, 1])
    assert torch.equal(other.eval().score(sessions), model.score(sessions))


def test_proxies_of_the_clicks_so_far_are_the_groups() -> None:
    config = ProxySR.Config(embedding_dim=4, n_proxies=8, init_std=1.0, max_length=7)
    model = build(proxysr=settings_text(config.to_dict()))
    assert model.config.proxysr_config == config
    assert model.grouping is not None
    chooser = ProxySR(N_ITEMS, config).double().eval()
    model.grouping.load_state_dict(chooser.state_dict())
    model.prepare(Sessions.from_lists(LISTS[:4], user_index=[0, 1, 2, 0]))
    model.eval()
    sessions = [[item, other] for item in range(1, 14) for other in (2, 7)]
    batch = batch_of(sessions, users=[0] * len(sessions))
    proxy = chooser.choices(batch)["proxy"]
    assert len(proxy.unique()) > 1
    assert torch.equal(model.choices(batch)["proxy"], proxy)
    assert not model.grouping.training
    plain = build()
    plain.load_state_dict(
        {k: v for k, v in model.state_dict().items() if not k.startswith("grouping.")}
    )
    plain.eval()
    assert torch.equal(model.score(batch), plain.score(batch._replace(users=proxy)))
    assert torch.equal(model.represent(batch), plain.represent(batch._replace(users=proxy)))
    assert not torch.equal(model.score(batch), plain.score(batch))


def test_dropout_is_for_training_only() -> None:
    sessions = batch_of([[4, 2, 7], [9]], users=[0, 1])
    for name in ("dropout_user", "dropout_session", "dropout_init"):
        model = build(**{name: 0.5})
        model.prepare(HISTORY)
        model.eval()
        assert torch.equal(model.encode(sessions), model.encode(sessions))
        carried = [getattr(model, table).clone() for table in model.sized_by_data]
        model.train()
        assert all(map(torch.equal, carried, (getattr(model, t) for t in model.sized_by_data)))
        assert not torch.equal(model.encode(sessions), model.encode(sessions)), name
