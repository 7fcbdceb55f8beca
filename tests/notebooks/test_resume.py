"""With resume, what was executed completely is kept, and nothing else."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from proxysr.notebooks import NotebookError, command_of, run_notebooks, running
from proxysr.notebooks.running import mark_of, read_mark
from proxysr.notebooks.worker import clean
from tests.notebooks.small import write
from tests.notebooks.test_running import outputs

FIGURE = """\
import plotly.graph_objects as go
fig = go.Figure(go.Bar(y=[1, k])).update_layout(title_text="Bars of <i>R&D</i>")
fig.show()
"""
COUNTED = """\
from pathlib import Path
with Path("executions").open("a") as file: print(name, file=file)
assert not Path("broken").exists()  # <i>
"""
COMMAND = 'from proxysr.notebooks import command_of; print(command_of("01_a"))'


def test_an_interrupted_batch_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two notebooks side by side, of which one fails at first: pages, figures and index."""
    folder, out = home / "caller", home / "out"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PROXYSR_DATA", "/srv")
    one = [FIGURE, COUNTED.partition("assert")[0], "print(k, share, name, loud)", COMMAND]
    source = write(home / "notebooks", "01_a", *one)
    write(home / "notebooks", "02_b", COUNTED, heading="# Is 1 < 2 & 3?")
    params = {"01_a": {"k": 9, "name": "$PROXYSR_DATA/<b> c"}, "02_b": {"name": "b"}}
    options: dict[str, Any] = {"params": params, "out": out, "progress": False}
    (folder / "broken").touch()
    message = r"02_b.ipynb failed in cell \[3\] `from pathlib import Path`: AssertionError: "
    with pytest.raises(NotebookError, match=message):
        run_notebooks(jobs=2, **options)
    index = (out / "index.html").read_text()
    assert index.count('<strong class="failed">failed</strong>') == 1, "the other one is done"
    assert read_mark(out / "02_b.ipynb") is None
    (folder / "broken").unlink()
    before = (out / "01_a.html").stat().st_mtime_ns
    for _ in range(2):
        left = run_notebooks(resume=True, **options)
        assert [path.name for path in left] == ["01_a.html", "02_b.html", "index.html"]
        executions = (folder / "executions").read_text().splitlines()
        assert sorted(executions) == ["/srv/<b> c", "b", "b"]
    assert (out / "01_a.html").stat().st_mtime_ns == before
    assert [path.name for path in folder.iterdir()] == ["executions"], "nothing else is left there"
    assert outputs(source) == [], "the source is left alone"
    *_, parameters, made_by = outputs(out / "01_a.ipynb")
    assert "".join(parameters["text"]) == "9 0.5 /srv/<b> c False\n"
    command = "proxysr notebooks 01_a --set k=9 'name=$PROXYSR_DATA/<b> c'"
    assert "".join(made_by["text"]) == f"{command}\n"
    index = left[-1].read_text()
    assert "failed" not in index.partition("<body>")[2]
    assert html.escape(command) in index
    assert '<a href="02_b.html">Is 1 &lt; 2 &amp; 3?</a>' in index
    page = (out / "01_a.html").read_text()
    assert page.count("plotly.js v") >= 1
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']https?:", page)
    monkeypatch.delenv("PROXYSR_COMMAND", raising=False)
    assert command_of("01_a") == "proxysr notebooks 01_a"


class ExecutedError(Exception):
    """A notebook would be executed."""


@pytest.fixture
def done(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a notebook that was executed with k=5; to execute one again is an error."""

    def execute(*args: Any, **options: Any) -> None:
        raise ExecutedError

    source = write(home / "notebooks", "01_a", "print(k)")
    out = home / "out"
    out.mkdir()
    executed, page = out / source.name, out / "01_a.html"
    executed.write_text(source.read_text())
    page.touch()
    command = "proxysr notebooks 01_a --set k=5"
    clean(executed, mark_of(source, {"k": 5}) | {"command": command, "seconds": 1.5})
    monkeypatch.setattr(running.subprocess, "Popen", execute)
    return out


def again(out: Path, k: int = 5, **options: Any) -> list[Path]:
    return run_notebooks(params={"k": k}, out=out, progress=False, **options)


def test_what_is_done_is_kept(done: Path) -> None:
    assert again(done, resume=True) == [done / "01_a.html", done / "index.html"]
    assert "01_a.ipynb, 2 s" in (done / "index.html").read_text()
    with pytest.raises(ExecutedError):
        again(done)


def test_new_outputs_in_the_source_change_nothing(done: Path) -> None:
    source = done.parent / "notebooks" / "01_a.ipynb"
    notebook = nbformat.read(source, as_version=4)
    notebook.cells[2].outputs = [nbformat.v4.new_output("stream", text="5")]
    nbformat.write(notebook, source)
    again(done, resume=True)


@pytest.mark.parametrize(
    "change",
    ["parameters", "cells", "version", "page", "cut off", "no mark", "no notebook"],
)
def test_what_is_not_the_same_is_executed(
    done: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = done / "01_a.ipynb"
    if change == "cells":
        write(done.parent / "notebooks", "01_a", "print(k + 1)")
    elif change == "version":
        monkeypatch.setattr(running, "__version__", "9.9")
    elif change == "page":
        (done / "01_a.html").unlink()
    elif change == "cut off":
        executed.write_bytes(executed.read_bytes()[:-20])
    elif change == "no mark":
        notebook = json.loads(executed.read_text())
        del notebook["metadata"]["proxysr"]["cells"]
        executed.write_text(json.dumps(notebook))
    elif change == "no notebook":
        executed.unlink()
    with pytest.raises(ExecutedError):
        again(done, k=6 if change == "parameters" else 5, resume=True)
