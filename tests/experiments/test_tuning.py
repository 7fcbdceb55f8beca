"""A study: as many trials as asked for by any number of processes, continued after a kill."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.data.sessions import SessionSplit
from proxysr.experiments import TuneConfig, trials, tune, tuning
from proxysr.experiments.study import StudyDir
from proxysr.run import RunDir
from proxysr.running import train_run
from proxysr.training import TrainConfig
from tests.contract.small import SMALL, cycles, split_of
from tests.experiments.small import FIXED, SPACE, search, search_and_hang

CHANGING = ["trial", "seconds", "run"]


@pytest.fixture(scope="module")
def study(tune_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, of one process."""
    path = tmp_path_factory.mktemp("study") / "study"
    search(tune_data, path)
    return path


def test_every_trial_is_a_run_judged_on_validation(study: Path) -> None:
    table = trials(study)
    assert table["trial"].tolist() == [0, 1, 2]
    assert set(table["state"]) == {"complete"}
    assert list(table.columns[-2:]) == list(SPACE)
    for row in table.to_dict("records"):
        run = RunDir(row["run"])
        history = run.history()
        assert row["R@20"] == history["R@20"].max()
        assert (row["best_epoch"], row["epochs"]) == (run.best_epoch, len(history))
        assert row["learning_rate"] == run.train_config.learning_rate
        assert row["init_std"] == run.model_config.to_dict()["init_std"]
        assert run.metrics() == {}  # nothing was evaluated, least of all on the test sessions
    best = tuning.best_of(table)
    assert best is not None
    assert best["R@20"] == table["R@20"].max()
    written = pd.read_csv(study / "trials.csv", keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(written, table, check_dtype=False)
    assert not list(study.rglob("*.tmp"))


def test_the_journal_is_text(study: Path) -> None:
    lines = (study / "journal.log").read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_a_line_that_was_being_written_is_cut(tune_data: Path, study: Path, tmp_path: Path) -> None:
    before = search(tune_data, tmp_path / "study", trials=2)
    journal = tmp_path / "study" / "journal.log"
    whole = journal.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    journal.write_bytes(whole + last[: len(last) // 2])
    pd.testing.assert_frame_equal(trials(tmp_path / "study"), before)
    assert journal.read_bytes() == whole
    then = search(tune_data, tmp_path / "study")
    pd.testing.assert_frame_equal(then.drop(columns=CHANGING), trials(study).drop(columns=CHANGING))


def test_asking_again_does_nothing_and_more_trials_go_on(
    tune_data: Path, study: Path, tmp_path: Path
) -> None:
    before = trials(study)
    pd.testing.assert_frame_equal(search(tune_data, study), before)
    first = search(tune_data, tmp_path / "study", trials=1)
    then = search(tune_data, tmp_path / "study", trials=3)
    assert len(first) == 1
    pd.testing.assert_frame_equal(then.drop(columns=CHANGING), before.drop(columns=CHANGING))


def test_two_processes_make_as_many_trials_as_asked_for(tune_data: Path, tmp_path: Path) -> None:
    table = search(tune_data, tmp_path / "study", trials=4, jobs=2)
    assert table["trial"].tolist() == list(range(4))
    assert set(table["state"]) == {"complete"}
    runs = sorted(path.name for path in (tmp_path / "study" / "runs").iterdir())
    assert runs == [f"trial-{i:04d}" for i in range(4)]
    assert sorted(Path(run).name for run in table["run"]) == runs
    lines = map(json.loads, (tmp_path / "study" / "journal.log").read_text().splitlines())
    created = [line["worker_id"] for line in lines if "datetime_start" in line]
    assert len(created) == 4


def test_claims_of_several_workers_differ(tune_data: Path, tmp_path: Path) -> None:
    """Interleaved by hand: the second comes before the first has told anything."""
    search(tune_data, tmp_path / "study", trials=1)
    folders = [StudyDir(tmp_path / "study") for _ in range(2)]
    claims = [folder.claim(folder.load(), 3, SPACE, 0) for folder in folders]
    assert [claim.trial.number for claim in claims if claim] == [1, 2]
    assert folders[0].claim(folders[0].load(), 3, SPACE, 0) is None
    assert trials(tmp_path / "study")["state"].tolist() == ["complete", "running", "running"]
    for claim in claims:
        assert claim is not None
        claim.release()


def test_a_killed_worker_s_trial_is_continued_to_the_same_result(
    tune_data: Path, study: Path, tmp_path: Path
) -> None:
    """Killed outright in the middle of a trial; what comes after is as if it had not been."""
    path = tmp_path / "study"
    process = multiprocessing.get_context("spawn").Process(
        target=search_and_hang, args=(tune_data, path)
    )
    process.start()
    deadline = time.monotonic() + 120
    # written after history.csv: with it, the epoch is complete
    while not (path / "runs" / "trial-0001" / "checkpoints" / "last.safetensors").is_file():
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert trials(path)["state"].tolist() == ["complete", "running"]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert len(RunDir(path / "runs" / "trial-0001").history()) == 1
    table = search(tune_data, path)
    # the trial that was left has a new number and goes on in its run
    assert table["trial"].tolist() == [0, 2, 3]
    assert [Path(run).name for run in table["run"]] == ["trial-0000", "trial-0001", "trial-0003"]
    pd.testing.assert_frame_equal(
        table.drop(columns=CHANGING), trials(study).drop(columns=CHANGING)
    )


def test_a_trial_that_ended_but_was_not_told_is_told(
    tune_data: Path, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any, **options: Any) -> Any:
        train_run(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "train_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            search(tune_data, tmp_path / "study")
    assert trials(tmp_path / "study")["state"].tolist() == ["running"]
    again = search(tune_data, tmp_path / "study")
    pd.testing.assert_frame_equal(
        again.drop(columns=CHANGING), trials(study).drop(columns=CHANGING)
    )


def test_a_trial_worse_than_the_median_is_pruned_and_its_run_can_go_on(
    tune_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "STARTUP", 2)
    table = search(tune_data, tmp_path / "study", trials=8, prune=True)
    pruned, complete = (table[table["state"] == s] for s in ("pruned", "complete"))
    assert len(pruned) + len(complete) == 8
    assert len(pruned) > 0
    for row in pruned.to_dict("records"):
        run = RunDir(row["run"])
        history = run.history()
        assert row["epochs"] == len(history) >= 2  # the first epoch is left alone
        earlier = [RunDir(r) for r in complete[complete["trial"] < row["trial"]]["run"]]
        at = [run.history()["R@20"][: row["epochs"]].max() for run in earlier]
        assert row["R@20"] == history["R@20"].max() < pd.Series(at).median()
    shortest = pruned.loc[pruned["epochs"].idxmin()]
    gone_on = train_run(tune_data, shortest["run"], resume=True, progress=False)
    assert len(gone_on.history()) == 3


def test_proxysr_is_left_alone_until_the_temperature_has_come_to_its_end(tune_data: Path) -> None:
    def warmup(model: str, space: dict[str, Any], **options: Any) -> Any:
        fixed = options.pop("fixed", {})
        split = SessionSplit.load(tune_data)
        return tuning._plan(split, model, space, fixed, TuneConfig(**options))["warmup"]

    space = {"margin": [0.1, 0.2]}
    assert warmup("proxysr", space) == 6
    assert warmup("proxysr", space, fixed={"anneal_epochs": 4}) == 4
    assert warmup("proxysr", {"anneal_epochs": [3, 7]}) == 7
    assert warmup("proxysr", {"anneal_epochs": {"low": 2, "high": 5, "log": False}}) == 5
    assert warmup("proxysr", space, warmup=2) == 2
    assert warmup("proxysr", space, prune=False) is None
    assert warmup("mean", {"init_std": [0.1, 0.2]}) == 1


def test_a_trial_that_cannot_go_on_says_why_and_others_do(
    tune_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []

    def diverging(data_dir: Path, run_dir: Path, **options: Any) -> RunDir:
        calls.append(run_dir)
        if len(calls) == 1:
            raise FloatingPointError("The loss is not finite in epoch 0.")
        return train_run(data_dir, run_dir, **options)

    monkeypatch.setattr(tuning, "train_run", diverging)
    table = search(tune_data, tmp_path / "study", trials=2)
    assert table["state"].tolist() == ["stopped", "complete"]
    assert table["stopped"][0] == "The loss is not finite in epoch 0."
    assert pd.isna(table["R@20"][0])


def test_a_combination_out_of_range_is_stopped(tune_data: Path, tmp_path: Path) -> None:
    """Each value is in range beside the first ones of the others, not beside all."""
    space = {"temperature_start": [3.0, 0.5], "temperature_end": [0.01, 1.0]}
    fixed = SMALL["proxysr"] | {"epochs": 1, "device": "cpu"}
    table = search(
        tune_data, tmp_path / "study", trials=8, model="proxysr", space=space, fixed=fixed
    )
    bad = table["temperature_start"] < table["temperature_end"]
    assert 0 < bad.sum() < 8
    assert set(table[bad]["state"]) == {"stopped"}
    assert table[bad]["stopped"].str.contains("is at least temperature_end").all()
    assert set(table[~bad]["state"]) == {"complete"}


N_SESSIONS = 40


def test_a_trial_that_the_data_refuse_blocks_no_other(tune_data: Path, tmp_path: Path) -> None:
    """More proxies than sessions to learn them from; asked for more trials, the study goes on."""
    proxies: dict[str, Any] = {
        "model": "latent_proxy", "space": {"n_proxies": [2, 1000]},
        "fixed": {"epochs": 1, "embedding_dim": 4, "device": "cpu"},
    }  # fmt: skip
    for trials_in_all in (3, 6, 6):
        table = search(tune_data, tmp_path / "study", trials=trials_in_all, **proxies)
        assert len(table) == trials_in_all
    refused = table["n_proxies"] == 1000
    assert 0 < refused.sum() < 6
    assert set(table[refused]["state"]) == {"stopped"}
    reason = f"n_proxies is 1000, but there are only {N_SESSIONS} training session"
    assert table[refused]["stopped"].str.startswith(reason).all()
    assert set(table[~refused]["state"]) == {"complete"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_wrong_with_every_trial_ends_the_search(
    tune_data: Path, tmp_path: Path, jobs: int
) -> None:
    options: dict[str, Any] = {
        "model": "latent_proxy", "jobs": jobs,
        "space": {"dropout": {"low": 0, "high": 0.5}, "embedding_dim": [4], "scale": [10, 13]},
        "fixed": {"epochs": 1, "n_proxies": 1000, "device": "cpu"},
    }  # fmt: skip
    message = "^No trial can be trained, whatever is searched: n_proxies is 1000, but.* such as 2.$"
    for _ in range(3 - jobs):  # the same command has the same answer
        with pytest.raises(ConfigError, match=message):
            search(tune_data, tmp_path / "study", trials=40, **options)
    table = trials(tmp_path / "study")
    assert set(table["state"]) == {"stopped"}
    assert len(table) < 20
    assert len(pd.read_csv(tmp_path / "study" / "trials.csv")) == len(table)


def test_a_loss_that_diverges_at_every_setting_is_no_refusal(
    tune_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other settings of the space may be better, though the words are the same."""

    def diverging(*args: Any, **options: Any) -> RunDir:
        raise FloatingPointError("The loss is not finite in epoch 0.")

    monkeypatch.setattr(tuning, "train_run", diverging)
    table = search(tune_data, tmp_path / "study", trials=5)
    assert table["state"].tolist() == ["stopped"] * 5


def test_models_that_count_are_searched_too(tune_data: Path, tmp_path: Path) -> None:
    table = tune(
        tune_data, tmp_path / "study", model="cooccurrence", fixed={"window": 3},
        config=TuneConfig(trials=3), progress=False,
    )  # fmt: skip
    assert table["state"].tolist() == ["complete"] * 3
    assert set(table["epochs"]) == {1}
    assert "window" not in table


# -- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "gru4rec"}, "is another study: model is 'mean', not 'gru4rec'"),
        ({"space": SPACE | {"init_std": [0.1]}}, r"space is .*, not .*'init_std': \[0.1\]"),
        ({"fixed": FIXED | {"epochs": 9}}, "fixed is .*. Run the command it was begun with"),
        ({"prune": True}, "warmup is None, not 1"),
        ({"storage": "sqlite:///x.db"}, "records its trials in journal.log; received storage sq"),
        ({"storage": "nonsense"}, "'nonsense' is no URL of a database"),
        ({"space": {"n_proxies": [3]}}, "'n_proxies' is not a known setting of mean or its trai"),
        ({"space": {"init_std": [0]}}, "Search space, init_std = 0.0: init_std is positive"),
        ({"jobs": 0}, "jobs is at least 1; received 0"),
        (
            {"fixed": FIXED | {"valid_min_prefix": 99}},
            "None of the 15 validation sessions has a ta",
        ),
    ],
)
def test_another_study_is_refused(
    tune_data: Path, study: Path, options: dict[str, Any], message: str
) -> None:
    before = trials(study)
    with pytest.raises(ValueError, match=message):
        search(tune_data, study, **options)
    pd.testing.assert_frame_equal(trials(study), before)


def test_a_study_of_other_data_is_refused(study: Path, tmp_path: Path) -> None:
    other = split_of(cycles(20, seed=7), cycles(10, seed=8), cycles(10, seed=9))
    with pytest.raises(ValueError, match="is another study: data is '.*', not '"):
        search(other.save(tmp_path / "other"), study)


def test_folders_that_are_no_study_are_refused(tune_data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds 'thesis.txt' and no study; nothing was overwr"):
        search(tune_data, tmp_path)
    with pytest.raises(ValueError, match="is not a study: it has no study.json. Make one with"):
        trials(tmp_path)
    with pytest.raises(ConfigError, match="trials is at least 1; received 0"):
        TuneConfig(trials=0)


# -- databases -----------------------------------------------------------------------------


def test_a_database_holds_the_trials(tune_data: Path, study: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    table = search(tune_data, tmp_path / "study", storage=url)
    assert not (tmp_path / "study" / "journal.log").exists()
    assert json.loads((tmp_path / "study" / "study.json").read_text())["storage"] == url
    kept = trials(study).drop(columns=CHANGING)
    pd.testing.assert_frame_equal(table.drop(columns=CHANGING), kept)
    pd.testing.assert_frame_equal(trials(tmp_path / "study").drop(columns=CHANGING), kept)


def test_passwords_are_not_kept(tmp_path: Path) -> None:
    about = {"study": "x", "storage": "postgresql://me:***@host/name"}
    (tmp_path / "study.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="a password is not kept. Name it again with --storage"):
        StudyDir(tmp_path)
    with pytest.raises(ValueError, match=r"postgresql://me:\*\*\*@host/name cannot be opened: "):
        StudyDir(tmp_path, "postgresql://me:secret@host/name")


def test_settings_are_those_of_training(tune_data: Path, study: Path) -> None:
    run = RunDir(trials(study)["run"][0])
    wanted = TrainConfig(epochs=3, batch_size=16, device="cpu")
    assert run.train_config.replace(learning_rate=wanted.learning_rate) == wanted
