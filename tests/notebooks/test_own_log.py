"""The first notebook on a log of one's own that has least: no users, no titles, no dates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from tests.conftest import ROOT


def test_a_log_of_running_numbers_without_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROXYSR_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setattr("proxysr.plots.saving.draw", lambda fig: b"a picture")
    monkeypatch.setattr(go.Figure, "show", lambda fig: None)
    rows = [(f"v{v}", f"sku-{(v + k) % 10}", 4 * v + k) for v in range(60) for k in range(4)]
    log = tmp_path / "clicks.csv"
    pd.DataFrame(rows, columns=["session_id", "sku", "when"]).to_csv(log, index=False)
    cells = json.loads((ROOT / "notebooks" / "00_your_sessions.ipynb").read_text())["cells"]
    values: dict[str, Any] = {}
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        exec("".join(cell["source"]), values)
        if "parameters" in cell["metadata"].get("tags", ()):
            values |= {"log": str(log), "item": "sku", "time": "when"}
            values |= {"data_dir": str(tmp_path / "data")}
    *_, dates, last = capsys.readouterr().out.splitlines()
    assert "in which order sessions began is known, but not when" in dates
    assert last == "60 sessions of 10 items are ready"
