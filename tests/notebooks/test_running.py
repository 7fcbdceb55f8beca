"""Notebooks run in processes of their own, take only parameters they have, and leave pages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from proxysr.config import ConfigError
from proxysr.notebooks import NotebookError, run_notebooks, running
from proxysr.notebooks.parameters import fitting, parameters_of
from proxysr.notebooks.running import chosen_notebooks, stated_seconds
from proxysr.notebooks.worker import clean
from tests.notebooks.small import write
from tools.refresh_notebooks import put_back


def outputs(path: Path) -> list[dict[str, Any]]:
    notebook = json.loads(path.read_text())
    return [out for cell in notebook["cells"] for out in cell.get("outputs", [])]


def test_parameters_are_read_with_type_default_and_help(tmp_path: Path) -> None:
    found = parameters_of(write(tmp_path, "01_a"))
    assert list(found) == ["k", "share", "name", "loud"]
    assert found["share"]["inferred_type_name"] == "float"
    assert found["share"]["default"] == "0.5"
    assert found["share"]["help"] == "of what"


def test_values_are_converted_and_go_to_every_notebook_that_has_them(tmp_path: Path) -> None:
    a, b = write(tmp_path, "01_a"), write(tmp_path, "02_b", parameters="z = 1  # no type")
    assert fitting([a, b], {"k": "7", "loud": "true", "z": 2}) == {
        a: {"k": 7, "loud": True},
        b: {"z": 2},
    }


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kk": 1}, "'kk' is not a known parameter of 01_a. Did you mean 'k'"),
        ({"k": "many"}, "k .*'many'"),
        ({"share": [1]}, "share "),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fitting([write(tmp_path, "01_a")], params)


def test_an_unknown_parameter_stops_everything_before_it_starts(home: Path) -> None:
    write(home / "notebooks", "01_a")
    with pytest.raises(ConfigError, match="'epoch' is not a known parameter"):
        run_notebooks(params={"epoch": 1}, out=home / "out", progress=False)
    assert not (home / "out").exists()


def test_a_project_without_notebooks_says_so(home: Path) -> None:
    with pytest.raises(ConfigError, match="There are no notebooks in .*set PROXYSR_HOME"):
        run_notebooks(out=home / "out", progress=False)


def test_only_earlier_results_are_replaced(home: Path) -> None:
    """Sources never, nor other files; a page of an earlier run, also of one that failed, is."""
    source, out = write(home / "notebooks", "01_a", "assert k > 3"), home / "out"
    before = source.read_bytes()
    for folder in (home / "notebooks", home / "out" / ".." / "notebooks"):
        with pytest.raises(ConfigError, match="/notebooks holds the notebooks themselves; nothing"):
            run_notebooks(out=folder, progress=False)
    assert source.read_bytes() == before
    assert [path.name for path in source.parent.iterdir()] == [source.name]
    out.mkdir()
    for name, message in [
        ("index.html", "index.html exists and is not an index of executed notebooks; nothing was"),
        ("01_a.ipynb", "01_a.ipynb exists and is not a notebook that was executed here; nothing"),
        ("01_a.html", "01_a.html exists and 01_a.ipynb, of which it would be the page, does not"),
    ]:
        (out / name).write_bytes(before)
        with pytest.raises(ValueError, match=f"{message}.*Name another folder"):
            run_notebooks(out=out, progress=False)
        assert (out / name).read_bytes() == before
        assert [path.name for path in out.iterdir()] == [name]
        (out / name).unlink()
    with pytest.raises(NotebookError, match="01_a.ipynb failed in cell"):
        run_notebooks(out=out, progress=False)
    for _ in range(2):
        page, index = run_notebooks(params={"k": 4}, out=out, progress=False)
    assert "failed" not in index.read_text().partition("<body>")[2]
    assert page.is_file()


def test_one_whose_kernel_dies_is_named(home: Path) -> None:
    write(home / "notebooks", "01_dies", "import os; os._exit(3)")
    with pytest.raises(NotebookError, match="01_dies.ipynb (ended early|failed)"):
        run_notebooks(out=home / "out", progress=False)


def test_widgets_leave_an_executed_notebook(tmp_path: Path) -> None:
    path = write(tmp_path, "01_a", "bar", "text")
    notebook = nbformat.read(path, as_version=4)
    view = "application/vnd.jupyter.widget-view+json"
    bar = nbformat.v4.new_output("display_data", data={view: {"model_id": "1"}, "text/plain": "#"})
    text = nbformat.v4.new_output("stream", text="kept")
    own = {view: {"model_id": "2"}, "text/plain": "Explorer()"}
    value = nbformat.v4.new_output("execute_result", data=own)
    notebook.cells[2].outputs, notebook.cells[3].outputs = [bar], [text, value]
    notebook.metadata["widgets"] = {"state": {}}
    nbformat.write(notebook, path)
    clean(path, None)
    assert "".join(outputs(path)[0]["text"]) == "kept"
    assert outputs(path)[1]["data"] == {"text/plain": ["Explorer()"]}
    assert len(outputs(path)) == 2
    assert "widgets" not in json.loads(path.read_text())["metadata"]


def test_outputs_are_put_back_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path, "01_a", "fig.show()")
    executed = tmp_path / "done.ipynb"
    notebook = nbformat.read(source, as_version=4)
    notebook.metadata["papermill"] = {"duration": 3.0}
    figure = {"data": [{"type": "bar", "y": [1]}], "layout": {}}
    notebook.cells[2].outputs = [
        nbformat.v4.new_output("display_data", data={"application/vnd.plotly.v1+json": figure})
    ]
    notebook.cells[2].execution_count = 2
    nbformat.write(notebook, executed)
    monkeypatch.setattr("proxysr.plots.drawing.draw", lambda fig, scale: b"a picture")
    put_back(executed, source)
    kept = json.loads(source.read_text())
    assert "papermill" not in kept["metadata"]
    assert kept["cells"][2]["execution_count"] == 2
    assert set(kept["cells"][2]["outputs"][0]["data"]) == {
        "application/vnd.plotly.v1+json",
        "image/png",
    }


def test_progress_tells_the_time_that_is_left(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Executed:
        """Stands for the process of a notebook, which ends after a moment."""

        returncode = 0

        def __init__(self, words: list[str], **_: Any) -> None:
            job = json.loads(Path(words[-1]).read_text())
            Path(job["result"]).write_text('{"problem": null, "seconds": 1.0}')

        def poll(self) -> int:
            return self.returncode

    monkeypatch.setattr(running.subprocess, "Popen", Executed)
    write(
        home / "notebooks", "01_a", heading="# A?\n\nTakes about\ntwo cups; takes about 2 minutes."
    )
    write(home / "notebooks", "02_b", heading="# B?\n\nTakes about a minute.")
    assert stated_seconds(home / "notebooks" / "01_a.ipynb") == 120
    run_notebooks(out=home / "out")
    first, second = re.findall(r"^\d of .*", capsys.readouterr().err, flags=re.MULTILINE)
    assert first == "1 of 2: 01_a; about 3 minutes left"
    assert second == "2 of 2: 02_b; about 10 seconds left", "it went faster"
    run_notebooks(["01_a"], params={"k": 3}, out=home / "out")
    assert "1 of 1: 01_a; how long is not known with these" in capsys.readouterr().err


def test_notebooks_of_the_project_say_how_long_they_take() -> None:
    assert [path.stem for path in chosen_notebooks(None) if not stated_seconds(path)] == []
