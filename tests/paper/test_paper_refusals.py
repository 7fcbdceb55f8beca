"""``proxysr paper`` says in one line what it cannot do, and names a run that is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from proxysr.__main__ import main
from proxysr.data.sessions import SessionSplit
from tests.paper.test_paper_command import data as data  # a fixture
from tests.paper.test_paper_command import paper_run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "tabel2", "--out", "x"], "'tabel2' is not a known table or figure. Did you mean"),
        (["run", "table2", "--out", "x"], "--data is needed: what `proxysr prepare` wrote"),
        (["run", "table2"], "--out is needed: the folder of the runs"),
        (["run", "table2", "table3", "--out", "x"], "One table or spec at a time"),
        (["run", "table2", "--data", "absent", "--out", "x"], "absent is not a proxysr split"),
        (["run", "table2", "--data", "D", "--out", "x", "--models", "narn"], "'narn' is not a kno"),
        (
            ["run", "table5", "--data", "D", "--out", "x", "--models", "narm"],
            "has models of its",
        ),
        (["run", "table2", "--data", "D", "--out", "x", "--presets", "smal"], "not a known preset"),
        (["run", "table2", "--data", "D", "--out", "x", "--seeds", "0;1"], "Whole numbers between"),
        (["run", "spec.yaml", "--out", "x"], "spec.yaml"),
        (["run", "table2", "--data", "D", "--out", "x", "--epochs", "0"], "epochs is at least 1"),
        (["run", "table2", "--data", "D", "--out", "x", "--set", "epohcs=2"], "Did you mean 'epoc"),
        (["run", "table2", "--data", "D", "--out", "x", "--set", "seed=5"], "seed is no part"),
        (["run", "table2", "--data", "D", "--out", "x", "--seeds", "0,0"], "0 is there twice"),
        (
            ["run", "table5", "--data", "D", "--out", "x", "--min-sessions", "3"],
            "table5 knows no users: --min-sessions is for table4",
        ),
        (
            ["run", "table4", "--data", "D", "--out", "x", "--min-sessions", "0"],
            "--min-sessions is at least 1; received 0",
        ),
        (["run", "spec.yaml", "--data", "D", "--out", "x"], "--data: the spec says that, so leave"),
        (["run", "--out", "x"], "One table or spec at a time; received none."),
        (["tables", "--out", "x.md"], "Name folders with runs, or --keep, the folder of what is"),
        (["tables", "--out", "x.md", "--keep", "absent"], "No evaluated run lies in absent. Mak"),
        (["tables", "absent", "--out", "x.md"], "absent is not there. Name a folder with runs."),
        (["run", "table2", "--out", "x", "--keep", "k"], "--keep: only tables takes that."),
        (["tables", ".", "--out", "x.md", "--seeds", "0"], "--seeds: only run takes that."),
        (["tables", ".", "--out", "x.md", "--reference", "narn"], "'narn' is not a known model"),
    ],
)
def test_errors_are_one_line(
    words: list[str], message: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    asked = [str(data) if word == "D" else word for word in words]
    assert main(["paper", *asked]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err.splitlines()[-1]


def test_table_6_tells_why_its_proxysr_is_missing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*args: Any, **options: Any) -> Any:
        raise FloatingPointError("The loss is not finite in epoch 0.")

    monkeypatch.setattr("proxysr.experiments.running.train_run", failing)
    assert paper_run("table6", data, tmp_path / "out", "--seeds", "0") == 2
    assert "proxysr, retailrocket-small, unseen, seed 0: " in capsys.readouterr().err
    assert "not finite" in (tmp_path / "out" / "runs.csv").read_text()


def test_table_4_tells_where_nobody_comes_back(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Test sessions of users unknown before: no history can be read, and the rest is there."""
    split = SessionSplit.load(data)
    test = replace(split.test, user_index=np.full(len(split.test), -1, np.int32))
    folder = replace(split, test=test).save(tmp_path / "strangers")
    words = ["--seeds", "0", "--min-sessions", "3"]
    assert paper_run("table4", folder, tmp_path / "out", *words) == 2
    assert "sessions of test are of a user who was seen before" in capsys.readouterr().err
    frame = pd.read_csv(tmp_path / "out" / "runs.csv")
    assert frame.loc[frame["hole"].isna(), "model"].unique().tolist() == ["proxysr"]
    assert frame.loc[frame["hole"].notna(), "model"].unique().tolist() == ["latent_proxy"]
