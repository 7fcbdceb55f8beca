"""A run's folder: complete, resumable, and refusing what is foreign or damaged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from proxysr import training
from proxysr.checkpoints import SnapshotFolder
from proxysr.config import ConfigError
from proxysr.recommender import Recommender
from proxysr.run import RunDir
from proxysr.running import evaluate_run, train_run
from proxysr.training import TrainConfig, TrainState
from tests.contract.small import SMALL, cycles, split_of

TIMING = ["train_seconds", "eval_seconds", "sessions_per_second"]


def config(**options: Any) -> TrainConfig:
    defaults = {"epochs": 4, "learning_rate": 1e-2, "batch_size": 16, "device": "cpu"}
    return TrainConfig(**(defaults | options))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    split = split_of(cycles(100, seed=1), cycles(30, seed=2), cycles(30, seed=3))
    titled = split.items.assign(title=[f"<b>thing {i}</b>" for i in range(1, 41)])
    split = type(split)(split.train, split.valid, split.test, titled, split.users)
    return split.save(tmp_path_factory.mktemp("data") / "split")


@pytest.fixture(scope="module")
def run_dir(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    train_run(
        data_dir,
        path,
        model="proxysr",
        model_config=SMALL["proxysr"],
        train=config(),
        progress=False,
    )
    return path


@pytest.fixture
def copy(run_dir: Path, tmp_path: Path) -> Path:
    """A run to damage."""
    return Path(shutil.copytree(run_dir, tmp_path / "run"))


def test_a_run_leaves_everything_behind(run_dir: Path, data_dir: Path) -> None:
    run = RunDir(run_dir)
    assert run.model_name == "proxysr"
    assert run.model_config.to_dict() == type(run.model_config)(**SMALL["proxysr"]).to_dict()
    assert run.train_config == config()
    assert run.history()["epoch"].tolist() == [0, 1, 2, 3]
    written = pd.read_csv(run_dir / "history.csv")
    pd.testing.assert_frame_equal(written, run.history(), check_dtype=False)
    assert run.data["data_dir"] == str(data_dir.resolve())
    assert list(run.items["item_id"][:2]) == ["item 1", "item 2"]
    assert set(json.loads((run_dir / "environment.json").read_text())) >= {"python", "packages"}
    names = {path.name for path in (run_dir / "checkpoints").iterdir()}
    wanted = {f"epoch-{e:04d}.safetensors" for e in (run.best_epoch, run.half_epoch)}
    assert wanted | {"last.safetensors"} <= names
    assert not list(run_dir.rglob("*.tmp"))
    for which in ("best", "half", "last"):
        assert not run.model(which).training


def test_what_older_runs_were_trained_on_chose_their_epoch_too(copy: Path) -> None:
    header = json.loads((copy / "config.json").read_text())
    for name in ("valid_task", "valid_min_prefix", "half_life"):
        del header["train"][name]
    header["train"] |= {"task": "repeat", "min_prefix": 2}
    (copy / "config.json").write_text(json.dumps(header))
    found = RunDir(copy).train_config
    assert (found.task, found.min_prefix) == ("repeat", 2)
    assert (found.valid_task, found.valid_min_prefix) == ("repeat", 2)
    result = evaluate_run(copy, progress=False)
    assert (result.task, result.min_prefix) == ("repeat", 2)


def test_what_came_of_the_training_is_kept_beside_the_evaluations(
    copy: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir(copy)
    assert set(run.counters) == {"cooccurrence", "popularity"}
    assert run.findings[0].startswith("On validation, R@20 of proxysr is ")
    before, counters, known = run.findings, run.counters, set(run.evaluations())
    evaluate_run(copy, part="valid", progress=False)
    assert set(run.evaluations()) == set(run.metrics()) == known | {"valid-unseen"}
    assert (run.findings, run.counters) == (before, counters)

    monkeypatch.setattr(training, "counted", lambda *_, **__: pytest.fail("counted again"))
    kept = train_run(data_dir, copy, train=config(epochs=5), resume=True, progress=False)
    assert kept.counters == counters
    assert kept.findings

    def stop(state: TrainState) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(
            data_dir, copy, train=config(epochs=7), resume=True, on_epoch=stop, progress=False
        )
    assert run.findings == [], "those of the first five epochs say nothing of the sixth"
    (copy / "metrics.json").unlink()
    assert (run.findings, run.counters) == ([], {}), "an older run has none"


def test_evaluation_is_kept_in_the_run(run_dir: Path) -> None:
    first = evaluate_run(run_dir, progress=False)
    second = evaluate_run(run_dir, task="repeat", min_prefix=2, progress=False)
    run = RunDir(run_dir)
    assert run.metrics()["test-unseen"]["metrics"] == first.metrics
    assert run.metrics()["test-repeat"]["min_prefix"] == 2
    assert run.metrics()["test-repeat"]["n_targets"] == second.n_targets
    assert run.metrics()["test-unseen"]["epoch"] == run.best_epoch
    pd.testing.assert_frame_equal(run.ranks("test", "repeat"), second.ranks)


def test_validation_recall_of_the_best_epoch_is_found_again(run_dir: Path) -> None:
    result = evaluate_run(run_dir, part="valid", ks=(20,), progress=False)
    history = RunDir(run_dir).history()
    assert result.metrics["R@20"] == history["R@20"].max()


def test_a_misspelt_state_gives_no_model(run_dir: Path) -> None:
    with pytest.raises(ConfigError, match="'bset' is not a known state .* mean 'best'"):
        RunDir(run_dir).model("bset")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'Best' is not a known state .* mean 'best'"):
        evaluate_run(run_dir, which="Best", progress=False)  # type: ignore[arg-type]


def test_the_half_way_model_is_another_one(run_dir: Path) -> None:
    run = RunDir(run_dir)
    assert run.half_epoch == run.best_epoch // 2
    result = evaluate_run(run_dir, part="valid", ks=(20,), which="half", progress=False)
    assert result.metrics["R@20"] == run.history()["R@20"][run.half_epoch]


def test_a_killed_run_resumes_to_the_same_files(
    run_dir: Path, data_dir: Path, tmp_path: Path
) -> None:
    """The process is killed outright once its first epoch is on disk."""
    target = tmp_path / "run"
    script = (
        "import sys; from pathlib import Path; from proxysr.running import train_run\n"
        "from proxysr.training import TrainConfig\n"
        "import json; options, model = map(json.loads, sys.argv[3:])\n"
        "train_run(sys.argv[1], sys.argv[2], model='proxysr', model_config=model,"
        " train=TrainConfig(**options), progress=False)\n"
    )
    arguments = [json.dumps(config().to_dict()), json.dumps(SMALL["proxysr"])]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(data_dir), str(target), *arguments], env=environment
    )
    deadline = time.monotonic() + 120
    last = target / "checkpoints" / "last.safetensors"
    while not last.is_file():
        assert process.poll() is None or last.is_file()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    train_run(data_dir, target, train=config(), resume=True, progress=False)
    ours, whole = RunDir(target), RunDir(run_dir)
    assert ours.history().drop(columns=TIMING).equals(whole.history().drop(columns=TIMING))
    a = load_file(target / "checkpoints" / "last.safetensors")
    b = load_file(run_dir / "checkpoints" / "last.safetensors")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_resume_before_the_first_epoch_starts_anew(
    copy: Path, data_dir: Path, run_dir: Path
) -> None:
    for path in (copy / "checkpoints").iterdir():
        path.unlink()
    run = train_run(data_dir, copy, resume=True, progress=False)
    pd.testing.assert_frame_equal(
        run.history().drop(columns=TIMING), RunDir(run_dir).history().drop(columns=TIMING)
    )


def test_a_finished_run_goes_on_for_more_epochs(copy: Path, data_dir: Path) -> None:
    run = train_run(data_dir, copy, train=config(epochs=6), resume=True, progress=False)
    assert len(run.history()) == 6
    assert run.train_config.epochs == 6


def test_a_run_is_never_overwritten(copy: Path, data_dir: Path) -> None:
    before = (copy / "history.csv").read_bytes()
    with pytest.raises(ValueError, match="is not empty; nothing was overwritten. Add --resume"):
        train_run(data_dir, copy, progress=False)
    assert (copy / "history.csv").read_bytes() == before


def test_a_foreign_folder_is_refused(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="is not empty; nothing was overwritten. Name a new"):
        train_run(data_dir, tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_bad_settings_write_nothing(tmp_path: Path, data_dir: Path) -> None:
    with pytest.raises(ConfigError, match="'n_proxie' is not a known option"):
        train_run(data_dir, tmp_path / "run", model_config={"n_proxie": 3}, progress=False)
    assert not (tmp_path / "run").exists()


def test_resume_with_other_settings_is_refused(copy: Path, data_dir: Path) -> None:
    with pytest.raises(ConfigError, match=r"n_proxies = 8 \(asked for: 9\).*keeps its settings"):
        train_run(data_dir, copy, model_config={"n_proxies": 9}, resume=True, progress=False)
    with pytest.raises(ConfigError, match=r"learning_rate = 0.01 \(asked for: 0.5\)"):
        train_run(data_dir, copy, train=config(learning_rate=0.5), resume=True, progress=False)


def test_resume_on_other_data_is_refused(copy: Path, tmp_path: Path) -> None:
    other = split_of(cycles(20, seed=7), cycles(10, seed=8), cycles(10, seed=9))
    other.save(tmp_path / "other")
    with pytest.raises(ValueError, match="their fingerprints differ"):
        train_run(tmp_path / "other", copy, resume=True, progress=False)
    with pytest.raises(ValueError, match="is not a proxysr split"):  # not where they were
        RunDir(copy).split("")


def test_what_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a proxysr run: it has no config.json"):
        RunDir(tmp_path)
    (tmp_path / "config.json").write_text('{"format": "something"}')
    with pytest.raises(ValueError, match="was not written by proxysr"):
        RunDir(tmp_path)


def test_a_run_of_another_version_is_refused(copy: Path) -> None:
    header = json.loads((copy / "config.json").read_text()) | {"version": 99}
    (copy / "config.json").write_text(json.dumps(header))
    with pytest.raises(ValueError, match="is a run of version 99; this proxysr reads version 1"):
        RunDir(copy)


@pytest.mark.parametrize("name", ["last", "best"])
def test_damaged_weights_are_refused(copy: Path, data_dir: Path, name: str) -> None:
    run = RunDir(copy)
    file = "last" if name == "last" else f"epoch-{run.best_epoch:04d}"
    path = copy / "checkpoints" / f"{file}.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is missing or damaged"):
        RunDir(copy).model(name)  # type: ignore[arg-type]
    if name == "last":
        with pytest.raises(ValueError, match="is missing or damaged"):
            train_run(data_dir, copy, resume=True, progress=False)


def test_foreign_weights_are_refused(copy: Path) -> None:
    path = copy / "checkpoints" / f"epoch-{RunDir(copy).best_epoch:04d}.safetensors"
    tensors = load_file(path)
    save_file(tensors, path)
    with pytest.raises(ValueError, match="was not written by proxysr"):
        RunDir(copy).model()
    tensors["w1"] = torch.zeros(2, 2)
    save_file(tensors, path, metadata={"format": "proxysr-run"})
    with pytest.raises(ValueError, match="does not fit the settings"):
        RunDir(copy).model()


def test_damaged_json_is_named(copy: Path) -> None:
    (copy / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json is damaged: it is not valid JSON"):
        RunDir(copy)


def test_what_is_not_there_yet_says_how_to_make_it(copy: Path) -> None:
    with pytest.raises(ValueError, match="has no ranks for valid, task 'repeat', yet. Make them"):
        RunDir(copy).ranks("valid", "repeat")
    (copy / "checkpoints" / "last.safetensors").unlink()
    with pytest.raises(ValueError, match="has no checkpoint yet: its first epoch did not end"):
        RunDir(copy).history()


def test_snapshots_disappear_only_when_purged(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    folder[3] = {"w": torch.ones(2)}
    del folder[3]
    assert list(folder) == []
    with pytest.raises(KeyError):
        folder[3]
    assert (tmp_path / "epoch-0003.safetensors").is_file()
    folder.purge()
    assert not list(tmp_path.iterdir())


# -- recommender ---------------------------------------------------------------------------


def test_recommendations_speak_raw_ids_and_titles(run_dir: Path) -> None:
    answer = Recommender.load(run_dir).recommend(["item 4", "item 5"], k=3)
    assert list(answer.items.columns) == ["rank", "item_id", "title", "score"]
    assert answer.items["rank"].tolist() == [1, 2, 3]
    assert answer.items["score"].is_monotonic_decreasing
    assert answer.unknown == []
    number = int(answer.items["item_id"][0].removeprefix("item "))
    assert answer.items["title"][0] == f"<b>thing {number}</b>"


def test_unseen_leaves_out_the_clicks_and_repeat_does_not(run_dir: Path) -> None:
    recommender = Recommender.load(run_dir)
    everything = recommender.recommend(["item 4", "item 5"], k=1000, task="repeat").items
    unseen = recommender.recommend(["item 4", "item 5"], k=1000).items
    assert len(everything) == 40
    assert set(everything["item_id"]) - set(unseen["item_id"]) == {"item 4", "item 5"}


def test_unknown_items_are_reported_not_fatal(run_dir: Path) -> None:
    recommender = Recommender.load(run_dir)
    answer = recommender.recommend(["nope", "item 4", "nope", 17])
    assert answer.unknown == ["nope", "17"]
    pd.testing.assert_frame_equal(answer.items, recommender.recommend(["item 4"]).items)
    nothing = recommender.recommend(["nope"])
    assert len(nothing.items) == 0
    assert nothing.unknown == ["nope"]


def test_recommendations_agree_with_the_ranks(run_dir: Path, data_dir: Path) -> None:
    """The true next item stands at its rank in the list."""
    ranks = evaluate_run(run_dir, progress=False).ranks
    test = RunDir(run_dir).split().test
    recommender = Recommender.load(run_dir)
    for _, row in ranks.iloc[::17].iterrows():
        clicks = test[int(row["session_id"])][: int(row["position"])]
        answer = recommender.recommend([f"item {i}" for i in clicks], k=40).items
        place = answer["item_id"].tolist().index(f"item {int(row['target'])}") + 1
        assert place == row["rank"]


def test_ids_are_trimmed_as_in_the_log(run_dir: Path) -> None:
    answer = Recommender.load(run_dir).recommend([" item 4", "item 5\n"])
    assert answer.unknown == []


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_scores_that_are_not_finite_are_no_recommendation(run_dir: Path, bad: float) -> None:
    run = RunDir(run_dir)
    model = run.model()
    with torch.no_grad():
        next(p for p in model.parameters() if p.shape[0] > 40)[7] = bad
    with pytest.raises(FloatingPointError, match="ProxySR gave scores that are not finite; a list"):
        Recommender(model, run.items).recommend(["item 4"])


@pytest.mark.parametrize(
    ("clicks", "options", "message"),
    [
        ([], {}, "at least one click; received none"),
        (["item 1"], {"k": 0}, "k is a whole number from 1; received 0"),
        (["item 1"], {"task": "all"}, "'all' is not a known task"),
    ],
)
def test_bad_requests_are_named(
    run_dir: Path, clicks: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Recommender.load(run_dir).recommend(clicks, **options)
