"""Make the pictures under ``figures/`` again, each by the command in its JSON file.

    python -m tools.figures [FOLDER …]

What a command reads is named in it as ``$PROXYSR_DATA/NAME`` or ``$PROXYSR_RUNS/NAME``. Figures
whose data or run is not there are named and left as they are; so are those whose command fails.
To add a picture, put its NAME.png and NAME.json into a folder, from the figures of a notebook.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from proxysr import paths
from proxysr.files import read_object, replacing
from proxysr.notebooks.index import write_gallery

NEEDED = re.compile(r"\$PROXYSR_(?:DATA|RUNS)/[\w.-]+")
KEYS = {"name": str, "files": list, "command": str}
SHARED = "plotly.min.js"
NOT_MADE_AGAIN = {"benchmarks", "results"}
"""Folders of what was measured on one machine, and of what is drawn with the page of results."""
LEFT = "left as they are, for want of data (docs/reproduction.md tells how to make them)"


class FigureError(ValueError):
    """Figures were not made; what was there is as it was."""


def recipes(folder: Path) -> dict[str, list[Path]]:
    """The commands that make the figures in folders below, each with the figures' JSON files.

    What lies in ``folder`` itself was written by notebooks that ran here, and is not kept.
    :data:`NOT_MADE_AGAIN` is left out.
    """
    commands: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*/**/*.json")):
        if NOT_MADE_AGAIN & set(path.relative_to(folder).parts):
            continue
        commands.setdefault(read_object(path, KEYS)["command"], []).append(path)
    return commands


def lacking(command: str) -> list[str]:
    """Data and runs that a command reads and that are not there."""
    needed = [word[0] for word in NEEDED.finditer(command)]
    return [
        f"{name} ({place})" for name in needed if not (place := Path(paths.placed(name))).is_dir()
    ]


def started_as(command: str, out: Path) -> tuple[list[str], Path]:
    """The program and its arguments that write to ``out``, and where its figures will lie.

    Raises
    ------
    FigureError
        If it is no command that makes figures.
    """
    words = shlex.split(command)
    if words[:2] == ["proxysr", "notebooks"]:
        return [sys.executable, "-m", *words, "--out", str(out)], out / "figures"
    if words[:3] == ["python", "-m", "tests.browser.pictures"]:
        return [sys.executable, *words[1:], str(out)], out
    raise FigureError(
        f"`{command}` makes no figures: that do `proxysr notebooks NAME …` and "
        "`python -m tests.browser.pictures RUN_DIR`."
    )


def make(command: str, figures: Sequence[Path]) -> None:
    """Run a command and put the figures that it makes in the place of ``figures``.

    A folder is replaced as a whole, once all of its figures are there.

    Raises
    ------
    FigureError
        If the command fails, or does not make one of the figures.
    """
    with tempfile.TemporaryDirectory(prefix="proxysr-figures-") as place:
        words, made = started_as(command, Path(place))
        done = subprocess.run(
            words,
            cwd=paths.project_root(),
            env=os.environ | {"PROXYSR_DATA": str(paths.data()), "PROXYSR_RUNS": str(paths.runs())},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise FigureError(f"`{command}` failed with exit code {done.returncode}, as told above")
        files = {path: _files(path, made, command) for path in figures}
        for folder in dict.fromkeys(path.parent for path in figures):
            with replacing(folder) as temporary:
                shutil.copytree(folder, temporary)
                for path in (path for path in figures if path.parent == folder):
                    for file in files[path]:
                        shutil.copyfile(file, temporary / file.name)


def _files(figure: Path, made: Path, command: str) -> list[Path]:
    """The files of one figure among those made."""
    about = made / figure.name
    if not about.is_file():
        raise FigureError(f"`{command}` makes no {figure.stem} any more")
    fresh, old = read_object(about, KEYS), read_object(figure, KEYS)
    if fresh["command"] != command:
        raise FigureError(f"{figure.stem} says that it was made by `{fresh['command']}`")
    lost = [name for name in old["files"] if not (made / name).is_file()]
    if lost:
        raise FigureError(f"{', '.join(lost)} was not made; pictures need Chrome or Chromium")
    shared = [made / SHARED] if (made / SHARED).is_file() else []
    return [about, *(made / name for name in fresh["files"]), *shared]


def make_all(folder: Path, only: Iterable[Path] = ()) -> bool:
    """Make what the data allow, and tell on stdout; False if a command failed.

    Parameters
    ----------
    folder : Path
        Where figures lie.
    only : iterable of Path
        Folders below it; all if left out.
    """
    results: dict[str, list[str]] = {"made": [], LEFT: [], "failed": []}
    chosen = [path.resolve() for path in only] or [folder.resolve()]
    for command, figures in _within(recipes(folder), chosen).items():
        names = ", ".join(str(path.relative_to(folder).with_suffix("")) for path in figures)
        if missing := lacking(command):
            results[LEFT].append(f"{names}: {', '.join(missing)} not there")
            continue
        try:
            make(command, figures)
            results["made"].append(names)
        except (FigureError, OSError) as error:
            results["failed"].append(f"{names}: {error}")
    for state, lines in results.items():
        sys.stdout.write("".join([f"{state}:\n", *(f"  {line}\n" for line in lines)] * bool(lines)))
    sys.stdout.write(f"All figures: {write_gallery(folder)}\n")
    return not results["failed"]


def _within(commands: Mapping[str, list[Path]], folders: list[Path]) -> dict[str, list[Path]]:
    chosen: dict[str, list[Path]] = {}
    for command, figures in commands.items():
        kept = [p for p in figures if any(p.resolve().is_relative_to(f) for f in folders)]
        if kept:
            chosen[command] = kept
    return chosen


def main(words: Sequence[str]) -> int:
    """Make the figures of the project, or of folders of them; the exit code."""
    folder = paths.project_root() / "figures"
    absent: list[Any] = [word for word in words if not Path(word).is_dir()]
    if absent or not folder.is_dir():
        sys.stderr.write(f"No such folder: {', '.join(absent) or folder}\n")
        return 2
    try:
        return 0 if make_all(folder, map(Path, words)) else 1
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; figures that were not finished are as they were.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
