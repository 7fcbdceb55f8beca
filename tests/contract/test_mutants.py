"""Each check of the contract catches a model that is broken just there, and no other check does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from proxysr.data.batches import SessionBatch
from proxysr.data.sessions import Sessions
from proxysr.models import LatentProxy, Loss, ProxyTrace
from proxysr.models.base import Answer, Ends
from proxysr.models.softmax import SoftmaxConfig, SoftmaxModel
from proxysr.testing import ContractError, check_model, checks_of, learning, proxies, scores
from tests.contract.small import NAMES, SMALL, case


class Latest(SoftmaxModel):
    """A session is its latest click; keeps the contract."""

    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        clicks = self.embed(batch.items)
        return clicks[:, -1] if ends is None else clicks[ends]


class PaddingIsRecommended(Latest):
    def score(self, batch: SessionBatch) -> Tensor:
        scores = super().score(batch)
        scores[:, 0] = 0
        return scores

    def answer(self, batch: SessionBatch, ends: Ends | None = None) -> Answer:
        return Answer(self.score(batch)[None], {})


class OtherTiles(Latest):
    def answer(self, batch: SessionBatch, ends: Ends | None = None) -> Answer:
        return Answer(2 * super().answer(batch).tiles, {})


class LooksAtItsNeighbours(Latest):
    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        vectors = super().encode(batch, ends)
        return vectors + 0.5 * vectors.mean(dim=0)


class ReadsTooMuch(Latest):
    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        clicks = self.embed(batch.items)
        vectors = clicks + 0.1 * clicks.cumsum(dim=1)
        return vectors[:, -1] if ends is None else vectors[ends]

    def vectors(self, batch: SessionBatch) -> Tensor:
        return self.encode(batch)


class Counts(Latest):
    def __init__(self, n_items: int, config: SoftmaxConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.register_buffer("calls", torch.zeros(()))

    def score(self, batch: SessionBatch) -> Tensor:
        self.calls += 1
        return super().score(batch)


class OneVector(Latest):
    def represent(self, batch: SessionBatch) -> Tensor:
        return super().represent(batch)[0]


class OneSeed(Latest):
    def __init__(self, n_items: int, config: SoftmaxConfig | None = None) -> None:
        super().__init__(n_items, config)
        table = np.random.default_rng(0).normal(size=self.items.shape) * 0.1
        self.items.data = torch.from_numpy(table).float()


class Forgets(Latest):
    def __init__(self, n_items: int, config: SoftmaxConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.popularity = torch.zeros(n_items + 1)  # no buffer

    def prepare(self, train: Sessions) -> None:
        counts = np.bincount(train.items, minlength=self.n_items + 1)
        self.popularity = torch.from_numpy(counts).float() / counts.max()

    @property
    def biases(self) -> Tensor:
        return self.popularity


class TakesAnything(Latest):
    def __init__(self, n_items: int, config: Any = None) -> None:
        super().__init__(max(n_items, 1), config if isinstance(config, SoftmaxConfig) else None)


class PartWithGraph(Latest):
    def loss(self, batch: SessionBatch) -> Loss:
        total = super().loss(batch).total
        return Loss(total, {"part": total})


class NoGradient(Latest):
    def __init__(self, n_items: int, config: SoftmaxConfig | None = None) -> None:
        super().__init__(n_items, config)
        self.useless = nn.Parameter(torch.ones(3))

    def loss(self, batch: SessionBatch) -> Loss:
        return Loss(super().loss(batch).total + 0 * self.useless.sum(), {})


class HardlyFalls(Latest):
    def loss(self, batch: SessionBatch) -> Loss:
        return Loss(super().loss(batch).total + 50, {})


class CountsItsSteps(Latest):
    steps = 0  # no buffer

    def after_step(self) -> None:
        self.steps += 1

    def loss(self, batch: SessionBatch) -> Loss:
        return Loss(super().loss(batch).total * (1 + 0.1 * (self.steps % 7)), {})


class Peeks(Latest):
    def encode(self, batch: SessionBatch, ends: Ends | None = None) -> Tensor:
        last = self.embed(batch.items)[:, -1]
        return 1.5 * last if ends is None else super().encode(batch, ends) + 0.5 * last[ends[0]]


class KnowsTheTarget(Latest):
    def score(self, batch: SessionBatch) -> Tensor:
        scores = super().score(batch)
        scores[torch.arange(len(scores)), batch.targets[:, -1]] += 100
        return scores

    def answer(self, batch: SessionBatch, ends: Ends | None = None) -> Answer:
        return Answer(self.score(batch)[None], {})


class WorstFirst(Latest):
    def vectors(self, batch: SessionBatch) -> Tensor:
        return -super().vectors(batch)


class AnswersLate(LatentProxy):
    def answer(self, batch: SessionBatch, ends: Ends | None = None, **options: Any) -> Answer:
        if ends is not None:
            ends = ends[0], (ends[1] + 1).clamp(max=batch.items.shape[1] - 1)
        return super().answer(batch, ends, **options)


class RepresentsBySomethingElse(LatentProxy):
    def represent(self, batch: SessionBatch) -> Tensor:
        return self.trace(batch).short_term


class Changed(LatentProxy):
    """Its traces are changed by :meth:`change`."""

    def trace(self, batch: SessionBatch, **options: Any) -> ProxyTrace:
        return self.change(super().trace(batch, **options), **options)

    def change(self, trace: ProxyTrace, **options: Any) -> ProxyTrace:
        raise NotImplementedError


class AddsUpWrongly(Changed):
    def change(self, trace: ProxyTrace, **options: Any) -> ProxyTrace:
        return trace._replace(prior_logits=trace.prior_logits + 1)


class LooksAtTheBatch(Changed):
    def change(self, trace: ProxyTrace, **options: Any) -> ProxyTrace:
        return trace._replace(short_term=trace.short_term * len(trace.short_term))


class ForcesTheFirst(LatentProxy):
    def trace(self, batch: SessionBatch, **options: Any) -> ProxyTrace:
        if isinstance(options.get("force_proxy"), int):
            options["force_proxy"] = 0
        return super().trace(batch, **options)


class IgnoresWeights(LatentProxy):
    def trace(self, batch: SessionBatch, **options: Any) -> ProxyTrace:
        if isinstance(options.get("force_proxy"), Tensor):
            options["force_proxy"] = None
        return super().trace(batch, **options)


class ChoosesHalf(LatentProxy):
    def choices(self, batch: SessionBatch) -> dict[str, Tensor]:
        choices = super().choices(batch)
        return choices | {"probability": choices["probability"] / 2}


class OtherPath(LatentProxy):
    def path(self, batch: SessionBatch) -> Tensor:
        return super().path(batch) / 2


class ReplacedByMore(LatentProxy):
    def replaced(self, batch: SessionBatch, items: Tensor) -> Tensor:
        return super().replaced(batch, items) * 2


class ForcesNothing(LatentProxy):
    def score(self, batch: SessionBatch, **options: Any) -> Tensor:
        return super().score(batch)


SMALL_LATEST = {"embedding_dim": 32, "max_length": 12}
ONE_PROXY = SMALL["latent_proxy"] | {"n_proxies": 1}
MUTANTS: dict[str, tuple[type[Latest | LatentProxy], str]] = {
    "scores_are_finite_and_padding_has_none": (PaddingIsRecommended, r"\[0.0, 0.0, .* column PAD"),
    "tiles_are_the_scores": (OtherTiles, "tiles less scores, beside item 1's"),
    "scores_depend_on_the_session_alone": (LooksAtItsNeighbours, "in a batch, beside alone"),
    "only_the_latest_clicks_count": (ReadsTooMuch, "17 clicks, beside the latest"),
    "scoring_changes_nothing": (Counts, "changed: calls"),
    "vectors_and_choices_are_one_a_session": (OneVector, r"vectors \(32,\) of 4 sessions"),
    "the_seed_decides_the_weights": (OneSeed, "the same values of another seed"),
    "saved_weights_give_the_same_scores": (Forgets, "loaded, beside saved"),
    "settings_are_kept_and_checked": (TakesAnything, r"no ValueError for arguments \(0,\)"),
    "prefixes_are_answered_as_alone": (AnswersLate, "beside each prefix alone"),
    "loss_and_parts_are_scalars": (PartWithGraph, "part part with a graph"),
    "every_parameter_gets_a_gradient": (NoGradient, "only zeros of useless"),
    "one_batch_is_overfitted": (HardlyFalls, r"a loss of 53\.\d+, then 5\d\."),
    "resumed_training_is_the_uninterrupted_one": (CountsItsSteps, "other values of items"),
    "later_clicks_do_not_change_earlier_losses": (Peeks, "with two different last clicks"),
    "nothing_is_found_where_nothing_is": (KnowsTheTarget, r"R@5 is 1\.00, not below 0\.20"),
    "planted_order_is_learnt": (WorstFirst, r"R@5 is 0\.\d\d, not above 0\.85"),
    "traces_have_their_shapes": (RepresentsBySomethingElse, "represent, beside trace.proxy"),
    "logits_are_the_prior_and_the_addends": (AddsUpWrongly, "prior and addends, beside the logi"),
    "weights_are_the_softmax_at_the_temperature": (ChoosesHalf, "choices have other probabilitie"),
    "a_forced_proxy_takes_all_weight": (ForcesTheFirst, "not all weight on 5"),
    "given_weights_replace_the_models": (IgnoresWeights, "trace has other weights than those giv"),
    "the_path_is_what_each_prefix_is_weighed_by": (OtherPath, "path, beside each prefix alone"),
    "traces_depend_on_the_read_clicks_alone": (LooksAtTheBatch, "short_term with padding, company"),
    "replaced_addends_are_those_of_the_edited_session": (ReplacedByMore, "by its own item, beside"),
    "without_proxies_none_is_forced": (ForcesNothing, r"no ConfigError when asked for {'force_pro"),
}
"""By the check that is to fail: a model, and what is reported of it."""
TRAINED = ("nothing_is_found_where_nothing_is", "planted_order_is_learnt")


def test_every_check_has_a_mutant() -> None:
    checks = {check.__name__ for name in NAMES for check in checks_of(case(name))}
    assert {*MUTANTS} == checks


def test_a_model_that_keeps_the_contract_passes() -> None:
    passed = check_model(Latest, SMALL_LATEST)
    expected = [*scores.CHECKS, *learning.CHECKS]
    assert passed[: len(expected)] == [check.__name__ for check in expected]
    assert {*TRAINED} <= {*passed}
    quick = check_model(LatentProxy, SMALL["latent_proxy"], quick=True)
    assert {check.__name__ for check in proxies.CHECKS} <= {*quick}
    assert not {*TRAINED} & {*quick}


@pytest.mark.parametrize("check", MUTANTS)
def test_a_mutant_is_caught_just_there(check: str) -> None:
    mutant, message = MUTANTS[check]
    proxied = ONE_PROXY if mutant is ForcesNothing else SMALL["latent_proxy"]
    config = proxied if issubclass(mutant, LatentProxy) else SMALL_LATEST
    with pytest.raises(ContractError, match=message) as caught:
        check_model(mutant, config, quick=check not in TRAINED)
    assert [*caught.value.failures] == [check], caught.value


def test_one_report_tells_of_all_that_fails() -> None:
    class Broken(OneVector, OtherTiles):
        def loss(self, batch: SessionBatch) -> Loss:
            raise KeyError("nothing here")

    with pytest.raises(ContractError) as caught:
        check_model(Broken, SMALL_LATEST, quick=True)
    report = str(caught.value)
    assert report.startswith("Broken breaks 7 of 14 promises:\n- tiles_are_the_scores: Answer g")
    assert "for a number added to all scores of a row. Here: tiles less scores" in report
    assert "- one_batch_is_overfitted: Within 150 steps" in report
    assert "Here: KeyError: 'nothing here'" in report
    assert "scores_depend_on_the_session_alone" not in report


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match="takes a subclass of SessionModel; received <class 'int'>"):
        check_model(int)  # type: ignore[type-var]
    with pytest.raises(ValueError, match="'embeding_dim' is not a known option of SoftmaxConfig"):
        check_model(Latest, {"embeding_dim": 3})
    with pytest.raises(ValueError, match="n_proxies is 64, but there are only 33 training sess"):
        check_model(LatentProxy)
