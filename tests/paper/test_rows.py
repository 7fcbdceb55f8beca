"""Runs become rows: of several settings of one model, validation chooses, and never the test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxysr.analysis.significance import CompareConfig
from proxysr.data.sessions import Task
from proxysr.data.sources import SOURCES
from proxysr.experiments import Spec, Variant, run_spec
from proxysr.paper.evidence import Evidence, find_runs
from proxysr.paper.known_users import data_of_shares, share_specs
from proxysr.paper.page import results_page
from proxysr.paper.rows import Row, main_rows, runs_by_data, runs_by_share
from proxysr.paper.tabulated import tabulated
from proxysr.run import RunDir
from proxysr.running import evaluate_run
from tests.paper.small import evidence, hits

BEST, OTHER = "cooccurrence (window 2)", "cooccurrence (window 50)"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two settings of one model, of which the test sessions like the other better."""
    folder = tmp_path_factory.mktemp("rows")
    sizes = {"n_sessions": 200, "n_items": 60, "n_interests": 2}
    SOURCES["synthetic"].prepare("synthetic", **sizes).save(folder / "shop")
    settings = [
        Variant(f"window {n}", "cooccurrence", {"window": n, "direction": "forward"})
        for n in (50, 2)
    ]
    spec = Spec(folder / "shop", [*settings, Variant("popularity", "popularity")])
    assert run_spec(spec, folder / "runs", device="cpu", progress=False).holes == []
    return folder / "runs"


@pytest.fixture(scope="module")
def rows(runs: Path) -> list[Row]:
    (data,) = runs_by_data(find_runs([runs])[0])
    return main_rows(data, "unseen").models


def page_of(folders: list[Path], reference: str, config: CompareConfig) -> str:
    evidence, holes = find_runs(folders)
    assert holes == []
    logs = tabulated(evidence, reference=reference, config=config)
    return results_page(logs, reference=reference)


def test_settings_of_one_model_are_ordered_by_validation(rows: list[Row]) -> None:
    assert [row.label for row in rows] == [BEST, OTHER, "popularity"]
    validation = [RunDir(row.runs[0].path).history()["R@20"].max() for row in rows]
    assert [row.validation("unseen") for row in rows] == [(True, v) for v in validation]
    assert rows[0].validation("repeat") == (False, validation[0])
    assert validation[0] > validation[1]
    assert rows[0].mean("unseen", "R@20") < rows[1].mean("unseen", "R@20")


def test_the_reference_is_the_row_that_validation_chose(runs: Path) -> None:
    config = CompareConfig(resamples=1000)
    for reference in ("cooccurrence", "narm"):  # of the second there is no run
        page = page_of([runs], reference, config)
        assert page.count(f"; differences to {BEST}.") == 2
        assert OTHER in page
    page = page_of([runs], "cooccurrence", config)
    assert page.splitlines()[2].startswith(
        "**cooccurrence has the highest R@20 in 2 of 2 tables of models, on 1 data set, with 1 "
        "other model each; in 2 it is ahead of every other model"
    )
    assert page.count(f"Of the settings of cooccurrence, validation chose {BEST}.") == 2
    assert f"{OTHER}," not in page.partition("## shop")[0]


def test_settings_of_one_model_alone_have_no_leader(runs: Path) -> None:
    alone = [path.parent for path in runs.glob("*/config.json")
             if RunDir(path.parent).model_name == "cooccurrence"]  # fmt: skip
    page = page_of(alone, "cooccurrence", CompareConfig(resamples=1000))
    assert "highest" not in page
    assert page.count(f"; differences to {BEST}.") == 2


def test_a_table_of_users_has_runs_of_one_setting(tmp_path: Path) -> None:
    """Another setting is no further seed: the one with more rows is taken, and the rest counted."""
    sizes = {"n_sessions": 300, "n_items": 60, "n_users": 8, "n_interests": 2}
    SOURCES["synthetic"].prepare("synthetic", **sizes).save(tmp_path / "shop")
    data = data_of_shares(tmp_path / "shop", (0, 50), tmp_path / "runs", min_sessions=3)
    small = Variant.of_preset("proxysr", "proxysr-small")
    options: dict[str, Any] = {"train": {"epochs": 1}, "seeds": [0]}
    both = share_specs(small, data, **options)
    wider = small.changed("proxysr", n_proxies=5)
    at_zero = share_specs(wider, {0: data[0]}, **(options | {"seeds": [0, 1]}))
    assert run_spec([*both, *at_zero], tmp_path / "runs", device="cpu", progress=False).holes == []
    (log,) = tabulated(find_runs([tmp_path / "runs"])[0], config=CompareConfig(resamples=50))
    (table,) = [table for table in log.tables if table.title.startswith("Table 4")]
    assert table.n_runs == 2
    assert {row["seeds"] for row in table.rows} == {"1"}
    assert table.notes == ["Left out: 2 run(s) of other settings."]


def test_settings_of_training_and_of_a_model_with_one_name_tell_rows_apart() -> None:
    """``half_life`` is one of co-occurrence, and another one of training."""
    short = evidence(hits(30), model="cooccurrence")
    settings = short.model_config.replace(half_life=0.2)
    long = replace(short, model_config=settings)
    of_training = replace(short, train_config=short.train_config.replace(half_life=3.0))
    (data,) = runs_by_data([short, long, of_training])
    labels = {row.label for row in main_rows(data, "unseen").models}
    assert labels == {
        "cooccurrence (half_life 0.0, half_life in training 0.0)",
        "cooccurrence (half_life 0.2, half_life in training 0.0)",
        "cooccurrence (half_life 0.0, half_life in training 3.0)",
    }


def known(task: Task, validation: float, share: float) -> Evidence:
    """ProxySR with a share of the users known, of which it has ranked one task."""
    one = evidence(hits(30), model="proxysr", validation=validation)
    provenance = {"known_users": {"share": share, "of_data": "f0"}}
    return replace(
        one,
        data={"fingerprint": f"f{share}", "n_items": 200, "provenance": provenance},
        train_config=one.train_config.replace(valid_task=task),
        ranked={task: one.ranked["unseen"]},
    )


def test_tables_of_unseen_items_leave_out_runs_of_the_other_task() -> None:
    runs = [known(task, recall, share) for task, recall in (("unseen", 0.3), ("repeat", 0.6))
            for share in (0.0, 0.5)]  # fmt: skip
    (data,) = runs_by_data(runs)
    shares = runs_by_share(data)
    assert {share: [one.validation for one in some] for share, some in shares.items()} == {
        0: [0.3], 50: [0.3],
    }  # fmt: skip
    (log,) = tabulated(runs, config=CompareConfig(resamples=50))
    assert log.tables[0].rows
    (only,) = runs_by_data(runs[2:])
    assert runs_by_share(only) == {}
    assert tabulated(runs[2:], config=CompareConfig(resamples=50))[0].tables == []


def test_an_interrupted_training_is_no_result(runs: Path, tmp_path: Path) -> None:
    spec = Spec(runs.parent / "shop", [Variant("mean", "mean")], train={"epochs": 3})
    (cell,) = run_spec(spec, tmp_path, pause_after=1, device="cpu", progress=False).cells
    evaluate_run(cell.path, device="cpu", progress=False)
    found, holes = find_runs([tmp_path])
    assert found == []
    assert holes == [
        "1 whose training did not come to its end; the command that made them goes on: "
        f"{cell.path.name}."
    ]
    assert run_spec(spec, tmp_path, device="cpu", progress=False).holes == []
    assert len(find_runs([tmp_path])[0]) == 1


def test_too_few_resamples_are_told() -> None:
    rows = [evidence(hits(n), model=m) for n, m in ((300, "mean"), (30, "narm"), (20, "stamp"))]
    (log,) = tabulated(rows, config=CompareConfig(resamples=79))
    note = "79 resamples cannot tell any of 4 differences from chance: take at least 80."
    assert note in log.tables[0].notes
    (log,) = tabulated(rows, config=CompareConfig(resamples=80))
    assert not [note for note in log.tables[0].notes if "resamples" in note]
    assert "], p ≤ 0.0494" in log.tables[0].rows[1]["Δ R@20"]


def test_logs_of_one_name_are_told_apart_in_the_claims() -> None:
    models = ("proxysr", "sasrec")
    runs = [evidence(hits(300 if model == "proxysr" else 30), model=model) for model in models]
    source = {"source": {"format": "diginetica"}}
    logs = [
        replace(run, data={"fingerprint": name, "n_items": 200, "provenance": source})
        for name in ("one", "other")
        for run in runs
    ]
    page = results_page(tabulated(logs, config=CompareConfig(resamples=500)))
    assert page.count("| shop | Table 2, next unseen item | R@20 | 1: SASRec |") == 2


def test_what_only_some_models_have_is_told() -> None:
    averaged = evidence(hits(300), model="latent_proxy")
    config = averaged.train_config.replace(averaging=True)
    runs = [replace(averaged, train_config=config), evidence(hits(200), model="narm")]
    notes = tabulated(runs, config=CompareConfig(resamples=50))[0].tables[0].notes
    told = [note.split(": ") for note in notes if "none of the other models that learn" in note]
    assert [labels.split(",")[0] for _, labels in told] == ["latent_proxy", "latent_proxy"]
    assert told[0][0] == "Averages of the weights over epochs"
    both = [run if run.model_name == "latent_proxy" else
            replace(run, train_config=config) for run in runs]  # fmt: skip
    notes = tabulated(both, config=CompareConfig(resamples=50))[0].tables[0].notes
    assert not [note for note in notes if "Averages" in note]


def test_averaged_weights_are_no_row_of_the_paper() -> None:
    """It averages none: what it says of a model is held against runs without averages."""
    plain = {model: evidence(hits(n), model=model) for model, n in (("proxysr", 300), ("narm", 30))}
    better = evidence(hits(400), model="narm", validation=0.9)
    averaged = replace(better, train_config=better.train_config.replace(averaging=True))
    source = {"source": {"format": "diginetica"}}
    runs = [
        replace(run, data=run.data | {"provenance": source}) for run in (*plain.values(), averaged)
    ]
    (log,) = tabulated(runs, config=CompareConfig(resamples=500))
    table = log.tables[0]
    assert [row[""] for row in table.rows][:2] == ["NARM (averaging)", "NARM (no averaging)"]
    assert table.claims is not None
    claim = table.claims[table.claims["row"] == "NARM"].iloc[0]
    assert claim["here"] < 0
