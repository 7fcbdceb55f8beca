"""LatentProxy against its equations, written out with loops over clicks, proxies and items."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from proxysr.data.batches import SessionBatch, TrainingBatches, batch_of
from proxysr.data.sessions import PAD, Sessions
from proxysr.evaluation import evaluate, rank_of
from proxysr.models import calibration
from proxysr.models.latent_proxy import PLACES, LatentProxy
from proxysr.models.latent_proxy_config import LatentProxyConfig
from proxysr.optimizer import RowAdam
from proxysr.priors import posteriors, priors

N_ITEMS, K = 9, 3
SESSIONS = [[4, 2, 7, 2, 2, 9, 4], [9], [3, 3, 5, 1], [8, 8], [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 5, 5]]


def model_of(**options: Any) -> LatentProxy:
    """A model whose parameters are all random, in float64."""
    settings = {"embedding_dim": 5, "n_proxies": K, "scale": 4.0, "max_length": 12}
    settings |= {"temperature": 1.5} | options
    model = LatentProxy(N_ITEMS, LatentProxyConfig.from_dict(settings))
    generator = torch.Generator().manual_seed(3)
    model.double()
    model.prepare(Sessions.from_lists(SESSIONS))
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator).double()
    model.items.data[PAD] = 0
    model.repeat_level += 0.3
    return model.eval()


class Literal:
    """The same numbers, one at a time."""

    def __init__(self, model: LatentProxy) -> None:
        self.scale, self.attention = model.config.scale, getattr(model, "attention", None)
        self.transition = model.transition.detach()
        self.e = [row / row.norm() if row.norm() > 0 else row for row in model.items.detach()]
        self.p, self.strength = list(model.proxies.detach()), model.strength.item()
        self.general_weight = model.config.general_weight
        self.a = model.places.detach().tolist()
        self.b, self.level = model.repeat_bias.tolist(), float(model.repeat_level)
        self.temperature = float(model.temperature)
        weights = [math.exp(w) for w in model.log_weights.tolist()]
        self.w = [w / sum(weights) for w in weights]
        counts = np.bincount([i for s in SESSIONS for i in s], minlength=N_ITEMS + 1)
        self.popularity = [count + 0.5 for count in counts.tolist()]
        self.times = [1.0] * (N_ITEMS + 1)

    def short_term(self, clicks: list[int]) -> Tensor:
        """Equation 1."""
        weights = []
        for u, item in enumerate(clicks):
            weight = self.a[len(clicks) - 1 - u]
            if self.attention is not None:
                weight += float(self.e[clicks[-1]] @ self.attention.detach() @ self.e[item])
            weights.append(math.exp(weight))
        mixed = sum(
            w / sum(weights) * self.e[item] for w, item in zip(weights, clicks, strict=True)
        )
        mixed = mixed + self.transition @ self.e[clicks[-1]]
        return mixed / mixed.norm()

    def next_click(self, clicks: list[int], k: int) -> list[float]:
        """Equation 2, or 3 without clicks: the probability of each item, ``[0]`` for padding."""
        found = [0.0]
        for item in range(1, N_ITEMS + 1):
            by_proxy = float(self.p[k] @ self.e[item])
            if not clicks:
                found.append(self.popularity[item] * math.exp(by_proxy))
                continue
            logit = self.scale * float(self.short_term(clicks) @ self.e[item])
            logit += self.strength * by_proxy
            if item in clicks:
                place = clicks[::-1].index(item)
                logit += self.b[min(place, PLACES - 1)]
            found.append(math.exp(logit))
        normaliser = sum(n * x for n, x in zip(self.times, found, strict=True))
        return [x / normaliser for x in found]

    def posterior(self, clicks: list[int], prior: list[float] | None = None) -> list[float]:
        """Equation 4."""
        weights = []
        for k in range(len(self.p)):
            weight = (self.w if prior is None else prior)[k]
            for item in clicks:
                weight *= self.next_click([], k)[item]
            weights.append(weight ** (1 / self.temperature) if clicks else weight)
        return [w / sum(weights) for w in weights]

    def recommended(self, clicks: list[int], prior: list[float] | None = None) -> list[float]:
        """Equation 5."""
        weights = self.posterior(clicks, prior)
        by_proxy = [self.next_click(clicks, k) for k in range(len(self.p))]
        return [
            sum(w * p[item] for w, p in zip(weights, by_proxy, strict=True))
            for item in range(N_ITEMS + 1)
        ]

    def scores(self, clicks: list[int], prior: list[float] | None = None) -> Tensor:
        """Their logarithms, and the level added to items clicked already."""
        found = torch.tensor(self.recommended(clicks, prior), dtype=torch.float64).log()
        found[sorted(set(clicks))] += self.level
        return found

    def loss(self, sessions: list[list[int]]) -> float:
        """Equation 6, over the number of targets."""
        terms = [
            -math.log(self.recommended(clicks[:t])[clicks[t]])
            for clicks in sessions
            for t in range(1, len(clicks))
        ]
        general = self.general_weight * sum(self.general(clicks[:-1]) for clicks in sessions)
        return (sum(terms) + general) / len(terms)

    def general(self, clicks: list[int]) -> float:
        """The last part of equation 6."""
        likelihood = 0.0
        for k, weight in enumerate(self.w):
            by_itself = self.next_click([], k)
            likelihood += weight * math.prod(by_itself[item] for item in clicks)
        return -math.log(likelihood)


OPTIONS: list[dict[str, Any]] = [{}, {"attention": True}, {"n_proxies": 1}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_scores_are_log_probabilities(options: dict[str, Any]) -> None:
    model = model_of(**options)
    model.temperature.fill_(2.7)
    literal = Literal(model)
    for clicks, row in zip(SESSIONS, model.score(batch_of(SESSIONS)), strict=True):
        torch.testing.assert_close(row, literal.scores(clicks), rtol=0, atol=1e-9)


@pytest.mark.parametrize("short", [1, 32])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_loss(options: dict[str, Any], short: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxysr.kernels.rows.SHORT", short)  # sessions in parts, or in one
    model = model_of(**options)
    sessions = [clicks for clicks in SESSIONS if len(clicks) > 1]
    batches = TrainingBatches(
        Sessions.from_lists(sessions), task="repeat", min_prefix=1, max_length=12, batch_size=9,
        seed=0, device="cpu",
    )  # fmt: skip
    loss = model.loss(next(batches.epoch(0)))
    assert loss.total.item() == pytest.approx(Literal(model).loss(sessions), abs=1e-9)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_loss_with_drawn_items(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Items of the batch count once, 3 and 9 as often as they make up for items like them."""
    model, sessions = model_of(sampled_negatives=4, **options), [[4, 2, 7, 2, 8], [8, 8]]
    monkeypatch.setattr(model.sampler, "draw", lambda: torch.tensor([3, 9, 9, 4]))
    literal, expected = Literal(model), expected_times_of(model)
    literal.times = [0, 0, 1, 1 / expected[3], 1, 0, 0, 1, 1, 2 / expected[9]]
    batches = TrainingBatches(
        Sessions.from_lists(sessions), task="repeat", min_prefix=1, max_length=12, batch_size=9,
        seed=0, device="cpu",
    )  # fmt: skip
    batch = next(batches.epoch(0))
    loss = model.loss(batch).total
    assert loss.item() == pytest.approx(literal.loss(sessions), abs=1e-9)
    loss.backward()
    # the derivative in a random direction
    torch.manual_seed(0)
    steps = {name: 1e-5 * torch.randn_like(p) for name, p in model.named_parameters()}
    slope = sum(float((p.grad.to_dense() * steps[n]).sum()) for n, p in model.named_parameters())
    values = []
    for sign in (1, -2):
        for name, parameter in model.named_parameters():
            parameter.data += sign * steps[name]
        values.append(model.loss(batch).total.item())
    assert (values[0] - values[1]) / 2 == pytest.approx(slope, rel=1e-6)


def expected_times_of(model: LatentProxy) -> list[float]:
    """Counts to the power of 3/4, in proportion, so that they sum up to four draws."""
    counts = np.bincount([i for s in SESSIONS for i in s], minlength=N_ITEMS + 1) ** 0.75
    return [0.0, *(4 * counts[1:] / counts[1:].sum()).tolist()]


def test_loss_asks_for_targets_only_and_reads_all_clicks() -> None:
    model = model_of()
    literal, clicks = Literal(model), [4, 2, 7, 2, 9]
    targets = torch.tensor([[0, 7, 0, 9]])
    batch = SessionBatch(torch.tensor([clicks[:4]]), torch.tensor([4]), targets)
    terms = [-math.log(literal.recommended(clicks[:t])[clicks[t]]) for t in (2, 4)]
    expected = (sum(terms) + 0.1 * literal.general(clicks[:4])) / 2
    assert model.loss(batch).total.item() == pytest.approx(expected, abs=1e-9)


def test_gradients() -> None:
    model = model_of(n_proxies=2, attention=True)
    batch = SessionBatch(
        torch.tensor([[4, 2, 4, 7], [0, 0, 3, 3]]), torch.tensor([4, 2]),
        torch.tensor([[2, 4, 7, 2], [0, 0, 3, 5]]),
    )  # fmt: skip
    parameters = dict(model.named_parameters())
    names = list(parameters)

    def loss(*values: Tensor) -> Tensor:
        model.zero_grad()
        return torch.func.functional_call(model, dict(zip(names, values, strict=True)), (batch,))

    model.forward = lambda batch: model.loss(batch).total  # type: ignore[method-assign]
    assert torch.autograd.gradcheck(loss, tuple(parameters.values()), atol=1e-6)


def test_posteriors_after_each_click_and_addends() -> None:
    model = model_of()
    literal, batch = Literal(model), batch_of(SESSIONS)
    path, trace = model.path(batch), model.trace(batch)
    for row, clicks in enumerate(SESSIONS):
        start = batch.items.shape[1] - len(clicks)
        assert (path[row, :start] == 0).all()
        for t in range(len(clicks)):
            expected = torch.tensor(literal.posterior(clicks[: t + 1]), dtype=torch.float64)
            torch.testing.assert_close(path[row, start + t], expected, rtol=0, atol=1e-9)
            logs = [math.log(literal.next_click([], k)[clicks[t]]) for k in range(K)]
            addend = torch.tensor(logs, dtype=torch.float64)
            torch.testing.assert_close(
                trace.position_logits[row, start + t], addend - addend.mean(), rtol=0, atol=1e-9
            )
    torch.testing.assert_close(trace.proxy_weights, path[:, -1], rtol=0, atol=1e-12)
    assert trace.posterior is not None
    torch.testing.assert_close(trace.posterior, path, rtol=0, atol=0)
    torch.testing.assert_close(
        trace.proxy_logits,
        trace.prior_logits + trace.position_logits.sum(dim=1),
        rtol=0,
        atol=1e-12,
    )


def test_first_clicks() -> None:
    model = model_of()
    nothing = torch.zeros(2, 1, dtype=torch.long)
    batch = SessionBatch(nothing, torch.zeros(2, dtype=torch.long), nothing)
    prior = torch.tensor([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]]).double()
    for given in (None, prior):
        scores = model.score(batch._replace(prior=given)).exp()
        for row, of_row in zip(
            scores, [None, None] if given is None else given.tolist(), strict=True
        ):
            expected = torch.tensor(Literal(model).recommended([], of_row), dtype=torch.float64)
            torch.testing.assert_close(row, expected, rtol=0, atol=1e-9)


def test_a_person_with_earlier_sessions() -> None:
    """Equation 7, and only with what came before."""
    model = model_of(prior_strength=1.5)
    literal = Literal(model)
    earlier = Sessions.from_lists([[4, 2], [9, 1, 1], [], [3]], user_index=[0, 1, 0, -1])
    sessions = Sessions.from_lists([[7], [5, 2], [8], [6, 6]], user_index=[0, 0, -1, 2])
    found = priors(model, sessions, [earlier])
    # a session without clicks says nothing, and is none of those that count
    own = [literal.posterior([4, 2]), literal.posterior([7])]
    for row, seen in enumerate([own[:1], own, [], []]):
        weights = [
            (1.5 * literal.w[k] + sum(one[k] for one in seen)) / (1.5 + len(seen)) for k in range(K)
        ]
        np.testing.assert_allclose(found[row].tolist(), weights, rtol=0, atol=1e-9)


@pytest.mark.parametrize("tile", [4, 2048])
def test_evaluation_reads_a_session_once_for_all_its_prefixes(
    tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranks are those of each prefix by itself, also where sessions are longer than is read."""
    monkeypatch.setattr("proxysr.kernels.sizes.TILE", tile)
    model = model_of(max_length=5)
    sessions = Sessions.from_lists(SESSIONS, user_index=[0, 1, 0, -1, 1])
    history = [Sessions.from_lists([[1, 2], [9]], user_index=[0, 1])]
    for task in ("unseen", "repeat"):
        for given in ([], history):
            known = priors(model, sessions, given) if given else None
            result = evaluate(model, sessions, task=task, min_prefix=0, history=given)
            for row in result.ranks.itertuples():
                session = int(row.session_id)
                before = SESSIONS[session][: row.position]
                kept = torch.tensor([before[-5:] or [PAD]])
                batch = SessionBatch(kept, (kept != PAD).sum(1), torch.zeros_like(kept))
                if known is not None:
                    batch = batch._replace(prior=known[[session]])
                scores = model.score(batch)
                if task == "unseen":
                    scores[0, before] = -torch.inf
                assert row.rank == rank_of(scores, torch.tensor([row.target])).item()
            assert len(result.ranks) == sum(sessions.is_target(task, 0))


def test_posteriors_of_sessions() -> None:
    model = model_of()
    found = posteriors(model, Sessions.from_lists([[4, 2], [], [9]]))
    expected = [Literal(model).posterior([4, 2]), [0.0] * K, Literal(model).posterior([9])]
    np.testing.assert_allclose(found.tolist(), expected, rtol=0, atol=1e-7)


def test_the_item_tables_follow_the_parameters() -> None:
    model = model_of()
    before = model.score(batch_of(SESSIONS))
    with torch.no_grad():
        model.proxies += 1.0
    after = model.score(batch_of(SESSIONS))
    assert not torch.allclose(before.exp(), after.exp())
    torch.testing.assert_close(after[0], Literal(model).scores(SESSIONS[0]), rtol=0, atol=1e-9)


def test_the_item_tables_follow_the_steps_of_training() -> None:
    """In the same mode, and by an optimizer whose fused steps leave no other trace."""
    model = model_of()
    model.score(batch_of(SESSIONS))  # makes the tables
    optimizer = RowAdam(model.parameters(), lr=0.1, fused=True)
    targets = torch.tensor([[2, 7, 9]])
    model.loss(SessionBatch(torch.tensor([[4, 2, 7]]), torch.tensor([3]), targets)).total.backward()
    optimizer.step()
    after = model.score(batch_of(SESSIONS))
    torch.testing.assert_close(after[0], Literal(model).scores(SESSIONS[0]), rtol=0, atol=1e-9)


def test_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """The likeliest temperature, then the level with the best MRR@20, tried one after the other."""
    temperatures, levels = [1.0, 2.0, 5.0], [-4.0, -2.0, 0.0, 2.0]
    monkeypatch.setattr(calibration, "TEMPERATURES", temperatures)
    monkeypatch.setattr(calibration, "LEVELS", levels)
    model, sessions = model_of(), [[4, 2, 4, 7], [3, 3, 5], [1, 2, 9, 6], [9, 9, 9]]
    model.calibrate(Sessions.from_lists(sessions))
    chosen = float(model.temperature), float(model.repeat_level)
    ends = [(clicks[:t], clicks[t]) for clicks in sessions for t in range(1, len(clicks))]
    likelihoods, reciprocals = [], []
    for temperature in temperatures:
        model.temperature.fill_(temperature)
        literal = Literal(model)
        likelihoods.append(sum(math.log(literal.recommended(seen)[item]) for seen, item in ends))
    assert temperatures[int(np.argmax(likelihoods))] == chosen[0]
    model.temperature.fill_(chosen[0])
    for level in levels:
        model.repeat_level.fill_(level)
        literal = Literal(model)
        scores = [literal.scores(seen) for seen, _ in ends]
        ranks = [int((s > s[item]).sum()) + 1 for s, (_, item) in zip(scores, ends, strict=True)]
        reciprocals.append(sum(1 / rank for rank in ranks))
    assert levels[int(np.argmax(reciprocals))] == chosen[1]
    assert min(levels) < chosen[1]


def test_a_log_without_repeats_makes_them_rare() -> None:
    model = model_of()
    model.calibrate(Sessions.from_lists([[4, 2, 7], [1, 9, 3, 5]]))
    assert float(model.repeat_level) == min(calibration.LEVELS)
