"""Names are checked first, tries are judged as in training, and missing runs are named."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from benchmarks import tune_models
from benchmarks.tune_models import ANNEALED, LEARNED, Search, variant
from proxysr.data.sessions import SessionSplit
from proxysr.experiments import Spec, run_spec
from proxysr.experiments.running import Results
from proxysr.files import read_json
from proxysr.models import create, model_class


def search(folder: Path) -> Search:
    return Search(argparse.Namespace(data_dir=folder, runs=folder, seeds="0", jobs=1, min_prefix=1))


@pytest.mark.parametrize(
    ("models", "message"),
    [("narm,cooccurence", "'cooccurence' is not a known model with tries. Did you mean 'cooccur"),
     (",", "--models names no model.")],
)  # fmt: skip
def test_names_are_checked_before_the_first_try(
    models: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tune_models, "run_spec", lambda *args, **options: pytest.fail("begun"))
    monkeypatch.setattr("sys.argv", ["tune_models.py", "data", "runs", "--models", models])
    with pytest.raises(SystemExit) as ended:
        tune_models.main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "recalls", "expected"),
    [
        ("proxysr", [0.5, 0.4, 0.3, 0.2, 0.1, 0.2, 0.9], 0.2),  # only the epoch after annealing
        ("gru4rec", [0.3, 0.5, 0.4, 0.9], 0.5),  # its first three
    ],
)
def test_tries_are_judged_from_the_end_of_annealing(
    name: str, recalls: list[float], expected: float, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shown = list(recalls)
    run = SimpleNamespace(history=lambda: pd.DataFrame({"R@20": shown}))
    cell = SimpleNamespace(path=tmp_path, words="a try", hole="stopped")
    monkeypatch.setattr(tune_models, "has_epochs", lambda path: True)
    monkeypatch.setattr(tune_models, "RunDir", lambda path: run)
    monkeypatch.setattr(
        tune_models, "run_spec", lambda *args, **options: SimpleNamespace(cells=[cell])
    )
    tried = variant(name, LEARNED[name][0])
    assert search(tmp_path).recall_of_try(tried) == expected
    if name == "proxysr":
        settings = model_class(name).Config.from_dict(tried.model_config)
        assert create(name, 5, settings).schedule_epochs == ANNEALED
        del shown[2:]  # it failed before it could be judged
    else:
        del shown[1:]  # it failed after the first of three epochs
    with pytest.raises(SystemExit, match="a try: stopped"):
        search(tmp_path).recall_of_try(tried)


def test_missing_runs_are_named(
    tiny_split: SessionSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def failing(spec: Spec, *args: Any, **options: Any) -> Results:
        results = run_spec(spec, *args, **options)
        if spec.part == "test":
            results.cells[0].hole = "No space left on device"
        return results

    monkeypatch.setattr(tune_models, "run_spec", failing)
    words = [str(tiny_split.save(tmp_path / "data")), str(tmp_path / "runs")]
    words += ["--models", "cooccurrence", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["tune_models.py", *words])
    with pytest.raises(SystemExit) as ended:
        tune_models.main()
    assert ended.value.code == 2
    missing = "cooccurrence, data, unseen, seed 0: No space left on device"
    assert f"Missing: {missing}" in capsys.readouterr().err
    about = read_json(tmp_path / "tune_models.json")
    assert about["result"]["missing"] == [missing]
    assert len(about["result"]["tries"]) == 3
