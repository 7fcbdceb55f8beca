"""Tables of several runs say what their kept ranks say, in every slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from proxysr.analysis.comparison import (
    as_read,
    by_clicks,
    compare_by,
    comparison_table,
    runs_for,
    runs_table,
)
from proxysr.analysis.significance import CompareConfig, Contender, compare, contenders_of
from proxysr.config import ConfigError
from proxysr.data.sessions import SessionSplit
from proxysr.evaluation import metrics_of
from proxysr.run import RunDir
from proxysr.running import evaluate_run, train_run
from proxysr.training import TrainConfig

QUICK = CompareConfig(metrics=("R@5", "MRR@2"), resamples=200)

Groups = Mapping[str, Sequence[RunDir]]


@pytest.fixture
def groups(tiny_split: SessionSplit, tmp_path: Path) -> Groups:
    """Two models that count, and one that is trained with two seeds."""
    data = tmp_path / "data"
    tiny_split.save(data)
    made: dict[str, list[RunDir]] = {}
    for name, model, seed in [
        ("best-sellers", "popularity", 0),
        ("mean", "mean", 1),
        ("mean", "mean", 2),
        ("pairs", "cooccurrence", 0),
    ]:
        folder = tmp_path / f"{name}-{seed}"
        train = TrainConfig(epochs=1, seed=seed, device="cpu")
        settings = {"embedding_dim": 4} if model == "mean" else None
        run = train_run(data, folder, model=model, model_config=settings, train=train,
                        progress=False)  # fmt: skip
        for task in ("unseen", "repeat"):
            evaluate_run(folder, task=task, device="cpu", progress=False)  # type: ignore[arg-type]
        made.setdefault(name, []).append(run)
    return made


def test_values_are_those_of_the_kept_ranks(groups: Groups) -> None:
    table = comparison_table(groups, reference="pairs", config=QUICK)
    assert len(table) == 3 * 2 * 2
    assert table["run"].drop_duplicates().tolist() == list(groups)
    for row in table.to_dict("records"):
        runs = groups[row["run"]]
        kept = [run.ranks("test", row["task"])["rank"].to_numpy() for run in runs]
        k = int(row["metric"].partition("@")[2])
        means = [metrics_of(ranks, [k])[row["metric"]] for ranks in kept]
        assert row["value"] == pytest.approx(np.mean(means))
        assert row["low"] <= row["value"] <= row["high"]
        assert row["seeds"] == len(runs)
        assert row["kind"] == ("learned" if row["run"] == "mean" else "counting")
        assert row["model"] == runs[0].model_name


def test_differences_are_those_of_compare(groups: Groups) -> None:
    table = comparison_table(groups, reference="mean", tasks=("repeat",), config=QUICK)
    contenders, _ = contenders_of(
        [(name, groups[name]) for name in ("mean", "best-sellers", "pairs")], "test", "repeat"
    )
    expected = compare(contenders, QUICK).set_index(["run", "metric"])
    for row in table.to_dict("records"):
        if row["run"] == "mean":
            assert np.isnan([row["difference"], row["p_value"], row["p_holm"]]).all()
            continue
        theirs = expected.loc[(row["run"], row["metric"])]
        assert row["difference"] == theirs["difference"]
        assert row["difference_low"] == theirs["difference_low"]
        assert row["difference_high"] == theirs["difference_high"]
        assert row["p_holm"] == theirs["p_holm"]


def test_slices_add_up_to_the_whole(groups: Groups) -> None:
    slices = by_clicks(groups, metric="R@5", before=(1, 2, 3), task="repeat", config=QUICK)
    assert slices["clicks"].drop_duplicates().tolist() == ["1", "2", "3 and more"]
    whole = comparison_table(groups, reference="mean", tasks=("repeat",), config=QUICK)
    whole = whole[whole["metric"] == "R@5"].set_index("run")["value"]
    for run, rows in slices.groupby("run"):
        assert rows["n_targets"].tolist() == [2, 2, 1]
        assert rows["n_sessions"].tolist() == [2, 2, 1]
        mean = (rows["value"] * rows["n_targets"]).sum() / rows["n_targets"].sum()
        assert mean == pytest.approx(whole[run])
        assert rows["low"].isna().tolist() == [False, False, True]


def test_a_slice_holds_the_targets_after_so_many_clicks(groups: Groups) -> None:
    ranks = groups["pairs"][0].ranks("test", "repeat")
    found = by_clicks(
        {"pairs": groups["pairs"]}, metric="MRR@5", before=(2, 5), task="repeat", config=QUICK
    )
    inside = ranks[(ranks["position"] >= 2) & (ranks["position"] < 5)]
    assert found["clicks"].tolist() == ["2–4"]  # no session is longer
    assert found["value"].item() == metrics_of(inside["rank"].to_numpy(), [5])["MRR@5"]


def test_differences_by_clicks(groups: Groups) -> None:
    config = {"metric": "R@5", "before": (1, 2), "task": "repeat", "config": QUICK}
    own = by_clicks(groups, **config).set_index(["run", "clicks"])  # type: ignore[arg-type]
    gain = by_clicks(groups, reference="pairs", **config)  # type: ignore[arg-type]
    assert gain["run"].drop_duplicates().tolist() == ["best-sellers", "mean"]
    for row in gain.to_dict("records"):
        a, b = (own.loc[(run, row["clicks"]), "value"] for run in (row["run"], "pairs"))
        assert row["value"] == pytest.approx(a - b)
        assert row["low"] <= row["value"] <= row["high"]


def test_a_table_to_read(groups: Groups) -> None:
    table = comparison_table(groups, reference="pairs", config=QUICK)
    shown = as_read(table, "repeat", digits=2)
    values = table[(table["task"] == "repeat") & (table["metric"] == "R@5")]
    best = values.sort_values("value", ascending=False, kind="stable")
    assert shown.index.tolist() == best["run"].tolist()
    assert list(shown) == [
        "R@5", "R@5, difference", "R@5, seeds", "R@5, p (Holm)",
        "MRR@2", "MRR@2, difference", "MRR@2, seeds", "MRR@2, p (Holm)",
    ]  # fmt: skip
    row = values.set_index("run").loc["mean"]
    text = f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    assert shown.loc["mean", "R@5"] == text
    assert shown.loc["pairs", "R@5, difference"] == shown.loc["pairs", "R@5, p (Holm)"] == ""
    unpaired = as_read(table.assign(least=np.nan, most=np.nan), "repeat")["R@5, seeds"]
    assert unpaired.to_dict() == {"pairs": "", "mean": "–", "best-sellers": "–"}


def test_what_was_trained(groups: Groups) -> None:
    table = runs_table(groups)
    assert table["run"].tolist() == ["best-sellers", "mean", "mean", "pairs"]
    assert table["seed"].tolist() == [0, 1, 2, 0]
    assert table["epochs"].tolist() == [1] * 4
    assert table["best_epoch"].tolist() == [0] * 4
    expected = [run.history()["R@20"].item() for runs in groups.values() for run in runs]
    assert table["validation R@20"].tolist() == expected


def test_each_task_counts_the_runs_trained_for_it(
    groups: Groups, tiny_split: SessionSplit, tmp_path: Path
) -> None:
    train = TrainConfig(epochs=2, valid_task="repeat", device="cpu")
    data, folder = tmp_path / "data", tmp_path / "mean-repeat"
    special = train_run(data, folder, model="mean", model_config={"embedding_dim": 4},
                        train=train, progress=False)  # fmt: skip
    evaluate_run(folder, task="repeat", device="cpu", progress=False)
    mixed = dict(groups) | {"mean": [*groups["mean"], special]}
    assert runs_for(mixed["mean"], "unseen") == list(groups["mean"])
    assert runs_for(mixed["mean"], "repeat") == [special]
    assert runs_for(groups["pairs"], "repeat") == list(groups["pairs"])
    for task, runs in [("unseen", groups["mean"]), ("repeat", [special])]:
        alone = dict(groups) | {"mean": runs}
        both = [comparison_table(g, reference="pairs", tasks=(task,), config=QUICK)  # type: ignore[arg-type]
                for g in (mixed, alone)]  # fmt: skip
        pd.testing.assert_frame_equal(*both)
        slices = [by_clicks(g, metric="R@5", task=task, config=QUICK) for g in (mixed, alone)]  # type: ignore[arg-type]
        pd.testing.assert_frame_equal(*slices)
    assert runs_table(mixed)["valid_task"].tolist() == ["unseen"] * 3 + ["repeat", "unseen"]


def test_what_cannot_be_compared(groups: Groups) -> None:
    with pytest.raises(ConfigError, match="'pears' is not a known run of this .*mean 'pairs'"):
        comparison_table(groups, reference="pears")
    with pytest.raises(ConfigError, match="no other run to compare with 'pairs'"):
        by_clicks({"pairs": groups["pairs"]}, reference="pairs")
    with pytest.raises(ConfigError, match=r"ascend from 1 on; received \[3, 2\]"):
        by_clicks(groups, before=(3, 2))
    with pytest.raises(ConfigError, match="no rows of task 'unseen'"):
        as_read(comparison_table(groups, reference="mean", tasks=("repeat",)), "unseen")


def test_other_fewest_clicks_are_refused(groups: Groups) -> None:
    evaluate_run(groups["pairs"][0].path, min_prefix=2, device="cpu", progress=False)
    with pytest.raises(ValueError, match=r"pairs-0 was evaluated after at least 2 click\(s\)"):
        comparison_table(groups, reference="mean", tasks=("unseen",))


def test_kinds_are_compared_each_by_itself(groups: Groups) -> None:
    ranks = {name: [run.ranks("test", "repeat") for run in runs] for name, runs in groups.items()}
    first = {
        name: [frame[frame["position"] == 1].reset_index(drop=True) for frame in frames]
        for name, frames in ranks.items()
    }
    kinds = {
        kind: [Contender(name, some[name]) for name in ("mean", "pairs")]
        for kind, some in {"all": ranks, "first": first}.items()
    }
    table = compare_by("clicks", kinds, reference="pairs", config=QUICK)
    assert table["clicks"].drop_duplicates().tolist() == ["all", "first"]
    for kind, some in {"all": ranks, "first": first}.items():
        rows = table[table["clicks"] == kind].set_index(["run", "metric"])
        assert set(rows["n_targets"]) == {len(some["pairs"][0])}
        assert set(rows["n_sessions"]) == {some["pairs"][0]["session_id"].nunique()}
        for metric in QUICK.metrics:
            own, base = rows.loc[("mean", metric)], rows.loc[("pairs", metric)]
            assert (own["seeds"], base["seeds"]) == (2, 1)
            k = int(metric.partition("@")[2])
            means = [metrics_of(f["rank"].to_numpy(), [k])[metric] for f in some["mean"]]
            change = [mean - base["value"] for mean in means]
            assert own["difference"] == pytest.approx(np.mean(change))
            assert (own["least"], own["most"]) == pytest.approx((min(change), max(change)))
            assert np.isnan([base["difference"], base["least"], base["most"]]).all()
    with pytest.raises(ConfigError, match="'mea' is not a known run"):
        compare_by("clicks", kinds, reference="mea", config=QUICK)
