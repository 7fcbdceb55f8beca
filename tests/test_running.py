"""A run that several processes want, that was trained further, or whose files are of odd shape."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from proxysr import running
from proxysr.__main__ import main
from proxysr.checkpoints import save_weights
from proxysr.config import ConfigError
from proxysr.data.sessions import SessionSplit
from proxysr.models import ProxySR
from proxysr.processes import locked
from proxysr.run import RunDir
from proxysr.running import evaluate_run, train_run
from tests.test_run import config
from tests.test_run import data_dir as data_dir  # fixtures
from tests.test_run import run_dir as run_dir


@pytest.fixture(scope="module")
def made(run_dir: Path) -> Path:
    """A run with evaluations of both tasks."""
    evaluate_run(run_dir, device="cpu", progress=False)
    evaluate_run(run_dir, task="repeat", min_prefix=2, device="cpu", progress=False)
    return run_dir


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """A run to change."""
    return Path(shutil.copytree(made, tmp_path / "run"))


# -- several processes ---------------------------------------------------------------------


def test_of_two_trainings_one_gets_the_folder(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is as far as this one, and takes the folder first."""
    path, original = tmp_path / "run", running._write_data

    def other_is_first(*args: Any) -> None:
        original(*args)
        monkeypatch.setattr(running, "_write_data", original)
        train_run(data_dir, path, model="popularity", train=config(), progress=False)

    monkeypatch.setattr(running, "_write_data", other_is_first)
    with pytest.raises(ValueError, match=r"run is not empty; nothing was overwritten. Add --resum"):
        train_run(data_dir, path, train=config(), progress=False)
    assert RunDir(path).model_name == "popularity"
    assert [item.name for item in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("resume", [False, True])
def test_a_run_in_training_cannot_be_resumed(
    data_dir: Path,
    copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    resume: bool,
) -> None:
    path, original = copy if resume else tmp_path / "new", running.fit
    refusals = []

    def meanwhile(*args: Any, **options: Any) -> Any:
        with pytest.raises(ValueError, match="is being trained by another process. Wait") as caught:
            train_run(data_dir, path, train=config(epochs=9), resume=True, progress=False)
        refusals.append(caught)
        return original(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(running, "fit", meanwhile)
        model = None if resume else "mean"
        train_run(
            data_dir, path, model=model, train=config(epochs=5), resume=resume, progress=False
        )
    assert len(refusals) == 1
    assert RunDir(path).train_config.epochs == 5
    train_run(data_dir, path, train=config(epochs=6), resume=True, progress=False)


def test_evaluations_at_the_same_time_are_all_kept(
    made: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy / "metrics.json").unlink()
    original = RunDir._metrics_file

    def slowly(run: RunDir) -> dict[str, Any]:
        found = original(run)
        time.sleep(0.2)
        return found

    monkeypatch.setattr(RunDir, "_metrics_file", slowly)
    threads = [
        threading.Thread(
            target=evaluate_run,
            args=(copy,),
            kwargs={"part": part, "task": "repeat", "device": "cpu", "progress": False},
        )
        for part in ("test", "valid", "train")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(RunDir(copy).metrics()) == {"test-repeat", "valid-repeat", "train-repeat"}


def test_an_evaluation_does_not_wait_for_ever(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "WAIT", 0.0)
    with (
        locked(copy / ".metrics.lock", "never"),
        pytest.raises(
            ValueError, match="run is being evaluated by another process, which does not"
        ),
    ):
        evaluate_run(copy, device="cpu", progress=False)


# -- trained on since ----------------------------------------------------------------------


def train_until_another_epoch_is_the_best(data_dir: Path, path: Path) -> None:
    best = RunDir(path).best_epoch
    for epochs in range(5, 14):
        train_run(data_dir, path, train=config(epochs=epochs), resume=True, progress=False)
        if RunDir(path).best_epoch != best:
            return
    pytest.fail("the planted cycles are not learnt")


def test_evaluations_of_an_epoch_that_is_best_no_more_are_refused(
    data_dir: Path, copy: Path
) -> None:
    old = RunDir(copy).best_epoch
    before = RunDir(copy).metrics()
    train_until_another_epoch_is_the_best(data_dir, copy)
    run = RunDir(copy)
    since = (
        r"trained further after its evaluation test-unseen: the ranks are of epoch "
        rf"{old}, the best epoch is "
    )
    again = rf"{run.best_epoch}. Evaluate it again: `proxysr evaluate {re.escape(str(copy))} "
    for look in (run.metrics, run.ranks, run.evaluation):
        with pytest.raises(ValueError, match=since + again + "--split test --task unseen`"):
            look()
    with pytest.raises(ValueError, match="--split test --task repeat --min-prefix 2`"):
        run.ranks("test", "repeat")
    evaluate_run(copy, device="cpu", progress=False)
    assert run.evaluation()["epoch"] == run.best_epoch
    assert len(run.ranks()) == before["test-unseen"]["n_targets"]
    evaluate_run(copy, task="repeat", device="cpu", progress=False)
    assert set(run.metrics()) == set(before)


# -- JSON of another shape -----------------------------------------------------------------

SHAPES = [
    ("config.json", ["model"], None, "config.json is damaged: it has no 'model'"),
    ("config.json", ["train"], None, "config.json is damaged: it has no 'train'"),
    ("config.json", ["model_config"], [1], "'model_config' is a dict, not a list"),
    ("config.json", ["model"], 3, "'model' is a str, not a int"),
    ("config.json", ["train"], {"epochs": "x"}, "config.json, 'train': epochs is a whole number"),
    ("config.json", ["model_config"], {"K": 1}, "config.json, 'model_config': 'K' is not a known"),
    ("config.json", [], [1], "config.json is damaged: it holds no JSON object"),
    ("data.json", [], {}, "data.json is damaged: it has no 'data_dir'"),
    ("data.json", [], [], "data.json is damaged: it holds no JSON object"),
    ("data.json", ["n_items"], "40", "data.json is damaged: 'n_items' is a int, not a str"),
    ("metrics.json", [], [1], "metrics.json is damaged: it holds no JSON object"),
    ("metrics.json", ["test-unseen"], 3, "metrics.json is damaged: 'test-unseen' is a dict, not"),
    ("metrics.json", ["training", "findings"], None, "metrics.json is damaged: it has no 'findin"),
    ("metrics.json", ["test-unseen", "epoch"], None, "'epoch' of 'test-unseen' is missing or not"),
]


@pytest.mark.parametrize(("name", "where", "value", "message"), SHAPES)
def test_json_of_another_shape_is_named(
    copy: Path, name: str, where: list[str], value: Any, message: str
) -> None:
    whole: Any = json.loads((copy / name).read_text())
    if where:
        parent = whole
        for key in where[:-1]:
            parent = parent[key]
        parent[where[-1]] = value
        if value is None:
            del parent[where[-1]]
    (copy / name).write_text(json.dumps(whole if where else value))
    with pytest.raises(ValueError, match=re.escape(message)):
        evaluate_run(copy, device="cpu", progress=False)


def test_a_checkpoint_without_its_history_is_named(copy: Path) -> None:
    path = copy / "checkpoints" / "last.safetensors"
    save_file(load_file(path), path, metadata={"format": "proxysr-run"})
    with pytest.raises(ValueError, match=r"last.safetensors is damaged: its metadata has no 'best"):
        RunDir(copy).history()


def test_equal_weights_are_equal_files(tmp_path: Path) -> None:
    """Metadata come from a hash table in any order; they are written in one."""
    tensors = {f"é{i}": torch.full((i, 2), float(i)) for i in range(5)}
    metadata = {f'k"{i}\n': "é" * i for i in range(9)}
    files = set()
    for i in range(6):
        save_weights(tmp_path / str(i), tensors, metadata)
        files.add((tmp_path / str(i)).read_bytes())
    assert len(files) == 1
    found = load_file(tmp_path / "0")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in found)


def test_items_without_a_title_have_none_in_json(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    items = RunDir(copy).items
    titles = ["Tea" if item_id == "item 3" else None for item_id in items["item_id"]]
    monkeypatch.setattr(RunDir, "items", items.assign(title=titles))
    assert main(["recommend", str(copy), " item 1", "-k", "50", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unknown"] == []
    shown = {item["item_id"]: item["title"] for item in found["items"]}
    assert shown.pop("item 3") == "Tea"
    assert len(shown) == 38
    assert set(shown.values()) == {None}
    assert all(isinstance(item["score"], float) for item in found["items"])


def test_defaults_that_depend_on_the_catalogue_can_be_resumed(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxysr.models.proxy_model.LARGE_CATALOGUE", 10)
    for epochs, resume in ((1, False), (2, True)):
        run = train_run(
            data_dir, tmp_path / "run", model="proxysr",
            model_config=ProxySR.Config(embedding_dim=4, n_proxies=2),
            train=config(epochs=epochs), resume=resume, progress=False,
        )  # fmt: skip
    assert len(run.history()) == 2
    assert run.model_config.to_dict()["margin"] == 0.1


# -- runs without an epoch -----------------------------------------------------------------


def test_a_new_run_whose_settings_are_refused_is_not_in_the_way(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(data_dir), str(tmp_path / "run"), "--epochs", "1", "--set"]
    assert main([*words, "embedding_dim=4", "n_proxies=1000"]) == 2
    assert "n_proxies is 1000, but there are only" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main([*words, "embedding_dim=4", "n_proxies=2"]) == 0


def test_initial_weights_belong_to_the_run(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted before its first epoch, it goes on from the same weights or not at all."""
    path = tmp_path / "run"
    items = {"items": torch.ones(41, 4)}
    options: dict[str, Any] = {"model": "mean", "model_config": {"embedding_dim": 4}}
    options |= {"train": config(epochs=1), "progress": False}
    with monkeypatch.context() as patch:
        patch.setattr(running, "fit", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_run(data_dir, path, weights=items, **options)
    with pytest.raises(ValueError, match="began with other initial weights. Hand in the same"):
        train_run(data_dir, path, resume=True, progress=False)
    resumed = train_run(data_dir, path, weights=items, resume=True, progress=False)
    whole = train_run(data_dir, tmp_path / "whole", weights=items, **options)
    assert resumed.identity == whole.identity
    assert resumed.history()["loss"].tolist() == whole.history()["loss"].tolist()
    without = train_run(data_dir, tmp_path / "without", **options)
    assert without.identity != whole.identity


def test_settings_that_were_changed_by_hand_are_not_resumed(
    data_dir: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither those of the model, which its weights do not fit, nor those of the training."""
    path = copy / "config.json"
    whole = json.loads(path.read_text())
    for part, name, value in [("train", "seed", 7), ("model_config", "n_proxies", 2)]:
        changed = json.loads(path.read_text())
        changed[part][name] = value
        path.write_text(json.dumps(changed))
        before = path.read_bytes()
        assert main(["train", str(data_dir), str(copy), "--resume", "--epochs", "9"]) == 2
        assert "cannot go on as it began: its config.json was changed" in capsys.readouterr().err
        assert path.read_bytes() == before
        path.write_text(json.dumps(whole))


def test_a_training_that_weighs_sessions_by_age_needs_the_same_times(
    data_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data_dir, folder)
    for half_life, refused in [(0.0, False), (0.2, True)]:
        path = tmp_path / f"run-{half_life}"
        options: dict[str, Any] = {"train": config(epochs=1, half_life=half_life)}
        train_run(folder, path, model="mean", progress=False, **options)
        split = SessionSplit.load(folder)
        later = replace(split.train, started_at=np.arange(len(split.train)) + 10.0 * half_life)
        replace(split, train=later).save(folder)
        longer = {"train": config(epochs=2, half_life=half_life), "resume": True}
        if refused:
            with pytest.raises(ConfigError, match="or the times of the sessions"):
                train_run(folder, path, progress=False, **longer)
        else:
            assert len(train_run(folder, path, progress=False, **longer).history()) == 2


def test_a_run_that_fails_in_its_first_epoch_is_not_in_the_way(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", str(data_dir), str(tmp_path / "run"), "--epochs", "1", "--model", "mean"]
    assert main([*words, "--learning-rate", "1e30", "--epochs", "3"]) != 0
    error = capsys.readouterr().err
    assert "The loss is not finite in epoch 0" in error
    assert "are kept" not in error
    assert not (tmp_path / "run").exists()
    assert main(words) == 0
    assert main([*words[:2], str(tmp_path / "other"), "--seed", str(2**32)]) == 2
    assert "seed" in capsys.readouterr().err


def test_a_resumed_run_knows_where_its_data_have_gone(
    data_dir: Path, copy: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(data_dir, moved)
    path = copy / "data.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data_dir": str(tmp_path / "gone")}))
    with pytest.raises(ValueError, match="gone, the data that .* was trained on, is not there. If"):
        RunDir(copy).split()
    train_run(moved, copy, resume=True, progress=False)
    assert RunDir(copy).data["data_dir"] == str(moved)
    assert RunDir(copy).split().n_items == 40
