"""The fast ProxySR against the literal one, to 1e-9 in float64, values and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from proxysr.config import ConfigError
from proxysr.data.batches import SessionBatch, batch_of
from proxysr.experiments.presets import ABLATIONS
from proxysr.kernels import sizes
from proxysr.models import ProxySR
from proxysr.models.proxysr import ProxySR as PaperProxySR
from proxysr.models.proxysr import ShortTermEncoder
from tests.parity import literal_proxysr as literal

N_ITEMS = 23
SMALL = {
    "embedding_dim": 6, "n_proxies": 5, "n_negatives": 4, "max_length": 9, "margin": 0.1,
    "lambda_dist": 0.2, "lambda_orthog": 0.3, "init_std": 0.3, "init_std_selector": 1.0,
    "temperature_start": 0.7, "n_users": 2,
}  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    {},
    {"target_is_negative": False},
    {"negatives": "all"},
    {"negatives": "all", "target_is_negative": False},
    {"reduction": "sum"},
    {"proxy_from": "session"},
    {"proxy_positions": "start"},
    {"short_term_positions": "end"},
    {"constraints": "penalty", "init_std": 0.8},
    {"margin": 3.0},
    {"n_negatives": 100},
    {"negatives": "all", "reduction": "sum", "proxy_from": "session", "proxy_positions": "start",
     "short_term_positions": "end", "target_is_negative": False},
]  # fmt: skip

VARIANTS: list[dict[str, Any]] = [
    *ABLATIONS.values(),
    {"expressed_by": "proxy", "projection": False, "lambda_orthog": 0},
    {"expressed_by": "short-term", "lambda_orthog": 0},
    {"expressed_by": "proxy", "proxy_by": "encoding"},
    {"proxy_by": "encoding", "proxy_from": "session", "proxy_positions": "start"},
    {"similarity": "dot", "projection": False, "lambda_orthog": 0},
    {"similarity": "dot", "expressed_by": "short-term", "lambda_orthog": 0},
    {"similarity": "dot", "expressed_by": "proxy", "proxy_by": "encoding", "lambda_dist": 0},
]  # fmt: skip
OPTIONS += [
    {"n_users": 0, **variant, **change}
    for variant in VARIANTS
    for change in (
        {},
        {"negatives": "all", "target_is_negative": False, "reduction": "sum", "margin": 3.0},
        {"constraints": "penalty", "init_std": 0.8, "short_term_positions": "end"},
    )
]


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def build(**options: Any) -> ProxySR:
    torch.manual_seed(7)
    model = ProxySR(N_ITEMS, ProxySR.Config(**(SMALL | options)))
    if model.user_bias is not None:
        torch.nn.init.normal_(model.user_bias)
    for module in model.modules():
        if isinstance(module, ShortTermEncoder):
            torch.nn.init.normal_(module.hidden.bias)
    return model


def batch() -> SessionBatch:
    """Four sessions of different length, a repeat, targets left out, known and unknown users."""
    items = torch.tensor([[0, 0, 3, 8], [5, 2, 5, 9], [0, 1, 22, 23], [0, 0, 0, 4]])
    targets = torch.tensor([[0, 0, 8, 3], [0, 0, 9, 11], [0, 22, 0, 7], [0, 0, 0, 4]])
    return SessionBatch(
        items=items,
        lengths=(items > 0).sum(1),
        targets=targets,
        users=torch.tensor([1, -1, 0, 5]),
        last_items=torch.tensor([3, 11, 7, 4]),
    )


@pytest.mark.parametrize("dense", [0, 100])  # gradients row by row, or as products
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_loss_and_gradient(
    options: dict[str, Any], dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "DENSE", dense)
    model = build(**options)
    expected = literal.loss(model, batch())
    names = [name for name, _ in model.named_parameters()]
    wanted = torch.autograd.grad(expected["total"], list(model.parameters()))
    got = model.loss(batch())
    got.total.backward()
    assert abs((got.total - expected["total"]).item()) < 1e-9
    for name, value in expected.items():
        if name != "total":
            assert abs((got.parts[name] - value).item()) < 1e-9, name
    for name, gradient in zip(names, wanted, strict=True):
        received = model.get_parameter(name).grad
        assert received is not None, name
        assert gradient.abs().max() > 0, f"{name}: nothing is compared"
        assert (received - gradient).abs().max() < 1e-9, name


def test_without_a_variant_it_is_the_class_of_the_paper() -> None:
    variant = build()
    torch.manual_seed(7)
    paper = PaperProxySR(N_ITEMS, variant.config)
    paper.load_state_dict(variant.state_dict())
    assert torch.equal(paper.loss(batch()).total, variant.loss(batch()).total)
    assert torch.equal(paper.score(batch()), variant.score(batch()))
    assert paper.state_dict().keys() == variant.state_dict().keys()


@pytest.mark.parametrize("drawn", [[5, 7, 8, 8, 11, 20, 3], list(range(23, 0, -1))], ids=len)
@pytest.mark.parametrize("memory", [2**30, 1])
@pytest.mark.parametrize(
    "options",
    [{}, {"target_is_negative": False}, {"margin": 3.0, "n_negatives": 6},
     {"reduction": "sum", "constraints": "penalty", "init_std": 0.8},
     {"n_users": 0, "similarity": "dot"}, {"n_users": 0, "projection": False, "lambda_orthog": 0}],
    ids=str,
)  # fmt: skip
def test_loss_and_gradient_among_drawn_items(
    options: dict[str, Any], memory: int, drawn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the sessions' targets, some are among the seven that are drawn and some are not."""
    model = build(sampled_negatives=14, **options)
    monkeypatch.setattr(model.sampler, "draw", lambda: torch.tensor(drawn))
    monkeypatch.setattr(sizes, "rows_within", lambda *_: 1 if memory == 1 else 2**20)
    expected = literal.loss(model, batch(), set(drawn))
    wanted = torch.autograd.grad(expected["total"], list(model.parameters()))
    got = model.loss(batch())
    got.total.backward()
    for name, value in {**expected, **got.parts}.items():
        if name in expected:
            found = got.total if name == "total" else got.parts[name]
            assert abs((found - expected[name]).item()) < 1e-9, name
        assert value.isfinite()
    for (name, parameter), gradient in zip(model.named_parameters(), wanted, strict=True):
        assert parameter.grad is not None, name
        if name == "items":
            gradient = gradient.index_fill(0, torch.tensor([0]), 0)
            assert parameter.grad.is_sparse != ("constraints" in options)
        assert (parameter.grad.to_dense() - gradient).abs().max() < 1e-9, name


@pytest.mark.parametrize("memory", [1, 2 * 2 * 8 * (N_ITEMS + 1 + 2048), 2**20])
@pytest.mark.parametrize("row", [None, "no projection", "dot product"])
def test_loss_does_not_depend_on_the_memory_budget(
    memory: int, row: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build() if row is None else build(n_users=0, **ABLATIONS[row])
    whole = model.loss(batch()).total.item()
    original = sizes.rows_within
    monkeypatch.setattr(
        sizes, "rows_within", lambda _, n_items, size: original(memory, n_items, size)
    )
    assert abs(model.loss(batch()).total.item() - whole) < 1e-12


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_scores_are_the_similarities(options: dict[str, Any]) -> None:
    model = build(**options)
    sessions, users = [[4, 2, 7], [9], [3, 3, 5, 1, 6]], [0, -1, 1]
    scores = model.score(batch_of(sessions, users=users))
    assert torch.isneginf(scores[:, 0]).all()
    for row, (clicks, user) in enumerate(zip(sessions, users, strict=True)):
        proxy, normal = literal.proxy_and_normal(model, clicks, user)
        session = literal.expressed(proxy, normal, literal.short_term(model, clicks))
        for item in range(1, N_ITEMS + 1):
            expected = literal.similarity(model, session, normal, model.items[item])
            assert abs((scores[row, item] - expected).item()) < 1e-9


@pytest.mark.parametrize(
    "options", [{}, *({"n_users": 0} | variant for variant in VARIANTS)], ids=str
)
def test_trace_is_the_forward_pass(options: dict[str, Any]) -> None:
    model = build(**options)
    sessions, users = [[4, 2, 7], [9], [3, 3, 5, 1, 6]], [0, -1, 1]
    b = batch_of(sessions, users=users)
    trace, nothing = model.trace(b), torch.zeros(6)
    assert (trace.position_logits[b.items == 0] == 0).all()
    for row, (clicks, user) in enumerate(zip(sessions, users, strict=True)):
        proxy, normal = literal.proxy_and_normal(model, clicks, user)
        interest = literal.short_term(model, clicks)
        on_plane = None if interest is None else literal.on_plane(interest, normal)
        for name, wanted in {
            "proxy": proxy, "normal": normal, "short_term": interest, "projected": on_plane,
        }.items():  # fmt: skip
            expected = nothing if wanted is None else wanted
            torch.testing.assert_close(getattr(trace, name)[row], expected)
        if model.config.chooses:
            logits, weights = literal.weigh(model, clicks, user)
            torch.testing.assert_close(trace.proxy_logits[row], logits)
            torch.testing.assert_close(trace.proxy_weights[row], weights)
            if model.user_bias is not None and user >= 0:
                logits = logits - model.user_bias[user]
            torch.testing.assert_close(trace.position_logits[row].sum(0), logits)
        else:
            assert trace.proxy_logits.shape == trace.proxy_weights.shape == (3, 0)
            assert trace.position_logits.shape == (3, 5, 0)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_what_a_variant_chooses_and_shows(variant: dict[str, Any]) -> None:
    model, b = build(n_users=0, **variant), batch_of([[4, 2, 7], [9]])
    trace, choices = model.trace(b), model.choices(b)
    shown = trace.proxy if model.config.has_proxy else trace.short_term
    torch.testing.assert_close(model.represent(b), shown)
    if model.config.chooses:
        assert torch.equal(choices["proxy"], trace.proxy_weights.argmax(1))
        forced = model.trace(b, force_proxy=3)
        assert (model.score(b, force_proxy=3) - model.score(b))[:, 1:].abs().max() > 1e-6
        assert torch.equal(forced.proxy_weights, torch.eye(5)[[3, 3]])
        return
    assert choices == {}
    for options in ({"force_proxy": 3}, {"temperature": 0.5}):
        with pytest.raises(ConfigError, match="This ProxySR chooses no proxies: force_"):
            model.score(b, **options)
        with pytest.raises(ConfigError, match="This ProxySR chooses no proxies: force_"):
            model.trace(b, **options)


def test_each_click_adds_its_own_logits() -> None:
    """``position_logits`` of a click do not depend on the other clicks, only on its place."""
    model = build(n_users=0)
    two = model.trace(batch_of([[4, 2]])).position_logits[0] * 2
    swapped = model.trace(batch_of([[8, 2]])).position_logits[0] * 2
    torch.testing.assert_close(two[1], swapped[1])
    assert (two[0] - swapped[0]).abs().max() > 1e-6


def test_forced_proxy_and_temperature() -> None:
    model = build()
    b = batch_of([[4, 2, 7], [9]])
    trace = model.trace(b, force_proxy=torch.tensor([3, 1]))
    torch.testing.assert_close(trace.proxy, model.proxies[[3, 1]].detach())
    torch.testing.assert_close(trace.normal, model.normals[[3, 1]].detach())
    cold = model.trace(b, temperature=1e-4)
    torch.testing.assert_close(cold.proxy_weights.max(dim=1).values, torch.ones(2))
    chosen = cold.proxy_logits.argmax(1)
    torch.testing.assert_close(
        model.score(b, temperature=1e-4), model.score(b, force_proxy=chosen), rtol=1e-6, atol=1e-6
    )


def test_annealing() -> None:
    model = build(temperature_start=3.0, anneal_epochs=10)
    seen = []
    for epoch in range(13):
        model.start_epoch(epoch)
        seen.append(float(model.temperature))
    assert seen[0] == 3.0
    expected = [max(3.0 * (0.01 / 3.0) ** (e / 10), 0.01) for e in range(13)]
    assert all(abs(a - b) < 1e-9 for a, b in zip(seen, expected, strict=True))


def test_constraints_hold_after_a_step() -> None:
    model = build(init_std=2.0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    model.after_step()
    for table in (model.items, model.proxies, model.proxy_positions, model.short_term_positions):
        assert table.norm(dim=1).max() <= 1 + 1e-12
    torch.testing.assert_close(model.normals.norm(dim=1), torch.ones(5))


def test_unknown_users_are_untouched_by_the_bias() -> None:
    model = build()
    b = batch_of([[4, 2, 7]], users=[-1])
    before = model.score(b)
    with torch.no_grad():
        assert model.user_bias is not None
        model.user_bias.add_(5)
    assert torch.equal(model.score(b), before)


def test_an_item_needs_another_one_to_be_told_from() -> None:
    with pytest.raises(ConfigError, match="with target_is_negative=False no negative is left"):
        ProxySR(1, ProxySR.Config(target_is_negative=False))
