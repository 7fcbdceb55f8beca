"""Text of data on terminals, in pictures and in spreadsheets."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from proxysr.cli.answer import Answer, table
from proxysr.plots import drawing, saving
from proxysr.text import all_visible, visible, without_formula, write_table

HOSTILE = "Tea\x1b[2J\x07\x9b31m\u202egnp\x00\r"


def test_control_characters_are_shown() -> None:
    assert visible(HOSTILE) == r"Tea\x1b[2J\x07\x9b31m\u202egnp\x00\r"
    assert visible("a\nb\tc") == r"a\nb\tc"
    assert visible("a\nb\tc\x1b", lines=True) == "a\nb\tc\\x1b"
    assert visible("half \ud800").encode() == rb"half \ud800"
    for harmless in ("Tee für Zwei", "תה 🫖", "<b>", "شاي"):
        assert visible(harmless) == harmless


def test_answers_hold_none() -> None:
    frame = pd.DataFrame({"title": [HOSTILE, "a\nb", None], "n": [1, 2, 3]})
    text = Answer({}, f"{HOSTILE}\n{table(frame)}").shown(as_json=False)
    assert text.count("\n") == 5
    assert not {*text} & {*"\x1b\x07\x9b\u202e\x00\r"}
    as_json = Answer({"title": HOSTILE, "é": 1}, "").shown(as_json=True)
    assert not {*as_json} & {*"\x1b\x07\x9b\u202e\x00\r"}
    assert json.loads(as_json) == {"title": HOSTILE, "é": 1}
    assert "é" in as_json


def test_pictures_hold_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn: list[dict[str, Any]] = []

    class Browser:
        def draw(self, figure: dict[str, Any], options: dict[str, Any]) -> bytes:
            drawn.append(figure)
            return b"png"

    monkeypatch.setattr(drawing, "_browser", Browser)
    names = np.array([HOSTILE, "b"], dtype=object)
    fig = go.Figure(go.Bar(x=names, y=[1, 2], text=[HOSTILE, "b"]), {"title": {"text": HOSTILE}})
    drawing.draw(fig)
    assert "\x1b" not in str(drawn[0])
    assert "\\\\x1b[2J" in str(drawn[0])
    made = saving.save_figure(fig, "a", folder=tmp_path)
    assert "\\u001b" not in made.html.read_text().partition("<body>")[2]
    assert all_visible({"a": (1, HOSTILE), "b": np.arange(2)})["a"][1] == visible(HOSTILE)


CELLS = [
    "=1+1",
    "+cmd|'/c calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\tx",
    " =1",
    "tea",
    "-5",
    "+1e3",
    "",
]


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_cells_that_spreadsheets_would_compute_are_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    frame = pd.DataFrame({"=title": CELLS, "value": -np.arange(len(CELLS))})
    frame["kind"] = pd.Categorical(CELLS)
    write_table(frame, path)
    head, *found = rows(path)
    assert head == ["'=title", "value", "kind"]
    escaped = [f"'{cell}" for cell in CELLS[:6]] + CELLS[6:]
    assert [row[0] for row in found] == [row[2] for row in found] == escaped
    assert [int(row[1]) for row in found] == frame["value"].tolist()
    assert frame["=title"].tolist() == CELLS, "the caller's frame is left as it is"
    write_table(frame, path, formulas=True)
    assert [row[0] for row in rows(path)] == ["=title", *CELLS]
    assert without_formula(-3) == -3
    assert without_formula("\r=1") == "'\r=1"
    write_table(pd.DataFrame({"a": ["x\r=1\x1b"]}), path)
    assert rows(path) == [["a"], [r"x\r=1\x1b"]]


def test_figures_have_such_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "draw", lambda fig: b"png")
    frame = pd.DataFrame({"item": ["=1+1"], "n": [-0.5]})
    for formulas, cell in ((False, "'=1+1"), (True, "=1+1")):
        made = saving.save_figure(go.Figure(), "a", table=frame, formulas=formulas, folder=tmp_path)
        assert made.csv is not None
        assert rows(made.csv) == [["item", "n"], [cell, "-0.5"]]
