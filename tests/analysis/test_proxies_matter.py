"""Proxies that are replaced are those that are said, and the rule is applied as it is written."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from proxysr.analysis import proxies_matter as pm
from proxysr.analysis.comparison import compare_by
from proxysr.analysis.significance import CompareConfig
from proxysr.config import ConfigError
from proxysr.data.batches import batch_of
from proxysr.data.sessions import Sessions
from proxysr.evaluation import evaluate, rank_of
from proxysr.models import ProxyModel
from proxysr.run import RunDir
from proxysr.running import evaluate_run, train_run
from proxysr.training import TrainConfig
from tests.contract.small import cycles, small, split_of

QUICK = CompareConfig(resamples=100)


def some_model(name: str, sessions: Sessions) -> ProxyModel:
    model = small(name).eval()
    assert isinstance(model, ProxyModel)
    model.prepare(sessions)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=torch.manual_seed(1))
    return model


def test_the_other_session_is_another_one_of_about_the_same_length() -> None:
    sessions = cycles(60, seed=2)
    found = pm.others(sessions, seed=1)
    assert sorted(found) == list(range(60))
    assert (found != np.arange(60)).all()
    lengths = sessions.lengths
    assert (lengths[found] == lengths).mean() > 0.85  # each length begins with one of another
    assert np.array_equal(pm.others(sessions, seed=1), found)
    assert not np.array_equal(pm.others(sessions, seed=2), found)


@pytest.mark.parametrize("name", ["latent_proxy", "proxysr"])
def test_weights_are_those_after_as_many_clicks_of_the_other_session(name: str) -> None:
    clicks = [[4, 2, 7, 9], [9, 8], [3, 3, 5, 1, 6], [12, 13, 14], [1]]
    sessions, other = Sessions.from_lists(clicks), np.array([1, 2, 3, 2, 0])
    model = some_model(name, cycles(50, seed=1))
    prefixes = sessions.prefixes("repeat", 1)
    found = pm.weights_of_others(model, sessions, prefixes, other)
    assert len(found) == 3 + 1 + 4 + 2
    for row, (session, length, _) in zip(found, zip(*prefixes, strict=True), strict=True):
        read = clicks[other[session]][:length]  # fewer, if it has fewer
        torch.testing.assert_close(row, model.weigh(batch_of([read]))[1][0])
    begun = sessions.prefixes("repeat", 0)
    with pytest.raises(ConfigError, match="each needs one at least"):
        pm.weights_of_others(model, sessions, begun, other)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[RunDir]]:
    """Two seeds with six proxies, and with one."""
    folder = tmp_path_factory.mktemp("matter")
    data = split_of(cycles(150, seed=1), cycles(30, seed=2), cycles(60, seed=3)).save(
        folder / "data"
    )
    made: dict[str, list[RunDir]] = {}
    for k in (6, 1):
        for seed in (0, 1):
            path = folder / f"{k}-{seed}"
            train = TrainConfig(
                epochs=3, seed=seed, learning_rate=0.02, batch_size=16, valid_min_prefix=2,
                device="cpu",
            )  # fmt: skip
            settings = {"embedding_dim": 8, "n_proxies": k}
            run = train_run(
                data, path, model="latent_proxy", model_config=settings, train=train, progress=False
            )
            evaluate_run(path, task="unseen", device="cpu", progress=False)
            made.setdefault("with" if k > 1 else "without", []).append(run)
    return made


def test_replaced_ranks_are_those_of_one_prefix_after_the_other(
    runs: dict[str, list[RunDir]],
) -> None:
    run = runs["with"][0]
    model, sessions, kept = run.model(), run.split().test, run.ranks()
    assert isinstance(model, ProxyModel)
    found = pm.replaced_ranks(run, seed=5)
    assert list(found) == [pm.LEADING, pm.RANDOM, pm.OTHER]
    other = pm.others(sessions, seed=5)
    rows = zip(*sessions.prefixes("unseen", 2), strict=True)
    for i, (session, length, target) in enumerate(rows):
        clicks = sessions[session][:length].tolist()
        batch = batch_of([clicks])
        weights = model.weigh(batch_of([sessions[other[session]][:length].tolist()]))[1]
        for name, forced in ((pm.LEADING, model.weigh(batch)[1].argmax(1)), (pm.OTHER, weights)):
            scores = model.score(batch, force_proxy=forced)
            scores[0, clicks] = -torch.inf
            assert found[name]["rank"][i] == float(rank_of(scores, torch.tensor([target])))
    assert found[pm.LEADING]["proxy"].tolist() == kept["proxy"].tolist()
    dealt = found[pm.RANDOM].groupby("session_id")["proxy"]
    assert (dealt.nunique() == 1).all()
    chosen = [
        int(model.weigh(batch_of([s.tolist()]))[1].argmax())
        for s in map(sessions.__getitem__, range(60))
    ]
    assert sorted(dealt.first()) == sorted(chosen), "as many sessions for each proxy"
    assert dealt.first().reindex(sessions.session_ids).tolist() != chosen


def test_sides_are_of_the_same_targets(runs: dict[str, list[RunDir]]) -> None:
    found = pm.sides(runs["with"], runs["without"], tasks=["unseen"])
    names = [contender.name for contender in found["unseen"]]
    assert names == [pm.WITHOUT, pm.WITH, pm.LEADING, pm.RANDOM, pm.OTHER]
    assert all(len(contender.ranks) == 2 for contender in found["unseen"])
    table = compare_by("task", found, reference=pm.WITHOUT, config=QUICK)
    verdict = pm.Verdict.of(table, "unseen")
    means = {
        key: np.mean(
            [evaluate(r.model(), r.split().test, min_prefix=2).metrics["R@20"] for r in some]
        )
        for key, some in runs.items()
    }
    cost = (means["with"] - means["without"]) / means["with"]
    assert verdict.cost == pytest.approx(cost)
    assert verdict.low <= cost <= verdict.high
    assert (verdict.seeds, verdict.n_sessions) == (
        2,
        runs["with"][0].ranks()["session_id"].nunique(),
    )
    with pytest.raises(ConfigError, match=r"received the seeds \[0, 1\] and \[1, 0\]"):
        pm.sides(runs["with"], runs["without"][::-1])
    with pytest.raises(ConfigError, match="received the seeds .* and \\[\\]"):
        pm.sides([], [])
    with pytest.raises(ConfigError, match="no row of R@20 with proxies under 'repeat'"):
        pm.Verdict.of(table, "repeat")


@pytest.mark.parametrize(
    ("difference", "low", "matters"),
    [(0.004, 0.001, True), (0.003, 0.001, False), (0.02, -0.001, False), (-0.02, -0.03, False)],
)
def test_the_rule(difference: float, low: float, matters: bool) -> None:
    row = {"task": "unseen", "run": pm.WITH, "metric": "R@20", "value": 0.4, "seeds": 3,
           "n_sessions": 1200, "difference": difference, "difference_low": low,
           "difference_high": 0.03}  # fmt: skip
    verdict = pm.Verdict.of(pd.DataFrame([row]), "unseen")
    assert verdict.matters == matters
    assert verdict.cost == pytest.approx(difference / 0.4)
    assert str(verdict).startswith(f"Proxies {'' if matters else 'do not '}matter on this log: ")
    assert f"changes by {-difference / 0.4:+.1%} [-7.5%, {-low / 0.4:+.1%}]" in str(verdict)
    assert "1,200 sessions and 3 seeds" in str(verdict)


@pytest.mark.parametrize(("high", "better"), [(-0.001, "better"), (0.001, "no better")])
def test_nulls_are_beaten_or_not(high: float, better: str) -> None:
    rows = [
        {"task": "unseen", "metric": "R@20", "run": name, "value": 0.4, "difference": -0.02,
         "difference_low": -0.03, "difference_high": high}
        for name in (pm.WITH, pm.LEADING, pm.RANDOM, pm.OTHER)
    ]  # fmt: skip
    assert pm.null_sentences(pd.DataFrame(rows), "unseen") == [
        f"The clicks choose proxies {better} than “{name}”: with these, R@20 (unseen) changes by "
        f"-5.0% [-7.5%, {high / 0.4:+.1%}]."
        for name in (pm.RANDOM, pm.OTHER)
    ]


def test_a_model_without_choice_is_refused(runs: dict[str, list[RunDir]]) -> None:
    with pytest.raises(ConfigError, match="has one proxy, which all sessions share"):
        pm.replaced_ranks(runs["without"][0])
