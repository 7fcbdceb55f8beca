"""The Python examples of the README run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from proxysr.data import prepare
from proxysr.runs import evaluate_run, train_run
from proxysr.training import TrainConfig
from tests.conftest import ROOT

BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)


@pytest.fixture
def log() -> pd.DataFrame:
    """Sixty visits of a shop of twenty items, four clicks each."""
    rows = [
        {"session_id": v, "item_id": f"sku-{(v + click) % 20}", "timestamp": 1e9 + 100 * v + click}
        for v in range(60)
        for click in range(4)
    ]
    return pd.DataFrame(rows)


def test_there_are_two_examples() -> None:
    assert len(BLOCKS) == 2


def test_own_log_to_recommendations(
    log: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = {"session_id": "visit", "item_id": "sku", "timestamp": "when"}
    log.rename(columns=names).to_csv(tmp_path / "clicks.csv", index=False)
    monkeypatch.chdir(tmp_path)
    exec(BLOCKS[0], {})
    said = capsys.readouterr().out
    assert "proxies_in_use" in said
    assert "'MRR@20': " in said
    assert len(re.findall(r"^\d +\d +sku-\d+ ", said, flags=re.M)) == 5


def test_reading_a_run(
    log: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(log).save("data")
    small = {"embedding_dim": 4, "n_proxies": 3}
    train_run("data", "runs/toy", model_config=small, train=TrainConfig(epochs=2), progress=False)
    evaluate_run("runs/toy", progress=False)
    exec(BLOCKS[1], {})
    assert "temperature" in capsys.readouterr().out
