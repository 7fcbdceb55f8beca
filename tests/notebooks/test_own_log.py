"""The first notebook on a log of one's own that has least: no users, no titles, no dates."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from proxysr.notebooks.running import run_notebooks
from tests.conftest import ROOT


def test_a_log_of_running_numbers_without_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXYSR_HOME", str(ROOT))
    monkeypatch.setenv("PROXYSR_FIGURES", str(tmp_path / "figures"))
    rows = [(f"v{v}", f"sku-{(v + k) % 10}", 4 * v + k) for v in range(60) for k in range(4)]
    log = tmp_path / "clicks.csv"
    pd.DataFrame(rows, columns=["session_id", "sku", "when"]).to_csv(log, index=False)
    params = {"log": log, "item": "sku", "time": "when", "data_dir": tmp_path / "data"}
    run_notebooks(
        ["00_your_sessions"],
        params={name: str(value) for name, value in params.items()},
        out=tmp_path / "pages",
        progress=False,
    )
    done = json.loads((tmp_path / "pages" / "00_your_sessions.ipynb").read_text())
    said = [
        "".join(output["text"])
        for cell in done["cells"]
        for output in cell.get("outputs", ())
        if output.get("name") == "stdout"
    ]
    assert "in which order sessions began is known, but not when" in said[-2]
    assert said[-1] == "60 sessions of 10 items are ready\n"
