"""Intervals and p-values: known answers, luck looks like luck, sessions are what is drawn."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from proxysr.__main__ import main
from proxysr.analysis.significance import (
    CompareConfig,
    Contender,
    bootstrap,
    compare,
    compare_runs,
    holm,
    permutation,
)
from proxysr.config import ConfigError
from proxysr.data.sessions import SessionSplit
from proxysr.running import evaluate_run, train_run
from proxysr.training import TrainConfig

QUICK = CompareConfig(metrics=("R@1",), resamples=400)
MRR = CompareConfig(metrics=("MRR@20",), resamples=50)


def frame(ranks: list[float], sessions: list[int] | None = None) -> pd.DataFrame:
    """Ranks as an evaluation leaves them; each target a session of its own if left out."""
    sessions = list(range(len(ranks))) if sessions is None else sessions
    return pd.DataFrame(
        {"session_id": sessions, "position": range(len(ranks)), "target": 1, "rank": ranks}
    )


def random_ranks(n: int, seed: int, share: float = 0.5) -> pd.DataFrame:
    """Rank 1 for a share of the targets, else 2; three targets a session that agree mostly."""
    random = np.random.default_rng(seed)
    hit = random.random(n)[:, None] * 0.7 + random.random((n, 3)) * 0.3 < share
    return frame((2.0 - hit).ravel().tolist(), np.repeat(np.arange(n), 3).tolist())


def test_differences_are_those_of_the_metrics() -> None:
    a, b = frame([1, 3, 30, 2]), frame([2, 1, 4, 2])
    config = CompareConfig(metrics=("R@20", "MRR@2"), resamples=50)
    found = compare([Contender("a", [a]), Contender("b", [b])], config)
    assert found["run"].tolist() == ["a", "a", "b", "b"]
    assert found["metric"].tolist() == ["R@20", "MRR@2"] * 2
    assert found["value"].tolist() == [0.75, 0.375, 1.0, 0.5]
    assert found["difference"].fillna(-1).tolist() == [-1, -1, 0.25, 0.125]
    assert set(found["n_targets"]) == set(found["n_sessions"]) == {4}
    held = compare([Contender("a", [a]), Contender("b", [b])], config, reference="b")
    assert held["run"].tolist() == ["b", "b", "a", "a"]
    assert held["difference"][2:].tolist() == [-0.25, -0.125]


def test_equal_ranks_differ_by_nothing() -> None:
    same = random_ranks(30, seed=1)
    row = compare([Contender("a", [same]), Contender("b", [same])], QUICK).iloc[1]
    assert (row["difference"], row["difference_low"], row["difference_high"]) == (0, 0, 0)
    assert (row["p_value"], row["p_holm"]) == (1, 1)


def test_a_real_difference_is_found() -> None:
    a, b = random_ranks(300, seed=1, share=0.5), random_ranks(300, seed=2, share=0.8)
    row = compare([Contender("a", [a]), Contender("b", [b])], QUICK).iloc[1]
    assert 0.1 < row["difference_low"] < row["difference"] < row["difference_high"] < 0.5
    assert row["p_value"] == pytest.approx(1 / 401)


def test_luck_looks_like_luck() -> None:
    """Without a difference p-values are uniform, and a 90 % interval holds 0 in about 90 %."""
    config = QUICK.replace(resamples=199, confidence=0.9)
    rows = pd.concat(
        [
            compare(
                [
                    Contender("a", [random_ranks(60, seed=2 * trial)]),
                    Contender("b", [random_ranks(60, seed=2 * trial + 1)]),
                ],
                config.replace(seed=trial),
            ).iloc[1:]
            for trial in range(200)
        ]
    )
    assert 0.44 < rows["p_value"].mean() < 0.56
    assert 0.05 < (rows["p_value"] <= 0.1).mean() < 0.16
    assert 0.83 < ((rows["difference_low"] <= 0) & (rows["difference_high"] >= 0)).mean() < 0.96


def test_targets_of_a_session_go_together() -> None:
    """Ten copies of each target tell no more than one: interval and p-value stay."""
    a, b = random_ranks(40, seed=1)["rank"], random_ranks(40, seed=2)["rank"]
    once = np.arange(len(a))
    tenfold = np.repeat(once, 10)
    rows = [
        compare(
            [
                Contender("a", [frame(a[which].tolist(), which.tolist())]),
                Contender("b", [frame(b[which].tolist(), which.tolist())]),
            ],
            QUICK,
        ).iloc[1]
        for which in (once, tenfold)
    ]
    for name in ("difference", "difference_low", "difference_high", "p_value"):
        assert rows[0][name] == pytest.approx(rows[1][name]), name


def sums_and_counts() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    random = np.random.default_rng(5)
    counts = random.integers(1, 6, size=12)
    return (random.normal(0.25, 1, size=12) * counts)[:, None], counts


def test_intervals_are_those_of_scipy() -> None:
    sums, counts = sums_and_counts()
    found = bootstrap(sums, counts, CompareConfig(resamples=40_000))
    theirs = stats.bootstrap(
        (sums[:, 0], counts),
        lambda s, n, axis: s.sum(axis=axis) / n.sum(axis=axis),
        paired=True, vectorized=True, n_resamples=40_000, method="percentile", rng=1,
    ).confidence_interval  # fmt: skip
    assert found[:, 0] == pytest.approx([theirs.low, theirs.high], abs=0.02)


def test_p_values_are_those_of_scipy() -> None:
    sums, _ = sums_and_counts()
    found = permutation(sums, CompareConfig(resamples=40_000))
    exact = stats.permutation_test((sums[:, 0],), np.sum, permutation_type="samples").pvalue
    assert 0.02 < exact < 0.9
    assert found[0] == pytest.approx(exact, abs=0.01)


def test_memory_budgets_change_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    sums, counts = sums_and_counts()
    whole = permutation(sums, QUICK)
    monkeypatch.setattr("proxysr.analysis.significance.MEMORY", 50)
    assert permutation(sums, QUICK) == pytest.approx(whole, abs=0.1)
    assert bootstrap(sums, counts, QUICK).shape == (2, 1)


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        ([0.02], [0.02]),
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),
        ([0.9, 0.001, 0.6], [1.0, 0.003, 1.0]),
    ],
)
def test_holm(p_values: list[float], corrected: list[float]) -> None:
    assert holm(np.array(p_values)) == pytest.approx(corrected)


def test_seeds_of_a_contender_are_averaged() -> None:
    a = frame([1, 2, 2, 2])
    b = Contender("b", [frame([1, 1, 2, 2]), frame([1, 2, 1, 2])])
    found = compare([Contender("a", [a]), b], QUICK)
    assert found["value"].tolist() == [0.25, 0.5]
    assert found["seeds"].tolist() == [1, 2]
    assert found["sd"].fillna(-1).tolist() == [-1, 0]
    assert found.loc[1, ["least", "most"]].tolist() == [0.25, 0.25]


@pytest.mark.parametrize(
    ("seeds_a", "seeds_b", "expected"),
    [
        ((0, 1), (0, 1), (0.25, 0.5)),
        ((0, 1), (1, 0), (0.0, 0.75)),  # in any order
        ((1, 0), (0, 1), (0.0, 0.75)),
        ((0, 1), (1, 2), (0.0, 0.0)),  # only seed 1 is in both
        ((0, 1), (2, 3), (np.nan, np.nan)),
        ((), (), (0.25, 0.5)),  # in their order
        ((None, None), (2, 3), (0.0, 0.75)),  # a model that counts stands against every seed
    ],
)
def test_differences_over_seeds_are_of_runs_of_one_seed(
    seeds_a: tuple[int, ...], seeds_b: tuple[int, ...], expected: tuple[float, float]
) -> None:
    a = Contender("a", [frame([1, 2, 2, 2]), frame([1, 1, 2, 2])], seeds_a)
    b = Contender("b", [frame([1, 1, 2, 2]), frame([1, 1, 1, 1])], seeds_b)
    row = compare([a, b], QUICK).iloc[1]
    assert row[["least", "most"]].tolist() == pytest.approx(expected, nan_ok=True)
    assert row["difference"] == 0.375, "the mean is of all seeds"


@pytest.mark.parametrize(
    ("contenders", "options", "message"),
    [
        ([frame([1, 2])], {}, "needs at least two runs; received 1"),
        ([frame([1], [7]), frame([2], [7])], {}, "needs at least two sessions; received 1"),
        ([frame([1, 2]), frame([1, 2])], {"metrics": ("NDCG@5",)}, "R@20; received 'NDCG@5'"),
    ],
)
def test_what_cannot_be_compared(
    contenders: list[pd.DataFrame], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        compare(
            [Contender(f"run {i}", [ranks]) for i, ranks in enumerate(contenders)],
            QUICK.replace(**options),
        )


def test_ranks_of_other_targets_are_refused() -> None:
    contenders = [Contender("a", [frame([1, 2])]), Contender("b", [frame([1, 2], [5, 6])])]
    with pytest.raises(ValueError, match=r"ranks of b and of a are not of the same targets"):
        compare(contenders, QUICK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ()}, "at least one metric; received none"),
        ({"metrics": "R@20,R@5,R@20"}, "metrics names each metric once; received twice: R@20"),
        ({"resamples": 0}, "resamples is at least 1; received 0"),
        ({"confidence": 1.0}, "confidence is between 0 and 1; received 1.0"),
        ({"seed": -1}, "seed is not negative; received -1"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CompareConfig(**options)


# -- runs ----------------------------------------------------------------------------------


@pytest.fixture
def runs(tiny_split: SessionSplit, tmp_path: Path) -> dict[str, Path]:
    """Two models that count, and two that are trained with two seeds."""
    data = tmp_path / "data"
    tiny_split.save(data)
    made = {}
    for name, model, seed in [
        ("pop", "popularity", 0),
        ("cooc", "cooccurrence", 0),
        ("sr-1", "proxysr", 1),
        ("sr-2", "proxysr", 2),
        ("mean-1", "mean", 1),
        ("mean-2", "mean", 2),
    ]:
        made[name] = tmp_path / name
        own = {"proxysr": {"embedding_dim": 4, "n_proxies": 2}, "mean": {"embedding_dim": 4}}
        settings = own.get(model)
        train = TrainConfig(epochs=1, seed=seed, device="cpu", valid_task="repeat")
        train_run(data, made[name], model=model, model_config=settings, train=train, progress=False)
        evaluate_run(made[name], device="cpu", progress=False)
    return made


def test_runs_are_compared_at_the_task_of_the_first(runs: dict[str, Path]) -> None:
    found, facts = compare_runs([runs["pop"], runs["cooc"]], config=QUICK)
    assert (facts["part"], facts["task"], facts["min_prefix"]) == ("test", "repeat", 1)
    assert [fact["model"] for fact in facts["runs"]] == ["popularity", "cooccurrence"]
    assert found["run"].tolist() == [str(runs["pop"]), str(runs["cooc"])]
    assert (found["n_targets"][0], found["n_sessions"][0]) == (5, 2)
    saved = json.loads((runs["cooc"] / "metrics.json").read_text())["test-repeat"]["metrics"]
    again = compare_runs([runs["pop"], runs["cooc"]], config=QUICK.replace(metrics=("MRR@5",)))[0]
    assert again["value"][1] == pytest.approx(saved["MRR@5"])


def test_seeds_are_grouped_on_request(runs: dict[str, Path]) -> None:
    paths = [runs[name] for name in ("cooc", "sr-1", "sr-2")]
    found, facts = compare_runs(paths, group_seeds=True, config=QUICK)
    assert found["run"].tolist() == [str(runs["cooc"]), f"{runs['sr-1']} (2 seeds)"]
    assert facts["runs"][1]["seeds"] == [1, 2]
    assert len(compare_runs(paths, config=QUICK)[0]) == 3
    copy = shutil.copytree(runs["sr-1"], runs["sr-1"].with_name("copy"))
    with pytest.raises(ConfigError, match=r"have equal settings and seeds \(1, 1\)"):
        compare_runs([runs["cooc"], runs["sr-1"], copy], group_seeds=True)


def test_the_order_of_runs_does_not_change_the_differences_over_seeds(
    runs: dict[str, Path],
) -> None:
    def differences(*names: str) -> list[float]:
        found, facts = compare_runs([runs[n] for n in names], group_seeds=True, config=MRR)
        assert [len(fact["seeds"]) for fact in facts["runs"]] == [2, 2]
        values: list[float] = found.iloc[1][["difference", "least", "most"]].tolist()
        return values

    expected = differences("sr-1", "sr-2", "mean-1", "mean-2")
    assert expected[1] < expected[2]
    for others in (("mean-2", "mean-1"), ("mean-1", "mean-2")):
        assert differences("sr-2", "sr-1", *others) == pytest.approx(expected)


def test_a_run_that_is_named_twice_is_named(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    again = runs["pop"].parent / "cooc" / ".." / "pop"
    with pytest.raises(ConfigError, match=r"pop is named twice\. Name every run once"):
        compare_runs([runs["pop"], runs["cooc"], again])
    ranks = frame([1, 2])
    with pytest.raises(ConfigError, match=r"^a is named twice"):
        compare([Contender(name, [ranks]) for name in ("a", "a", "b")], QUICK)
    assert main(["compare", str(runs["pop"]), str(runs["pop"])]) == 2
    assert f"{runs['pop']} is named twice" in capsys.readouterr().err


def test_runs_without_ranks_are_told_how_to_get_them(runs: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=r"no ranks for test, task 'unseen', yet. Make them with"):
        compare_runs([runs["pop"], runs["cooc"]], task="unseen")


def test_other_fewest_clicks_are_refused(runs: dict[str, Path]) -> None:
    evaluate_run(runs["cooc"], min_prefix=2, device="cpu", progress=False)
    message = r"after at least 2 click\(s\), .*pop after at least 1\. .*cooc --split test --task "
    with pytest.raises(ValueError, match=message + r"repeat --min-prefix 1`"):
        compare_runs([runs["pop"], runs["cooc"]])


def test_runs_on_other_data_are_refused(
    runs: dict[str, Path], tiny_split: SessionSplit, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    SessionSplit(
        tiny_split.valid, tiny_split.valid, tiny_split.test, tiny_split.items, tiny_split.users
    ).save(other)
    config = TrainConfig(valid_task="repeat", device="cpu")
    train_run(other, tmp_path / "run", model="popularity", train=config, progress=False)
    evaluate_run(tmp_path / "run", device="cpu", progress=False)
    message = r"run was trained on other data \(.*other\) than .*pop .*Train it there: `proxysr"
    with pytest.raises(ValueError, match=message):
        compare_runs([runs["pop"], tmp_path / "run"])


def test_stale_ranks_are_refused(runs: dict[str, Path]) -> None:
    path = runs["cooc"] / "metrics.json"
    saved = json.loads(path.read_text())
    saved["test-repeat"]["epoch"] = 7
    path.write_text(json.dumps(saved))
    with pytest.raises(
        ValueError, match=r"ranks are of epoch 7, the best epoch is 0. Evaluate it again"
    ):
        compare_runs([runs["pop"], runs["cooc"]])


def test_one_run_is_too_few(runs: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="needs at least two runs; received 1"):
        compare_runs([runs["pop"]])
