"""What every model with proxies must do: the analyses lean on it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from proxysr.analysis.attribution import smallest_flip
from proxysr.analysis.counterfactuals import at_temperature
from proxysr.analysis.representations import item_vectors
from proxysr.config import ConfigError
from proxysr.data.batches import SessionBatch, batch_of
from proxysr.models import ProxyModel
from proxysr.models.tiles import side_by_side
from tests.contract.small import N_ITEMS, NAMES, cycles, small

SESSIONS = [[4, 2, 7], [9], [3, 3, 5, 1, 6, 8, 40], [12, 13]]
LONGEST = max(map(len, SESSIONS))
MODELS = {name: model for name in NAMES if isinstance(model := small(name), ProxyModel)}
CHOOSING = [name for name, model in MODELS.items() if model.chooses]


def model_of(name: str, seed: int = 0, **options: Any) -> ProxyModel:
    """The model in double precision, with choices that are neither level nor certain."""
    model = small(name, seed=seed, **options)
    assert isinstance(model, ProxyModel)
    model.prepare(cycles(50, seed=1))
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = 0.3 * torch.randn_like(parameter)
            if len(parameter.shape) == 2 and len(parameter) == N_ITEMS + 1:
                noise[0] = 0  # the padding
            parameter += noise
    model.after_step()
    return model.double().eval()


@pytest.fixture(params=CHOOSING)
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def model(name: str) -> ProxyModel:
    return model_of(name)


def padded(batch: SessionBatch, n: int = 3) -> SessionBatch:
    return batch._replace(items=pad(batch.items, (n, 0)), targets=pad(batch.targets, (n, 0)))


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_shapes(model: ProxyModel) -> None:
    batch, k = batch_of(SESSIONS), model.n_proxies
    trace, n = model.trace(batch), len(SESSIONS)
    assert k > 1
    assert model.proxy_vectors().shape[0] == k
    assert item_vectors(model).shape[0] == N_ITEMS + 1
    if model.represents_by_proxies:
        close(model.represent(batch), trace.proxy)
        assert trace.proxy.shape[1] == model.proxy_vectors().shape[1]
    assert trace.proxy_logits.shape == trace.prior_logits.shape == trace.proxy_weights.shape
    assert trace.proxy_logits.shape == (n, k)
    assert trace.position_logits.shape == model.path(batch).shape == (n, LONGEST, k)
    assert trace.proxy.shape == trace.short_term.shape
    assert len(trace.proxy) == n
    assert "temperature" in dict(model.named_buffers())
    assert not any(x.requires_grad for x in trace if x is not None)


def test_sessions_are_for_different_proxies(model: ProxyModel) -> None:
    """Else the tests below would see nothing."""
    weights = model.weigh(batch_of([[i, i + 1] for i in range(1, N_ITEMS)]))[1]
    assert len(weights.argmax(dim=1).unique()) > 1


def test_logits_are_the_prior_and_the_addends_of_the_clicks(model: ProxyModel) -> None:
    batch = batch_of(SESSIONS)
    trace = model.trace(batch)
    close(trace.prior_logits + trace.position_logits.sum(dim=1), trace.proxy_logits)
    assert (trace.position_logits[batch.items == 0] == 0).all()
    assert (trace.position_logits[batch.items != 0] != 0).any(dim=1).all()


def test_weights_are_the_softmax_of_the_logits_at_the_temperature(model: ProxyModel) -> None:
    batch = batch_of(SESSIONS)
    logits, weights = model.weigh(batch)
    close(weights, torch.softmax(logits / model.temperature, dim=1))
    close(weights.sum(dim=1), torch.ones(len(SESSIONS), dtype=weights.dtype))
    trace = model.trace(batch)
    close(trace.proxy_logits, logits)
    close(trace.proxy_weights, weights)
    softer = model.trace(batch, temperature=20.0)
    close(softer.proxy_logits, logits)
    close(softer.proxy_weights, torch.softmax(logits / 20, dim=1))
    best = weights.max(dim=1)
    choices = model.choices(batch)
    assert torch.equal(choices["proxy"], best.indices)
    assert torch.equal(choices["probability"], best.values)


def test_the_buffer_and_the_argument_are_one_temperature(model: ProxyModel) -> None:
    batch = batch_of(SESSIONS)
    before, softer = model.score(batch), model.score(batch, temperature=20.0)
    assert not torch.allclose(before[:, 1:], softer[:, 1:])
    close(model.score(batch, temperature=model.temperature), before)
    model.temperature.fill_(20.0)
    close(model.score(batch), softer)
    close(model.weigh(batch)[1], model.trace(batch).proxy_weights)


def test_a_model_at_another_temperature_is_evaluated_at_it(model: ProxyModel) -> None:
    batch = batch_of(SESSIONS)
    view = at_temperature(model, 20.0)
    wanted = model.score(batch, temperature=20.0)
    close(view.score(batch), wanted)
    close(side_by_side(view.score_tiles(batch), N_ITEMS + 1)[:, 1:].diff(), wanted[:, 1:].diff())
    close(view.choices(batch)["probability"], view.weigh(batch)[1].max(dim=1).values)


@pytest.mark.parametrize("proxy", [0, 3])
def test_a_forced_proxy_takes_all_weight(model: ProxyModel, proxy: int) -> None:
    batch = batch_of(SESSIONS)
    forced = model.trace(batch, force_proxy=proxy)
    wanted = torch.zeros_like(forced.proxy_weights)
    wanted[:, proxy] = 1
    assert torch.equal(forced.proxy_weights, wanted)
    close(forced.proxy_logits, model.weigh(batch)[0])
    if model.represents_by_proxies:
        own = model.proxy_vectors()[proxy].detach()
        close(forced.proxy, own.expand(len(SESSIONS), -1))


def test_scores_under_a_proxy_are_those_of_choosing_it(model: ProxyModel) -> None:
    batch = batch_of(SESSIONS)
    sure = model.score(batch, temperature=1e-6)
    chosen = model.weigh(batch)[0].argmax(dim=1)
    close(model.score(batch, force_proxy=chosen), sure)
    for row, proxy in enumerate(chosen.tolist()):
        close(model.score(batch, force_proxy=proxy)[row], sure[row])
    scores = [model.score(batch, force_proxy=k) for k in range(model.n_proxies)]
    assert not torch.allclose(scores[0][:, 1:], scores[1][:, 1:])


def test_given_weights_take_the_place_of_what_the_clicks_say(model: ProxyModel) -> None:
    batch = batch_of(SESSIONS)
    own = model.weigh(batch)[1]
    close(model.score(batch, force_proxy=own), model.score(batch))
    others = own.flip(0)
    assert torch.equal(model.trace(batch, force_proxy=others).proxy_weights, others)
    assert not torch.allclose(
        model.score(batch, force_proxy=others)[:, 1:], model.score(batch)[:, 1:]
    )
    alone = torch.eye(model.n_proxies, dtype=own.dtype)[[3] * len(SESSIONS)]
    close(model.score(batch, force_proxy=alone), model.score(batch, force_proxy=3))
    found = model.answer(batch, force_proxy=others)
    wanted = model.score(batch, force_proxy=others)
    close(side_by_side(found.tiles, N_ITEMS + 1)[:, 1:].diff(), wanted[:, 1:].diff())
    assert torch.equal(found.choices["proxy"], others.argmax(dim=1))


def test_the_path_is_what_each_prefix_is_weighed_by(model: ProxyModel) -> None:
    batch = batch_of(SESSIONS)
    path = model.path(batch)
    close(path[:, -1], model.weigh(batch)[1])
    for row, clicks in enumerate(SESSIONS):
        assert (path[row, : LONGEST - len(clicks)] == 0).all()
        for n in range(1, len(clicks) + 1):
            prefix = model.weigh(batch_of([clicks[:n]]))[1][0]
            close(path[row, LONGEST - len(clicks) + n - 1], prefix)


def test_nothing_depends_on_company_or_padding(model: ProxyModel) -> None:
    batch = batch_of(SESSIONS)
    together, path = model.trace(batch), model.path(batch)
    wider, wider_path = model.trace(padded(batch)), model.path(padded(batch))
    for field, found in together._asdict().items():
        if found is not None:
            more = getattr(wider, field)
            close(more[:, -LONGEST:] if field == "position_logits" else more, found)
    assert (wider.position_logits[:, :3] == 0).all()
    assert (wider_path[:, :3] == 0).all()
    close(wider_path[:, 3:], path)
    for row, clicks in enumerate(SESSIONS):
        alone = model.trace(batch_of([clicks]))
        for field, found in alone._asdict().items():
            if found is not None:
                ours = getattr(together, field)[row]
                close(ours[-len(clicks) :] if field == "position_logits" else ours, found[0])
        close(path[row, -len(clicks) :], model.path(batch_of([clicks]))[0])


def test_only_the_clicks_that_are_read_have_addends_and_a_path(model: ProxyModel) -> None:
    clicks = [1 + i % N_ITEMS for i in range(model.max_length + 5)]
    whole, latest = batch_of([clicks]), batch_of([clicks[-model.max_length :]])
    close(model.trace(whole).position_logits, model.trace(latest).position_logits)
    close(model.path(whole), model.path(latest))
    assert model.path(whole).shape[1] == model.max_length


def test_a_click_replaced_by_its_own_item_stays_as_it_is(model: ProxyModel) -> None:
    clicks = [4, 2, 7, 30, 11]
    for batch, n in ((batch_of([clicks]), 5), (padded(batch_of([clicks])), 8)):
        trace = model.trace(batch)
        found = model.replaced(batch, torch.tensor(clicks))
        assert found.shape == (5, n, model.n_proxies)
        own = torch.arange(5)
        close(found[own, n - 5 + own], trace.position_logits[0, n - 5 :])
        assert (found[:, : n - 5] == 0).all()


def test_the_last_click_replaced_is_exact(model: ProxyModel) -> None:
    clicks, items = [4, 2, 7], torch.arange(1, N_ITEMS + 1)
    batch = batch_of([clicks])
    trace = model.trace(batch)
    others = trace.proxy_logits[0] - trace.position_logits[0, -1]
    edited = batch_of([[4, 2, int(item)] for item in items])
    close(others + model.replaced(batch, items)[:, -1], model.weigh(edited)[0])


@pytest.mark.parametrize("seed", range(4))
def test_a_flip_is_found_where_there_is_one(name: str, seed: int) -> None:
    """By estimate and check: as clear as what trying every edit finds, where all are checked."""
    model = model_of(name, seed)
    for clicks in ([4, 2, 7], [9], [31, 12, 13, 5]):
        before = int(model.weigh(batch_of([clicks]))[0].argmax())
        edited = [
            [*clicks[:j], *middle, *clicks[j + 1 :]]
            for j in range(len(clicks))
            for middle in ([], *([item] for item in range(1, N_ITEMS + 1)))
        ]
        logits = model.weigh(batch_of([e[:] for e in edited if e]))[0]
        best = logits.topk(2)
        flips = best.indices[:, 0] != before
        found = smallest_flip(model, clicks)
        assert (found is not None) == bool(flips.any())
        if found is None:
            continue
        assert found.before == before
        assert found.after != before
        true = model.weigh(batch_of([list(found.clicks)]))[0][0].topk(2)
        assert int(true.indices[0]) == found.after
        assert found.lead == pytest.approx(float(true.values[0] - true.values[1]))
        largest = (best.values[:, 0] - best.values[:, 1])[flips].max()
        assert found.lead > 0.5 * float(largest)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in CHOOSING])
def test_variants_without_proxies_say_so(name: str) -> None:
    model, batch = MODELS[name], batch_of(SESSIONS)
    assert model.choices(batch) == {}
    for asked in ({"force_proxy": 0}, {"temperature": 1.0}):
        with pytest.raises(ConfigError, match="chooses no proxies"):
            model.score(batch, **asked)  # type: ignore[arg-type]
