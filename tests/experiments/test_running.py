"""Runs of a spec are made once, under equal conditions; what fails is named and stops no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.data.sessions import SessionSplit
from proxysr.experiments import Spec, Variant, run_spec, running
from proxysr.experiments.running import Results
from proxysr.models import ProxySR
from proxysr.notebooks import run_folder
from proxysr.run import RunDir
from proxysr.training import TrainConfig

TINY = Variant("tiny", "proxysr", {"embedding_dim": 4, "n_proxies": 2}, {"learning_rate": 0.01})
QUICK: dict[str, Any] = {"epochs": 1, "valid_min_prefix": 1}


@pytest.fixture
def data(tiny_split: SessionSplit, tmp_path: Path) -> Path:
    return tiny_split.save(tmp_path / "data")


def results(data: Any, *variants: Variant, jobs: int = 1, **fields: Any) -> Results:
    spec = Spec(data, variants, **({"train": QUICK} | fields))
    folder = (next(iter(data.values())) if isinstance(data, dict) else data).parent / "runs"
    return run_spec(spec, folder, jobs=jobs, device="cpu", progress=False)


def train(data: Path, *variants: Variant, **fields: Any) -> dict[str, list[RunDir]]:
    return results(data, *variants, **fields).groups()


def test_each_variant_and_seed_has_an_evaluated_run(data: Path) -> None:
    runs = train(data, TINY, TINY.changed("three", n_proxies=3), seeds=(1, 2))
    assert list(runs) == ["tiny", "three"]
    for name, n_proxies in [("tiny", 2), ("three", 3)]:
        assert [run.train_config.seed for run in runs[name]] == [1, 2]
        for run in runs[name]:
            assert run.model_config.to_dict()["n_proxies"] == n_proxies
            assert run.model_config.to_dict()["embedding_dim"] == 4
            assert run.train_config.learning_rate == 0.01
            assert run.train_config.epochs == 1
            assert set(run.metrics()) == {"test-unseen", "test-repeat"}
    assert len({run.path for members in runs.values() for run in members}) == 4


def test_common_options_override_those_of_the_variant(data: Path) -> None:
    runs = train(data, TINY, train=QUICK | {"learning_rate": 0.5})
    assert runs["tiny"][0].train_config.learning_rate == 0.5


def test_each_task_can_have_runs_of_its_own(data: Path) -> None:
    both = train(data, TINY, valid_tasks=("unseen", "repeat"))["tiny"]
    assert [run.train_config.valid_task for run in both] == ["unseen", "repeat"]
    assert {run.train_config.task for run in both} == {"repeat"}
    assert [set(run.metrics()) for run in both] == [{"test-unseen"}, {"test-repeat"}]


def test_models_that_count_have_one_run_and_no_idle_options(data: Path) -> None:
    variant = Variant("pairs", "cooccurrence")
    runs = train(data, variant, seeds=(1, 2), train={"epochs": 3, "valid_min_prefix": 2})
    assert len(runs["pairs"]) == 1
    assert runs["pairs"][0].train_config.valid_min_prefix == 2
    again = train(data, variant, seeds=(5,), train={"epochs": 9, "valid_min_prefix": 2})
    assert again["pairs"][0].path == runs["pairs"][0].path


def test_what_is_there_is_not_done_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train(data, TINY)["tiny"][0]
    kept = {path: path.stat().st_mtime_ns for path in first.path.glob("ranks-*.parquet")}
    assert len(kept) == 2
    monkeypatch.setattr(running, "evaluate_run", lambda *args, **kw: pytest.fail("again"))
    second = train(data, TINY, Variant("same", TINY.model, TINY.model_config, TINY.train))
    assert second["tiny"][0].path == second["same"][0].path == first.path
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_specs_that_share_a_run_have_all_their_evaluations(data: Path) -> None:
    """Equal settings under two names, two parts, and fewer tasks in one of them."""
    specs = [
        Spec(
            data, [Variant("valid", "popularity")], valid_tasks=("unseen", "repeat"), part="valid"
        ),
        Spec(data, [Variant("test", "popularity")]),
        Spec(data, [Variant("test again", "popularity")], part="test"),
    ]
    found = run_spec(specs, data.parent / "runs", device="cpu", progress=False)
    unseen, repeat, *others = (cell.path for cell in found.cells)
    assert set(others) == {unseen} != {repeat}
    assert found.holes == []
    frame = found.frame
    assert set(frame["hole"]) == {""}
    assert frame["R@20"].notna().all()
    rows = list(zip(frame["variant"], frame["valid_task"], frame["task"], strict=True))
    asked = [("test", "unseen", task) for task in ("unseen", "repeat")]
    assert rows[:4] == [("valid", "unseen", "unseen"), ("valid", "repeat", "repeat"), *asked]
    both = Results([replace(cell, variant=TINY) for cell in found.cells]).groups()
    assert [run.path for run in both["tiny"]] == [unseen, repeat]
    assert set(RunDir(unseen).metrics()) == {"valid-unseen", "test-unseen", "test-repeat"}
    assert set(RunDir(repeat).metrics()) == {"valid-repeat"}


def test_a_pause_changes_nothing_of_the_result(data: Path, tmp_path: Path) -> None:
    spec = Spec(data, [TINY], train=QUICK | {"epochs": 3, "patience": 3})
    paused, whole = tmp_path / "paused", tmp_path / "whole"
    for epochs in (1, 1, 2):  # a second call at the same epoch trains no further
        (cell,) = run_spec(spec, paused, device="cpu", progress=False, pause_after=epochs).cells
        assert cell.hole == f"PausedError: after {epochs} epochs; it can be continued"
        assert len(RunDir(cell.path).history()) == epochs
        assert RunDir(cell.path).metrics() == {}
    ends = [run_spec(spec, folder, device="cpu", progress=False) for folder in (paused, whole)]
    assert [end.holes for end in ends] == [[], []]
    after, before = (end.frame.drop(columns="run") for end in ends)
    pd.testing.assert_frame_equal(after, before)


def test_the_folder_of_a_run_is_that_of_earlier_versions(data: Path) -> None:
    """Its name is a hash that runs of notebooks have had, so that these are found."""
    run = train(data, TINY)["tiny"][0]
    config = TrainConfig(epochs=1, valid_min_prefix=1, learning_rate=0.01)
    settings = ProxySR.Config.from_dict(dict(TINY.model_config)).to_dict()
    facts = run.data["fingerprint"], "proxysr", settings, config.to_dict() | {"device": None}
    assert run.path.name == run_folder("", "any", *facts).name


def test_a_default_of_the_catalogue_is_told_from_the_same_named(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxysr.models.proxy_model.LARGE_CATALOGUE", 1)
    settings = {"embedding_dim": 4, "n_proxies": 2}
    named = [settings, settings | {"sampled_negatives": 0}, settings | {"sampled_negatives": 2000}]
    paths = [train(data, Variant("a", "latent_proxy", one))["a"][0].path for one in named]
    assert paths[0] != paths[1]
    assert paths[0] == paths[2]


def test_a_failure_is_a_hole_with_its_reason_and_the_others_go_on(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = running.train_run

    def failing(data_dir: Path, run_dir: Path, **options: Any) -> RunDir:
        if options["train"].seed == 1:
            options["on_epoch"] = lambda state: 1 / 0
        return original(data_dir, run_dir, **options)

    with monkeypatch.context() as patch:
        patch.setattr(running, "train_run", failing)
        found = results(
            {"tiny": data, "lost": data.parent / "absent"},
            TINY, Variant("narrow", "narn"), TINY.changed("odd", n_proxy=3),
            seeds=(0, 1),
        )  # fmt: skip
    frame = found.frame[found.frame["task"] == "unseen"]
    holes = frame.set_index(["data", "variant", "seed"])["hole"].sort_index()
    assert holes["tiny", "tiny", 0] == ""
    assert holes["tiny", "tiny", 1] == "ZeroDivisionError: division by zero"
    assert "'narn' is not a known model. Did you mean 'narm'?" in holes["tiny", "narrow", 0]
    assert "'n_proxy' is not a known option" in holes["tiny", "odd", 1]
    assert holes["lost", "tiny"].str.contains("absent is not a proxysr split").all()
    there = frame[frame["hole"] == ""]
    assert len(there) == 1
    assert (there["n_targets"].item(), there["epochs"].item()) == (4, 1)
    assert 0 <= there["R@20"].item() <= 1
    assert frame[frame["hole"] != ""]["R@20"].isna().all()
    with pytest.raises(
        ValueError, match=r"A run is missing: tiny, tiny, unseen, seed 1: Z.*and 10 m"
    ):
        found.groups()
    assert results(data, TINY, seeds=(0, 1)).holes == []  # the run that stopped half-way goes on


def test_processes_make_the_runs_of_one(data: Path, tmp_path: Path) -> None:
    """A folder in the way of one of them is a hole, in another process, too."""
    one = results(data, TINY, seeds=(0, 1))
    before = one.frame.set_index(["seed", "task"])
    for cell in one.cells:
        cell.path.rename(cell.path.with_name(f"earlier-{cell.seed}"))
    one.cells[1].path.write_text("in the way")
    two = results(data, TINY, seeds=(0, 1), jobs=2)
    assert [bool(cell.hole) for cell in two.cells] == [False, True]
    assert str(one.cells[1].path) in two.cells[1].hole
    after = two.frame.set_index(["seed", "task"])
    pd.testing.assert_frame_equal(after.loc[[0]], before.loc[[0]])
    with pytest.raises(ConfigError, match="jobs is at least 1; received 0"):
        results(data, TINY, jobs=0)


def test_a_run_that_ended_within_its_first_checkpoint_is_made_again(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its history is written by then, and its checkpoint is not."""
    counting = Variant("counting", "cooccurrence")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("proxysr.running.write_checkpoint", full)
        assert len(results(data, TINY, counting).holes) == 2
    assert not results(data, TINY, counting).holes


def test_runs_are_made_again_where_only_times_differ(tiny_split: SessionSplit, data: Path) -> None:
    """If they know them: models that count, and trainings that weigh sessions by their age."""
    counting = Variant("counting", "cooccurrence", {"half_life": 0.1})
    aging = replace(TINY, name="aging", train={**TINY.train, "half_life": 0.1})
    before = train(data, TINY, counting, aging)
    later = replace(tiny_split.train, started_at=tiny_split.train.started_at[::-1].copy())
    replace(tiny_split, train=later).save(data)
    after = train(data, TINY, counting, aging)
    assert after["tiny"][0].path == before["tiny"][0].path
    assert after["counting"][0].path != before["counting"][0].path
    assert after["aging"][0].path != before["aging"][0].path
