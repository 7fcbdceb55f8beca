"""The notebooks stay what they are meant to be: thin, parameterised, small, with fresh outputs."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from proxysr.notebooks.parameters import parameters_of
from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LINES, LINES_A_CELL = 120, 16
FORBIDDEN = {
    r"^\s*[%!]|subprocess|os\.system": "shell commands",
    r"sys\.path|os\.chdir|%cd": "changes of where things are found",
    r"['\"](\.\./|\./|/[a-z]+/)": "paths that hold for one folder or machine only",
    r"\.backward\(|optimizer|\.fit\(": "a training loop",
}

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def is_parameters(cell: dict[str, Any]) -> bool:
    return "parameters" in cell["metadata"].get("tags", [])


def test_named_by_number_and_opened_by_a_question(path: Path) -> None:
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem)
    first = source(cells(path, "markdown")[0])
    assert re.match(r"# .+\?\n", first), "the first line is a question"
    assert re.search(r"\bTakes\b.*\b(seconds|minutes?)\b", first), "it says how long it takes"
    assert "Nothing has to run before" in first or "Run `" in first


def test_one_cell_of_parameters_with_a_word_on_each(path: Path) -> None:
    tagged = [cell for cell in cells(path) if is_parameters(cell)]
    assert len(tagged) == 1
    assert is_parameters(cells(path)[0]), "parameters come before all other code"
    statements = ast.parse(source(tagged[0])).body
    lines = source(tagged[0]).splitlines()
    assert len(lines) == len(statements), "one parameter a line"
    found = parameters_of(path)
    for statement in statements:
        assert isinstance(statement, ast.AnnAssign)
        assert isinstance(statement.target, ast.Name)
        assert statement.value is not None
        ast.literal_eval(statement.value)
        about = found[statement.target.id]
        assert about["inferred_type_name"] in ("int", "float", "bool", "str")
        assert len(about["help"]) > 5, f"{statement.target.id} lacks its comment"
    assert len(found) == len(statements)


def test_thin(path: Path) -> None:
    total = 0
    for cell in cells(path):
        code = source(cell)
        size = len([line for line in code.splitlines() if line.strip()])
        total += size
        assert size <= LINES_A_CELL, f"a cell of {size} lines:\n{code}"
        for node in ast.walk(ast.parse(code)):
            assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.While)
        for pattern, what in FORBIDDEN.items():
            lines = [line for line in code.splitlines() if not line.lstrip().startswith("#")]
            for line in lines:
                assert not re.search(pattern, line), f"{what}: {line}"
    assert total <= LINES


def test_every_figure_is_saved_and_shown(path: Path) -> None:
    code = "\n".join(source(cell) for cell in cells(path))
    names = re.findall(r'save_figure\(fig, "(\w+)"', code)
    assert code.count("save_figure(") == len(names) == len(set(names)) == code.count("fig.show()")
    assert all(name.startswith(path.stem[:3]) for name in names)


def test_it_ends_with_an_asserted_conclusion(path: Path) -> None:
    last = cells(path)[-1]
    assert source(last).startswith("# NBVAL_CHECK_OUTPUT")
    assert source(last).count("assert ") >= 3
    assert "print(" in source(last)


def test_outputs_are_of_one_run_in_order_and_small(path: Path) -> None:
    with_code = [cell for cell in cells(path) if source(cell).strip()]
    counts = [cell["execution_count"] for cell in with_code]
    assert counts == list(range(1, len(with_code) + 1))
    assert path.stat().st_size < 1_000_000
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in notebook["metadata"]
    for cell in with_code:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", output
            data = output.get("data", {})
            assert "application/vnd.jupyter.widget-view+json" not in data
            if "application/vnd.plotly.v1+json" in data:
                assert "image/png" in data, "a viewer without scripts shows the picture"
            text = json.dumps({k: v for k, v in data.items() if k != "image/png"})
            assert not re.search(r"/(home|root|work|tmp|Users)/", text + str(output.get("text")))
