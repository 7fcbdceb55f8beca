"""Ranks against a sort, metrics against hand-worked tables, and what must never pass silently."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from proxysr.config import ConfigError, Settings
from proxysr.data.batches import PrefixBatches, SessionBatch, batch_of
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.evaluation import EvalResult, evaluate, metrics_of, rank_of
from proxysr.models import ProxyModel, SessionModel
from tests.contract.small import cycles, small


class TableModel(SessionModel):
    """Scores that are a fixed row for each last click; row 0 for every other."""

    Config = Settings

    def __init__(self, table: Tensor) -> None:
        super().__init__(table.shape[1] - 1)
        self.register_buffer("table", table.float())
        self.batches: list[SessionBatch] = []

    def score(self, batch: SessionBatch) -> Tensor:
        self.batches.append(batch)
        assert isinstance(self.table, Tensor)
        scores = self.table[batch.items[:, -1]].clone()
        scores[:, 0] = -torch.inf
        return scores

    def represent(self, batch: SessionBatch) -> Tensor:
        return self.score(batch)[:, 1:]


def table(n_items: int = 5, **rows: list[float]) -> Tensor:
    scores = torch.zeros(n_items + 1, n_items + 1)
    for name, row in rows.items():
        scores[int(name[1:]), 1:] = torch.tensor(row)
    return scores


HAND = TableModel(table(_1=[5.0, 4.0, 3.0, 2.0, 1.0], _2=[5.0, 4.0, 3.0, 2.0, 1.0]))


def test_hand_worked_unseen() -> None:
    """After 1, item 1 is out: 2 is first, 4 third. After (1, 2), 3 is first."""
    result = evaluate(HAND, Sessions.from_lists([[1, 2, 3], [1, 4]]), ks=(1, 2, 5))
    assert result.ranks["rank"].tolist() == [1, 1, 3]
    assert result.ranks["position"].tolist() == [1, 2, 1]
    assert result.ranks["target"].tolist() == [2, 3, 4]
    assert result.ranks["session_id"].tolist() == [0, 0, 1]
    assert result.metrics == pytest.approx(
        {"R@1": 2 / 3, "MRR@1": 2 / 3, "R@2": 2 / 3, "MRR@2": 2 / 3, "R@5": 1.0, "MRR@5": 7 / 9}
    )


def test_hand_worked_repeat() -> None:
    """Nothing is masked: after 1, item 1 itself is first."""
    result = evaluate(HAND, Sessions.from_lists([[1, 1, 2, 1], [1, 4]]), task="repeat")
    assert result.ranks["rank"].tolist() == [1, 2, 1, 4]
    assert result.n_targets == 4


def test_min_prefix_leaves_out_early_targets() -> None:
    result = evaluate(HAND, Sessions.from_lists([[1, 2, 3], [1, 4]]), min_prefix=2)
    assert result.ranks["target"].tolist() == [3]


@pytest.mark.parametrize(("ties", "expected"), [("mean", 2.5), ("best", 1.0), ("worst", 4.0)])
def test_a_constant_model_lands_in_the_middle(ties: Any, expected: float) -> None:
    constant = TableModel(table())
    result = evaluate(constant, Sessions.from_lists([[1, 2]]), ties=ties)
    assert result.ranks["rank"].tolist() == [expected]  # of the four items that are left


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.data())
def test_rank_is_that_of_a_sort(scores: list[int], data: st.DataObject) -> None:
    target = data.draw(st.integers(0, len(scores) - 1))
    better = sum(s > scores[target] for s in scores)
    tied = sum(s == scores[target] for s in scores)
    row, column = torch.tensor([scores]).float(), torch.tensor([target])
    assert rank_of(row, column, "best").item() == better + 1
    assert rank_of(row, column, "worst").item() == better + tied
    assert rank_of(row, column, "mean").item() == better + (tied + 1) / 2


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_metrics_grow_with_k_and_recall_bounds_mrr(ranks: list[int]) -> None:
    metrics = metrics_of(np.array(ranks, dtype=float), ks=(1, 5, 20, 60))
    recalls = [metrics[f"R@{k}"] for k in (1, 5, 20, 60)]
    mrrs = [metrics[f"MRR@{k}"] for k in (1, 5, 20, 60)]
    assert recalls == sorted(recalls)
    assert mrrs == sorted(mrrs)
    assert all(mrr <= recall for mrr, recall in zip(mrrs, recalls, strict=True))
    assert recalls[-1] == 1.0
    assert mrrs[-1] == pytest.approx(sum(1 / r for r in ranks) / len(ranks))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    scores = table()
    scores[1, 3] = bad
    with pytest.raises(FloatingPointError, match="TableModel gave scores that are not finite"):
        evaluate(TableModel(scores), Sessions.from_lists([[1, 2]]))


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(ConfigError, match="none of the 1 sessions has a target.*smaller min_pref"):
        evaluate(HAND, Sessions.from_lists([[1, 2]]), min_prefix=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "unsen"}, "'unsen' is not a known task. Did you mean 'unseen'"),
        ({"ties": "avg"}, "'avg' is not a known rule for ties"),
        ({"ks": (0, 5)}, r"ks are list lengths from 1 on; received \[0, 5\]"),
        ({"ks": ()}, r"ks are list lengths from 1 on; received \[\]"),
        ({"min_prefix": 0}, "min_prefix is at least 1; received 0"),
        ({"ks": 5}, r"ks are list lengths, such as \(5, 20\); received 5"),
        ({"history": Sessions.from_lists([[1, 2]])}, "history is a list of Sessions, such as"),
        (
            {"history": [1]},
            "each of history is of Sessions, such as .*; received one of int",
        ),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(HAND, Sessions.from_lists([[1, 2]]), **arguments)


def test_a_whole_split_is_not_evaluated(tiny_split: SessionSplit) -> None:
    with pytest.raises(ConfigError, match=r"such as split.test; received one of SessionSplit"):
        evaluate(HAND, tiny_split)  # type: ignore[arg-type]


def results_equal(a: EvalResult, b: EvalResult) -> bool:
    return a.metrics == b.metrics and a.ranks.equals(b.ranks)


def test_the_memory_budget_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sessions = small("proxysr"), cycles(40, seed=1)
    whole = evaluate(model, sessions, task="repeat")
    monkeypatch.setattr("proxysr.evaluation.FEWEST_ROWS", 1)
    pieces = evaluate(model, sessions, task="repeat", memory=41 * 4 * 3)
    assert whole.ranks["rank"].tolist() == pieces.ranks["rank"].tolist()


@pytest.mark.parametrize("task", ["unseen", "repeat"])
def test_a_very_long_session_takes_little_memory(task: Any) -> None:
    """Rows of a batch times the clicks of its longest prefix stay below a bound."""
    n, cells = 3000, []
    model = TableModel(torch.rand(41, 41))
    clicks = np.random.default_rng(0).integers(1, 41, size=n).tolist()
    sessions = Sessions.from_lists([clicks, [1, 2], [3, 4, 5]])
    batches = PrefixBatches(sessions, task="repeat", min_prefix=1, max_length=n, device="cpu")
    for picked, batch, ends, _, seen in batches.batches(rows=10**6, cells=10**5):
        assert seen is None
        assert ends is None
        cells.append(len(picked) * int(batch.items.shape[1]))
    assert n**2 / 2 < sum(cells) < n**2
    assert max(cells) <= 10**5
    whole = evaluate(model, sessions, task=task, memory=2**40)
    assert len(model.batches) == 1
    assert results_equal(whole, evaluate(model, sessions, task=task, memory=2**15))
    assert len(model.batches) > (60 if task == "repeat" else 2)


def test_items_that_the_model_does_not_know_are_refused() -> None:
    with pytest.raises(ConfigError, match="hold item index 6, but the model knows only 5 items"):
        evaluate(HAND, Sessions.from_lists([[1, 2], [3, 6]]))


def test_model_mode_is_restored() -> None:
    model = small("proxysr").train()
    evaluate(model, cycles(5, seed=1))
    assert model.training


def test_choices_stand_beside_the_ranks() -> None:
    model, sessions = small("proxysr"), cycles(20, seed=1)
    ranks = evaluate(model, sessions).ranks
    assert ranks["proxy"].between(0, 7).all()
    assert ranks["probability"].between(1 / 8, 1).all()


def test_long_prefixes_mask_everything_that_was_seen() -> None:
    """The item clicked first lies outside the model's window, and is left out all the same."""
    model = TableModel(table(_2=[9.0, 1.0, 5.0, 1.0, 1.0]))
    model.max_length = 2
    result = evaluate(model, Sessions.from_lists([[1, 4, 2, 3]]), min_prefix=3)
    assert model.batches[-1].items.tolist() == [[4, 2]]
    assert result.ranks["rank"].tolist() == [1]


@pytest.mark.parametrize("name", ["latent_proxy", "proxysr"])
@pytest.mark.parametrize("task", ["unseen", "repeat"])
def test_forced_proxies_are_those_of_each_target(name: str, task: Any) -> None:
    """Against one prefix after the other; sessions are read whole or prefix by prefix."""
    model, sessions = small(name).eval(), cycles(12, seed=3)
    assert isinstance(model, ProxyModel)
    model.prepare(sessions)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=torch.manual_seed(1))
    prefixes = sessions.prefixes(task, 2)
    n = len(prefixes.target)
    weights = torch.rand(n, model.n_proxies, generator=torch.manual_seed(2)).softmax(dim=1)
    for forced in (weights, torch.randint(model.n_proxies, (n,))):
        found = evaluate(
            model, sessions, task=task, min_prefix=2, force_proxy=forced, memory=64 * 4 * 41
        ).ranks
        for i, (session, length, target) in enumerate(zip(*prefixes, strict=True)):
            clicks = sessions[session][:length].tolist()
            scores = model.score(batch_of([clicks]), force_proxy=forced[i : i + 1])
            if task == "unseen":
                scores[0, clicks] = -torch.inf
            assert found["rank"][i] == float(rank_of(scores, torch.tensor([target])))
        chosen = forced.argmax(dim=1) if forced.dim() == 2 else forced
        assert found["proxy"].tolist() == chosen.tolist()
    assert (found["rank"] != evaluate(model, sessions, task=task, min_prefix=2).ranks["rank"]).any()


def test_proxies_are_forced_target_by_target_or_not_at_all() -> None:
    sessions = Sessions.from_lists([[1, 2, 3], [1, 4]])
    with pytest.raises(ConfigError, match="for each of 3 targets .*; received 2 for a LatentProxy"):
        evaluate(small("latent_proxy"), sessions, force_proxy=torch.tensor([0, 1]))
    with pytest.raises(ConfigError, match="received 3 for a TableModel"):
        evaluate(HAND, sessions, force_proxy=torch.tensor([0, 1, 0]))
