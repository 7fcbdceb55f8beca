"""Drawn negatives: how often an item is drawn, and the loss among them against a literal one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.config import ConfigError
from proxysr.data.sessions import Sessions
from proxysr.kernels.sampling import ItemSampler, SamplingConfig, expected_times
from proxysr.models import MODELS, LearnedModel, model_class
from proxysr.models.softmax import SoftmaxModel, targets_of
from tests.contract.small import N_ITEMS, TRAINING, small, training_batch

SAMPLING = [
    name
    for name, cls in MODELS.items()
    if issubclass(cls.Config, SamplingConfig) and name != "repeatnet"
]
EXTRA: dict[str, dict[str, Any]] = {"proxysr": {"n_negatives": 4}}


def sampler(n_items: int, clicks: list[int], **options: Any) -> ItemSampler:
    built = ItemSampler(n_items, SamplingConfig(**options))
    built.count(Sessions.from_lists([clicks]))
    return built


def test_all_models_with_a_softmax_can_draw() -> None:
    softmax = {name for name, cls in MODELS.items() if issubclass(cls, SoftmaxModel)}
    assert {"proxysr", "latent_proxy", *softmax} == set(SAMPLING)


@pytest.mark.parametrize("n", [1, 2, 5, 11, 12])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 3.0])
def test_expected_times_are_proportional_below_one(n: int, power: float) -> None:
    weights = torch.tensor([400, 90, 90, 20, 7, 7, 6, 3, 1, 1, 1, 1], dtype=torch.float64) ** power
    times = expected_times(weights, n)
    assert float(times.sum()) == pytest.approx(n, abs=1e-9)
    assert 0 < times.min() <= times.max() <= 1
    below = times < 1
    share = (times / weights)[below]
    assert (share.max() - share.min() < 1e-12) if below.any() else n == 12
    if below.any():  # an item that is drawn for sure would be drawn more often
        assert (weights[~below] * share[0] >= 1 - 1e-9).all()


def test_items_are_drawn_as_often_as_expected() -> None:
    """Counts 40, 12, 12, 5, 1 and nothing, which counts as 1."""
    clicks = [3] * 40 + [1] * 12 + [6] * 12 + [2] * 5 + [5]
    drawing = sampler(6, clicks, sampled_negatives=3, sampling_power=1.0)
    torch.manual_seed(0)
    n = 20_000
    drawn = torch.cat([drawing.draw() for _ in range(n)])
    found = torch.bincount(drawn, minlength=7) / n
    by_hand = torch.tensor([0, 24 / 31, 10 / 31, 1, 2 / 31, 2 / 31, 24 / 31])
    torch.testing.assert_close(drawing.log_expected[1:].exp(), by_hand[1:])
    torch.testing.assert_close(found, by_hand, rtol=0, atol=0.015)


def test_power_zero_draws_evenly_and_so_does_one_without_counts() -> None:
    even = sampler(8, [3] * 40 + [1], sampled_negatives=2, sampling_power=0.0)
    fresh = ItemSampler(8, SamplingConfig(sampled_negatives=2))
    for drawing in (even, fresh):
        assert (drawing.log_expected[1:].exp() == 0.25).all()


@pytest.mark.parametrize("wanted", [40, 1000])
def test_all_items_are_drawn_once_if_all_are_asked_for(wanted: int) -> None:
    drawing = sampler(40, [3] * 40 + [1, 1, 7], sampled_negatives=wanted)
    assert sorted(drawing.draw().tolist()) == list(range(1, 41))
    assert (drawing.log_expected == 0).all()


def test_a_sample_stands_for_all_items() -> None:
    """On average each item counts once; those of the batch always do."""
    clicks = [3] * 40 + [1] * 12 + [6] * 12 + [2] * 5 + [5]
    drawing = sampler(6, clicks, sampled_negatives=3, sampling_power=0.5)
    batch = torch.tensor([[0, 5, 2], [2, 5, 5]])
    torch.manual_seed(0)
    n, times = 4_000, torch.zeros(7)
    for _ in range(n):
        sample, places = drawing.around(batch)
        assert sample.items[:3].tolist() == [0, 2, 5]
        assert torch.equal(sample.items[places], batch)
        assert (sample.log_times[:3] == 0).all()
        times.index_add_(0, sample.items, sample.log_times.exp() / n)
    torch.testing.assert_close(times, torch.ones(7), rtol=0, atol=0.12)


def test_the_same_seed_draws_the_same() -> None:
    drawing = sampler(400, list(range(1, 300)), sampled_negatives=50)

    def of_seed(seed: int) -> list[int]:
        torch.manual_seed(seed)
        found: list[int] = drawing.draw().tolist()
        return found

    assert of_seed(1) == of_seed(1) != of_seed(2)


def test_nothing_of_it_is_saved() -> None:
    plain, drawing = small("gru4rec"), small("gru4rec", sampled_negatives=5)
    assert plain.state_dict().keys() == drawing.state_dict().keys()


def literal(model: SoftmaxModel, vectors: Tensor, targets: Tensor, drawn: list[int]) -> Tensor:
    """One position after the other, with the correction written as weights."""
    sampling, bias = model.sampler, model.biases
    assert sampling is not None
    total = torch.zeros((), dtype=torch.float64)
    for vector, target in zip(vectors, targets.tolist(), strict=True):

        def share(item: int, vector: Tensor = vector) -> Tensor:
            score = vector @ model.items[item] + (0 if bias is None else bias[item])
            return torch.exp(score) / sampling.log_expected[item].exp()

        others = [share(item) for item in drawn if item != target]
        own = share(target)
        total = total - torch.log(own / (own + sum(others)))
    return total / len(targets)


@pytest.mark.parametrize("name", ["mean", "gru4rec"])  # without and with biases
@pytest.mark.parametrize("drawn", [[3, 9, 9, 4, 31], [40], list(range(1, 41))], ids=len)
def test_the_loss_is_the_literal_one(
    name: str, drawn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small(name, sampled_negatives=5).double()
    assert isinstance(model, SoftmaxModel)
    if model.biases is not None:
        torch.nn.init.normal_(model.biases)
    model.prepare(TRAINING)
    monkeypatch.setattr(model.sampler, "draw", lambda: torch.tensor(drawn))
    batch = training_batch()
    ends = targets_of(batch)
    expected = literal(model, model.encode(batch, ends), batch.targets[ends], drawn)
    # the literal one reads the table row by row; clicks have sparse gradients there, too
    expected.backward()
    wanted = {k: p.grad.to_dense() for k, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    got = model.loss(batch).total
    got.backward()
    assert abs((got - expected).item()) < 1e-9
    for parameter, gradient in wanted.items():
        received = model.get_parameter(parameter).grad
        assert received is not None
        assert gradient.abs().max() > 0
        assert (received.to_dense() - gradient).abs().max() < 1e-9, parameter


def loss_and_gradients(
    name: str, sampled: int
) -> tuple[float, dict[str, Tensor], dict[str, set[int]]]:
    model = small(name, sampled_negatives=sampled, **EXTRA.get(name, {})).double().eval()
    assert isinstance(model, LearnedModel)
    model.prepare(TRAINING)
    torch.manual_seed(0)  # GRec draws its gaps
    loss = model.loss(training_batch()).total
    loss.backward()
    gradients = {k: p.grad for k, p in model.named_parameters() if p.grad is not None}
    rows = {k: set(g.coalesce().indices()[0].tolist()) for k, g in gradients.items() if g.is_sparse}
    return loss.item(), {k: g.to_dense() for k, g in gradients.items()}, rows


@pytest.mark.parametrize("name", SAMPLING)
def test_with_all_items_drawn_it_is_the_whole_loss(name: str) -> None:
    value, gradients, rows = loss_and_gradients(name, N_ITEMS)
    whole, whole_gradients, none = loss_and_gradients(name, 0)
    assert value == pytest.approx(whole, abs=1e-12)
    assert gradients.keys() == whole_gradients.keys()
    for parameter, gradient in whole_gradients.items():
        torch.testing.assert_close(gradients[parameter], gradient, rtol=1e-9, atol=1e-12)
    assert "items" in rows
    assert none == {}


@pytest.mark.parametrize("name", SAMPLING)
def test_no_gradient_is_as_large_as_a_table_of_items(name: str) -> None:
    model = small(name, n_items=1000, sampled_negatives=10, **EXTRA.get(name, {}))
    assert isinstance(model, LearnedModel)
    model.prepare(TRAINING)
    batch = training_batch()
    model.loss(batch).total.backward()
    tables = {k: p for k, p in model.named_parameters() if p.shape[:1] == (1001,)}
    assert "items" in tables
    for parameter, table in tables.items():
        assert table.grad is not None
        assert table.grad.is_sparse, parameter
        touched = table.grad.coalesce().indices()[0]
        assert len(touched) <= 40 + 10 + 1
        assert table.grad.to_dense().abs().max() > 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gru4rec", {"sampled_negatives": -1}, "sampled_negatives is not negative; received -1"),
        ("mean", {"sampling_power": -0.5}, "sampling_power is not negative; received -0.5"),
        (
            "gru4rec", {"sampled_negatives": 8, "objective": "bpr-max"},
            "objective='bpr-max' takes all items: it must be 0 then; received 8",
        ),
        (
            "sasrec", {"sampled_negatives": 8, "objective": "binary"},
            "objective='binary' draws one item a target anyway: it must be 0 then; received 8",
        ),
        (
            "repeatnet", {"sampled_negatives": 8},
            "RepeatNet's probabilities are of all items: sampled_negatives is 0; received 8",
        ),
        (
            "proxysr", {"sampled_negatives": 800, "negatives": "all"},
            "negatives='all' takes all items: it must be 0 then; received 800",
        ),
        (
            "proxysr", {"sampled_negatives": 201, "n_negatives": 100},
            "To find 100 negatives among them, sampled_negatives is at least 202, or 0 for all",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_class(name).Config(**options)


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {*SAMPLING, "repeatnet"}))
def test_models_that_draw_nothing_do_not_know_the_option(name: str) -> None:
    with pytest.raises(ConfigError, match="'sampled_negatives' is not a known option of "):
        model_class(name).Config.from_dict({"sampled_negatives": 10})
