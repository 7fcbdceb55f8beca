"""Runs and splits whose files are damaged, foreign or made to do harm: one readable error each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings

from proxysr.analysis.significance import compare_runs
from proxysr.config import ConfigError
from proxysr.data.sessions import SessionSplit
from proxysr.experiments.spaces import read_space
from proxysr.files import hash_of_file, read_json, read_yaml
from proxysr.notebooks.parameters import read_params
from proxysr.recommender import Recommender
from proxysr.run import RunDir
from tests.hostile import shop
from tests.hostile.damage import damages, files_of, tried

SPLIT_FILES = [
    "split.json",
    *(f"{part}/{name}.npy" for part in ("train", "test") for name in ("items", "offsets")),
    *(f"valid/{name}.npy" for name in ("session_ids", "user_index", "started_at")),
    *(f"{name}.parquet" for name in ("items", "users", "session_info")),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shop.split().save(tmp_path_factory.mktemp("data") / "split")


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    shop.train(data, path)
    shop.evaluated(path)
    shop.everything_of(path)
    return path


@pytest.fixture
def run_dir(made: Path, tmp_path: Path) -> Path:
    """A run to damage."""
    return Path(shutil.copytree(made, tmp_path / "run"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.mark.parametrize("tied", [True, False])
def test_no_damage_of_a_run_is_a_traceback(made: Path, place: Path, tied: bool) -> None:
    said = []

    @settings(max_examples=60)
    @given(damages(files_of(made)))
    def attack(damage: Any) -> None:
        said.append(tried(made, place, *damage, tied=tied, split=False))

    attack()
    assert len({*said}) > 20, "the damages are seen"


@pytest.mark.parametrize("tied", [True, False])
def test_no_damage_of_a_split_is_a_traceback(data: Path, place: Path, tied: bool) -> None:
    said = []

    @settings(max_examples=80)
    @given(damages(SPLIT_FILES))
    def attack(damage: Any) -> None:
        said.append(tried(data, place, *damage, tied=tied, split=True))

    attack()
    assert len({*said}) > 20


# -- a run's files are tied ----------------------------------------------------------------


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_permuted_and_foreign_items_are_refused(run_dir: Path) -> None:
    path = run_dir / "items.parquet"
    items = pd.read_parquet(path)
    for other in (items[::-1], items.assign(title="Tea")):
        other.to_parquet(path, index=False)
        with pytest.raises(ValueError, match=r"items\.parquet is missing or damaged \(it is not"):
            Recommender.load(run_dir)
    change(run_dir / "data.json", files={})  # as of an older version, which has no hashes
    items.assign(item_id="one").to_parquet(path, index=False)
    with pytest.raises(ValueError, match="it does not name 40 different items"):
        Recommender.load(run_dir)


def test_weights_of_another_epoch_or_run_are_refused(
    run_dir: Path, data: Path, tmp_path: Path
) -> None:
    run = RunDir(run_dir)
    folder = run_dir / "checkpoints"
    best = folder / f"epoch-{run.best_epoch:04d}.safetensors"
    other = folder / f"epoch-{run.best_epoch + 1:04d}.safetensors"
    own = best.read_bytes()
    other.write_bytes(own)
    with pytest.raises(ValueError, match=rf"holds the weights of epoch {run.best_epoch}, not"):
        run.model_after(run.best_epoch + 1)
    foreign = shop.train(data, tmp_path / "foreign", seed=7).path
    for name in ("last", best.stem):
        path = folder / f"{name}.safetensors"
        kept = path.read_bytes()
        source = foreign / "checkpoints" / f"{name}.safetensors"
        if not source.is_file():
            continue
        shutil.copy(source, path)
        with pytest.raises(ValueError, match=r"holds the weights of another run\. Put the right"):
            run.model("last" if name == "last" else "best")
        path.write_bytes(kept)
    shutil.copy(foreign / "data.json", run_dir / "data.json")
    with pytest.raises(ValueError, match=r"data\.json belongs to another run than .*config\.json"):
        RunDir(run_dir)


def test_one_bit_of_the_weights_is_seen(run_dir: Path) -> None:
    run = RunDir(run_dir)
    path = run_dir / "checkpoints" / f"epoch-{run.best_epoch:04d}.safetensors"
    content = bytearray(path.read_bytes())
    content[-7] ^= 4
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"missing or damaged \(its values are not those written"):
        run.model()


@pytest.mark.parametrize("rank", [0.0, -3.0, 41.0, np.nan, np.inf])
def test_ranks_that_are_none_are_refused(run_dir: Path, made: Path, rank: float) -> None:
    path = run_dir / "ranks-test-unseen.parquet"
    ranks = pd.read_parquet(path)
    ranks.loc[2, "rank"] = rank
    ranks.to_parquet(path, index=False)
    with pytest.raises(
        ValueError, match=r"holds other ranks than metrics\.json was made from\. Eval"
    ):
        RunDir(run_dir).ranks()
    entry = json.loads((run_dir / "metrics.json").read_text())["test-unseen"]
    change(run_dir / "metrics.json", **{"test-unseen": entry | {"ranks": hash_of_file(path)}})
    with pytest.raises(ValueError, match=r"1 of \d+ ranks are not from 1 to 40, the number of it"):
        compare_runs([made, run_dir])


def test_metrics_are_those_of_the_ranks(run_dir: Path) -> None:
    entry = json.loads((run_dir / "metrics.json").read_text())["test-unseen"]
    entry["metrics"]["R@20"] = 0.99
    change(run_dir / "metrics.json", **{"test-unseen": entry})
    with pytest.raises(ValueError, match="metrics of test-unseen are not those of the ranks in"):
        RunDir(run_dir).evaluation()
    with pytest.raises(ValueError, match="are not those of the ranks in"):
        RunDir(run_dir).metrics()
    shop.evaluated(run_dir)
    assert RunDir(run_dir).evaluation()["metrics"]["R@20"] < 0.99


def test_a_changed_file_of_a_split_is_refused(data: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(data, tmp_path / "split"))
    array = np.load(folder / "test" / "started_at.npy")
    np.save(folder / "test" / "started_at.npy", array + 1)
    shutil.copy(folder / "valid" / "items.npy", folder / "test" / "items.npy")
    with pytest.raises(ValueError, match=r"test.* is damaged"):
        SessionSplit.load(folder)


def test_folders_are_no_columns(made: Path, data: Path, tmp_path: Path) -> None:
    run_dir = shutil.copytree(made, tmp_path / "item_id=1" / "run[1]")
    assert "item 1" in RunDir(run_dir).items["item_id"].to_list()
    split = SessionSplit.load(shutil.copytree(data, tmp_path / "count=3" / "split*"))
    assert set(split.items) == {"item_id", "title"}


# -- JSON and YAML -------------------------------------------------------------------------

YAML = {
    "a: [1, 2": "while parsing a flow sequence",
    "a: &x [1]\nb: *x": r"it has aliases, \*NAME",
    "&a [*a]": "it has aliases",
    "a: !!python/object/apply:os.system [echo]": "could not determine a constructor",
    "a: 2001-99-99": "month must be in",
    "[" * 3000: "more than 20 deep",
    "a: \x00": "unacceptable character",
    "? [1]\n: 2": "holds no|unhashable|neither",
}


@pytest.mark.parametrize("text", YAML, ids=range(len(YAML)))
def test_hostile_yaml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    for read in (read_params, read_space):
        with pytest.raises(ValueError, match=YAML[text]) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_what_is_yaml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({"seed": 1, "02_compare": {"epochs": 30}}))
    assert read_yaml(path) == read_params(path) == {"seed": 1, "02_compare": {"epochs": 30}}


@pytest.mark.parametrize("text", ["[" * 10**5, "1" * 5000, "{", "\ufeff{}", ""])
def test_hostile_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.json is damaged: it is not valid JSON"):
        read_json(path)


# -- arguments -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clicks", "options", "message"),
    [
        (["item 1"], {"k": "3"}, "k is a whole number from 1; received '3'"),
        (["item 1"], {"k": 2.5}, "k is a whole number from 1; received 2.5"),
        (["item 1"], {"k": True}, "k is a whole number from 1; received True"),
        ("item 1", {}, "clicks: a list of item ids; received 'item 1'"),
        ({"item 1"}, {}, "clicks: a list of item ids; received"),
        ([["item 1"]], {}, r"clicks: an id is text or a number; received \['item 1'\]"),
        ([None], {}, "clicks: an id is text or a number; received None"),
        ([float("nan")], {}, "clicks: an id is text or a number; received nan"),
        (["item 1"], {"task": 3}, "task is unseen or repeat; received 3"),
        (["item 1"], {"user": ["u"]}, "user: an id is text or a number"),
        (["item 1"], {"history": "item 1"}, "history: a list of sessions, each a list"),
        (["item 1"], {"history": ["item 1"]}, "each session of history: a list of item ids"),
        (["item 1"], {"history": 3}, "history: a list of sessions"),
    ],
)
def test_arguments_are_checked(
    made: Path, clicks: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Recommender.load(made).recommend(clicks, **options)
    found = Recommender.load(made).recommend(np.array(["item 1"]), k=np.int64(2))
    assert len(found.items) == 2
