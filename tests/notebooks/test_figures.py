"""Figures are made again by their commands, as far as there are data, and whole or not at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxysr.files import read_json, write_json
from tests.notebooks.small import write
from tools import figures
from tools.figures import LEFT, FigureError, lacking, main, make, recipes, started_as

FREE = "proxysr notebooks 01_a"
BOUND = "proxysr notebooks 01_a --set 'data_dir=$PROXYSR_DATA/shop' k=2"
Program = Callable[..., Any]


def figure(folder: Path, name: str, command: str, content: str, *more: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files = [f"{name}.{end}" for end in ("png", *more)]
    for file in files:
        (folder / file).write_text(content)
    about = {"name": name, "files": files, "command": command, "content": content}
    write_json(folder / f"{name}.json", about)


@pytest.fixture
def project(home: Path) -> Path:
    """Three figures of two commands; one of them reads data that are not there."""
    figure(home / "figures" / "one", "01_x", FREE, "old")
    figure(home / "figures" / "two", "01_y", FREE, "old")
    figure(home / "figures" / "two", "01_z", BOUND, "old")
    (home / "figures" / "two" / "01_y.html").write_text("a page that git does not keep")
    return home


def contents(project: Path) -> dict[str, bytes]:
    found = (path for path in (project / "figures").rglob("*") if path.is_file())
    return {str(p.relative_to(project)): p.read_bytes() for p in found if p.name != "index.html"}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[Program], list[list[str]]]:
    """Let a function stand for the programs that are run; what was run is kept."""

    def use(stand_in: Program) -> list[list[str]]:
        calls: list[list[str]] = []

        def run(words: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
            calls.append([words[0], *words[1:-1]])
            code = stand_in(Path(words[-1]) / "figures", **options) or 0
            return subprocess.CompletedProcess(words, code)

        monkeypatch.setattr(figures.subprocess, "run", run)
        return calls

    return use


def new(out: Path, names: str = "xy", command: str = FREE, **_: Any) -> None:
    for name in names:
        figure(out, f"01_{name}", command, "new", "csv")


def test_what_needs_no_data_is_made_and_the_rest_is_named(
    project: Path, program: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = program(new)
    assert main([]) == 0
    assert calls == [[sys.executable, "-m", *FREE.split(), "--out"]], "once for two figures"
    said = capsys.readouterr().out
    assert "made:\n  one/01_x, two/01_y\n" in said
    place = project / "data" / "shop"
    assert f"{LEFT}:\n  two/01_z: $PROXYSR_DATA/shop ({place}) not there\n" in said
    assert "failed" not in said
    for path in ("one/01_x.png", "one/01_x.csv", "two/01_y.png"):
        assert (project / "figures" / path).read_text() == "new"
    assert read_json(project / "figures/one/01_x.json")["content"] == "new"
    assert (project / "figures/two/01_z.png").read_text() == "old"
    assert (project / "figures/two/01_y.html").read_text().startswith("a page")
    assert "two/01_z.png" in (project / "figures" / "index.html").read_text()
    assert [path.name for path in (project / "figures").iterdir() if path.name[0] == "."] == []


def test_data_that_are_there_are_read(
    project: Path, program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXYSR_DATA", str(project / "elsewhere"))
    (project / "elsewhere" / "shop").mkdir(parents=True)
    seen = []

    def made(out: Path, **options: Any) -> None:
        seen.append(options["env"]["PROXYSR_DATA"])
        new(out, "z", BOUND)

    calls = program(made)
    make(BOUND, recipes(project / "figures")[BOUND])
    assert "data_dir=$PROXYSR_DATA/shop" in calls[0]
    assert seen == [str(project / "elsewhere")]
    assert (project / "figures/two/01_z.png").read_text() == "new"


def breaks_off(out: Path, **_: Any) -> int:
    new(out)
    return 2


def without_browser(out: Path, **_: Any) -> None:
    new(out)
    (out / "01_y.png").unlink()


@pytest.mark.parametrize(
    ("stand_in", "message"),
    [
        (breaks_off, "`proxysr notebooks 01_a` failed with exit code 2, as told above"),
        (without_browser, "01_y.png was not made; pictures need Chrome or Chromium"),
        (lambda out, **_: new(out, "x"), "`proxysr notebooks 01_a` makes no 01_y any more"),
        (lambda out, **_: new(out, command="other"), "01_x says that it was made by `other`"),
    ],
)
def test_a_failure_leaves_all_as_it_was(
    project: Path, program: Any, capsys: pytest.CaptureFixture[str], stand_in: Any, message: str
) -> None:
    before = contents(project)
    program(stand_in)
    assert main([]) == 1
    assert f"failed:\n  one/01_x, two/01_y: {message}\n" in capsys.readouterr().out
    assert contents(project) == before


def test_a_copy_that_breaks_off_leaves_the_folder(
    project: Path,
    program: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copyfile = shutil.copyfile

    def copy(source: Path, target: Path, **options: Any) -> Path:
        if not options and target.suffix == ".png":  # with options, the old folder is copied
            raise OSError("disk full")
        return copyfile(source, target, **options)

    before = contents(project)
    program(new)
    monkeypatch.setattr(figures.shutil, "copyfile", copy)
    assert main([]) == 1
    assert "failed:\n  one/01_x, two/01_y: disk full" in capsys.readouterr().out
    assert contents(project) == before


def test_folders_can_be_named(project: Path, program: Any) -> None:
    program(new)
    assert main([str(project / "figures" / "one")]) == 0
    assert (project / "figures/one/01_x.png").read_text() == "new"
    assert (project / "figures/two/01_y.png").read_text() == "old"


def test_what_notebooks_wrote_here_is_left_alone(project: Path, program: Any) -> None:
    figure(project / "figures", "01_w", FREE, "old")
    program(new)
    assert main([]) == 0
    assert (project / "figures/01_w.png").read_text() == "old"


def test_what_cannot_be_read_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["absent"]) == 2
    assert "No such folder: absent" in capsys.readouterr().err
    (project / "figures/one/01_x.json").write_text('{"name": "x", "files": []}')
    assert main([]) == 2
    assert "01_x.json is damaged: it has no 'command'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["rm -rf x", "proxysr train a b", "python -m http.server", ""])
def test_only_commands_that_make_figures_run(command: str, tmp_path: Path) -> None:
    with pytest.raises(FigureError, match="makes no figures: that do `proxysr notebooks NAME"):
        started_as(command, tmp_path)


def test_what_a_command_reads_is_named_with_its_place(home: Path) -> None:
    command = "python -m tests.browser.pictures $PROXYSR_RUNS/shop.run-2"
    (home / "runs").mkdir()
    (place,) = lacking(command)
    assert place.startswith("$PROXYSR_RUNS/shop.run-2 (")
    assert lacking(FREE) == []


def test_for_real(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = """\
import plotly.graph_objects as go, warnings
from proxysr.notebooks import command_of
from proxysr.plots.saving import save_figure
warnings.simplefilter("ignore")
for name in ("01_x", "01_y"): save_figure(go.Figure(), name, command=command_of("01_a"))
"""
    write(project / "notebooks", "01_a", code)
    code = main([])
    said = capsys.readouterr().out
    picture = (project / "figures/one/01_x.png").read_bytes()
    if code == 0:
        assert picture.startswith(b"\x89PNG")
        assert (project / "figures/one/plotly.min.js").is_file()
    else:  # no browser is installed
        assert "pictures need Chrome or Chromium" in said
        assert picture == b"old"
