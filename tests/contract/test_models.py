"""What every model must do, whatever its idea."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch

from proxysr.config import ConfigError
from proxysr.data.batches import SessionBatch, TrainingBatches, batch_of
from proxysr.data.sessions import Sessions
from proxysr.models import MODELS, LearnedModel, SessionModel, create
from proxysr.optimizer import RowAdam
from tests.contract.small import N_ITEMS, NAMES, ORDERLESS, SMALL, cycles, small

LEARNED = [name for name in NAMES if isinstance(small(name), LearnedModel)]
SESSIONS = [[4, 2, 7], [9], [3, 3, 5, 1, 6, 8, 40], [12, 13]]


def subclasses(cls: type) -> Iterator[type]:
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)


def test_no_model_dodges_the_contract() -> None:
    concrete = {
        c for c in subclasses(SessionModel)
        if not getattr(c, "__abstractmethods__", None) and c.__module__.startswith("proxysr.")
    }  # fmt: skip
    assert concrete == set(MODELS.values())
    assert set(SMALL) == set(MODELS)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def model(name: str) -> SessionModel:
    built = small(name)
    built.prepare(cycles(50, seed=1))
    return built.eval()


def training_sessions() -> Sessions:
    """Walks along cycles, and a session that comes back to its items; each of another user."""
    walks = cycles(32, seed=2)
    lists = [*(list(walks[row]) for row in range(32)), [4, 2, 4, 7, 7]]
    return Sessions.from_lists(lists, user_index=list(range(33)))


def training_batch(name: str) -> SessionBatch:
    batches = TrainingBatches(
        training_sessions(), task="repeat", min_prefix=1, max_length=12, batch_size=33, seed=0,
        device="cpu",
    )  # fmt: skip
    return next(batches.epoch(0))


def test_scores_have_one_column_an_item_and_minus_infinity_for_padding(
    model: SessionModel,
) -> None:
    scores = model.score(batch_of(SESSIONS))
    assert scores.shape == (len(SESSIONS), N_ITEMS + 1)
    assert torch.isneginf(scores[:, 0]).all()
    assert scores[:, 1:].isfinite().all()
    assert not scores.requires_grad


@pytest.mark.parametrize("width", [2, 5, 64])
@pytest.mark.parametrize("times", [1, 2])  # few sessions are scored without tiles
def test_tiles_of_scores_are_the_scores(
    model: SessionModel, width: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxysr.models.tiles.TILE", width)
    batch = batch_of(SESSIONS * times)
    tiles, scores = model.score_tiles(batch), model.score(batch)
    n = model.n_items + 1
    row = tiles.transpose(0, 1).flatten(1)
    assert (row[:, n:] == -torch.inf).all()
    assert torch.equal(row[:, 0], scores[:, 0])
    added = row[:, 1:n] - scores[:, 1:]
    torch.testing.assert_close(added, added[:, :1].expand_as(added))


def test_scores_do_not_depend_on_the_company(model: SessionModel) -> None:
    together = model.score(batch_of(SESSIONS))
    alone = torch.cat([model.score(batch_of([clicks])) for clicks in SESSIONS])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_scores_do_not_depend_on_padding(model: SessionModel) -> None:
    batch = batch_of(SESSIONS)
    padding = torch.zeros(len(SESSIONS), 3, dtype=torch.long)
    wider = batch._replace(
        items=torch.cat([padding, batch.items], 1), targets=torch.cat([padding, batch.targets], 1)
    )
    torch.testing.assert_close(model.score(wider), model.score(batch), rtol=1e-5, atol=1e-6)


def test_only_the_latest_clicks_count(model: SessionModel) -> None:
    clicks = [1 + i % N_ITEMS for i in range(model.max_length + 5)]
    latest = clicks[-model.max_length :]
    torch.testing.assert_close(model.score(batch_of([clicks])), model.score(batch_of([latest])))


def test_each_call_returns_scores_of_its_own(model: SessionModel) -> None:
    first = model.score(batch_of(SESSIONS))
    kept = first.clone()
    model.score(batch_of(SESSIONS[::-1]))
    assert torch.equal(first, kept)


def test_scoring_changes_nothing(model: SessionModel) -> None:
    before = copy.deepcopy(model.state_dict())
    model.score(batch_of(SESSIONS))
    model.represent(batch_of(SESSIONS))
    model.choices(batch_of(SESSIONS))
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_representation_is_one_vector_a_session(model: SessionModel) -> None:
    vectors = model.represent(batch_of(SESSIONS))
    assert vectors.ndim == 2
    assert len(vectors) == len(SESSIONS)
    assert vectors.isfinite().all()


def test_same_seed_same_weights(name: str, model: SessionModel) -> None:
    a, b, c = small(name, seed=3), small(name, seed=3), small(name, seed=4)
    states = [m.state_dict() for m in (a, b, c)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    if isinstance(model, LearnedModel):
        assert any(not torch.equal(states[0][k], states[2][k]) for k in states[0])


def test_building_leaves_the_random_state_alone(name: str, model: SessionModel) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    small(name)
    assert torch.equal(torch.rand(3), expected)


def test_weights_of_another_copy_give_identical_scores(name: str, model: SessionModel) -> None:
    other = small(name, seed=9)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval().score(batch_of(SESSIONS)), model.score(batch_of(SESSIONS)))


def test_config_round_trip(model: SessionModel) -> None:
    assert type(model).Config.from_dict(model.config.to_dict()) == model.config


@pytest.mark.parametrize("name", MODELS)
def test_default_config(name: str) -> None:
    assert MODELS[name](5).config == MODELS[name].Config()


@pytest.mark.parametrize("name", MODELS)
def test_foreign_config_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match="takes a .*Config; received a dict"):
        MODELS[name](5, {"embedding_dim": 3})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MODELS)
def test_no_items_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="at least one item; received n_items = 0"):
        create(name, 0)


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'proxsr' is not a known model. Did you mean 'proxysr'"):
        create("proxsr", 5)


@pytest.mark.parametrize("name", LEARNED)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model = small(name)
    assert isinstance(model, LearnedModel)
    model.prepare(training_sessions())
    for _ in range(2):  # what is carried from step to step, and was carried before, is in the third
        model.loss(training_batch(name))
        model.after_step()
    model.loss(training_batch(name)).total.backward()
    for parameter_name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            assert parameter_name.startswith("grouping."), f"{parameter_name} is frozen"
            continue
        assert parameter.grad is not None, parameter_name
        gradient = parameter.grad.to_dense()  # sparse where items are drawn
        assert gradient.isfinite().all(), parameter_name
        assert gradient.abs().max() > 0, parameter_name


@pytest.mark.parametrize("name", LEARNED)
def test_loss_parts_are_scalars_without_graph(name: str) -> None:
    model = small(name)
    assert isinstance(model, LearnedModel)
    loss = model.loss(training_batch(name))
    assert loss.total.ndim == 0
    assert all(part.ndim == 0 and not part.requires_grad for part in loss.parts.values())


@pytest.mark.parametrize("name", LEARNED)
def test_later_clicks_do_not_change_earlier_losses(name: str) -> None:
    """Causality: the gradient of an early position does not reach later clicks."""
    model = small(name)
    assert isinstance(model, LearnedModel)
    if model.peeks_in_training:
        pytest.skip(f"{name} says that its training loss peeks")
    items = torch.tensor([[4, 2, 7, 9]])
    targets = torch.tensor([[2, 0, 0, 0]])
    losses = []
    for last in (9, 30):
        items = torch.cat([items[:, :3], torch.tensor([[last]])], 1)
        torch.manual_seed(0)  # both drop the same
        losses.append(model.loss(SessionBatch(items, torch.tensor([4]), targets)).total)
    torch.testing.assert_close(losses[0], losses[1])


@pytest.mark.parametrize("name", LEARNED)
def test_one_batch_is_overfitted(name: str) -> None:
    model = small(name)
    assert isinstance(model, LearnedModel)
    batch = training_batch(name)
    model.start_epoch(100)
    optimizer = RowAdam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = model.loss(batch).total
        loss.backward()
        optimizer.step()
        model.after_step()
        losses.append(loss.item())
    assert losses[-1] < (0.6 if name in ORDERLESS else 0.5) * losses[0]
