"""Run notebooks in parallel with papermill; unknown parameters are errors."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from proxysr import __version__, paths
from proxysr.config import ConfigError, require, unknown
from proxysr.files import check_kind, check_own, read_json, write_json
from proxysr.notebooks.index import INDEX_MARK, Page, write_index
from proxysr.notebooks.parameters import fitting
from proxysr.notebooks.worker import MARK
from proxysr.processes import remove, scratch_folder

PATIENCE = 20.0
"""Most seconds that a notebook's process takes to end when asked to."""
DURATION = re.compile(r"\b[Tt]akes\s+about\s+(an?|half\s+an?|\d+)\s+(second|minute|hour)s?\b")
UNITS = {"second": 1, "minute": 60, "hour": 3600}
NUMBERS = {"a": 1.0, "an": 1.0, "half a": 0.5, "half an": 0.5}


class NotebookError(ValueError):
    """A notebook failed; the message names notebook, cell and error."""


def run_notebooks(
    names: Sequence[str] | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    out: str | Path,
    jobs: int = 1,
    resume: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Execute notebooks and write them to ``out``: NAME.ipynb, NAME.html, figures, index.html.

    Each notebook runs in a process of its own, in the caller's folder, so that relative paths
    among ``params`` mean what they say. Figures are written to ``out/figures``. If a notebook
    fails, the others still run, and the index says so. The index also lists notebooks that were
    executed into ``out`` earlier.

    Parameters
    ----------
    names : sequence of str, optional
        Such as ``["01_train"]``; all numbered notebooks if left out.
    params : mapping, optional
        Values for parameters; each goes to every notebook that has it. A mapping under the name
        of a notebook has values for that notebook alone. At the beginning of a value,
        ``$PROXYSR_DATA`` and ``$PROXYSR_RUNS`` are filled in, see :func:`proxysr.paths.placed`.
    out : str or Path
        A folder; what was executed into it earlier is replaced, other files never are.
    jobs : int
        Notebooks to run at the same time.
    resume : bool
        Keep notebooks that ``out`` has executed completely with the same cells, parameters and
        version of proxysr; files that parameters name are not checked.
    progress : bool
        Show progress on stderr.

    Returns
    -------
    list of Path
        The pages, in the order of the notebooks, and the index.

    Raises
    ------
    ConfigError
        If a notebook or parameter does not exist, or a value is not of its type.
    NotebookError
        If a notebook fails: named with cell and error, after all have run.
    ValueError
        If ``out`` has other files where results are to be written.
    """
    require(jobs >= 1, f"jobs is at least 1; received {jobs}.")
    out = Path(out).resolve()
    check_kind(out, "folder")
    chosen = chosen_notebooks(names)
    _check_places(out, chosen)
    values = fitting(chosen, params or {}, [path.stem for path in chosen_notebooks(None)])
    out.mkdir(parents=True, exist_ok=True)
    work = scratch_folder()
    order = [
        _Job.of(source, values[source], out, work / str(number), progress and jobs == 1)
        for number, source in enumerate(chosen)  # a short name: sockets have a longest one
    ]
    waiting = [job for job in order if not (resume and job.is_done())]
    pages = {job.source: _page_of(job.target) for job in order if job not in waiting}
    running: list[tuple[_Job, subprocess.Popen[bytes]]] = []
    durations = [None if values[job.source] else stated_seconds(job.source) for job in waiting]
    n, started = len(waiting), time.perf_counter()
    try:
        with tqdm(total=n, desc="notebooks", disable=not progress or jobs == 1) as bar:
            while waiting or running:
                while waiting and len(running) < jobs:
                    if progress:
                        n_done = n - len(waiting) - len(running)
                        remaining = time_left(
                            durations, n_done, time.perf_counter() - started, jobs
                        )
                        place = f"{n - len(waiting) + 1} of {n}"
                        tqdm.write(f"{place}: {waiting[0].source.stem}; {remaining}", sys.stderr)
                    job = waiting.pop(0)
                    running.append((job, job.start(out / "figures")))
                time.sleep(0.1)
                for job, process in [pair for pair in running if pair[1].poll() is not None]:
                    running.remove((job, process))
                    pages[job.source] = job.finished(process.returncode)
                    bar.update()
    finally:
        for _, process in running:
            process.terminate()
        for _, process in running:
            try:
                process.wait(PATIENCE)  # it ends its kernel and itself
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        remove(work)
    everything = [*pages.values(), *_earlier(out, chosen)]
    index = write_index(out, sorted(everything, key=lambda page: page.notebook.stem))
    ordered = [pages[job.source] for job in order]
    if problems := [page.problem for page in ordered if page.problem is not None]:
        raise NotebookError("\n".join(problems))
    return [*(page.page for page in ordered), index]


def chosen_notebooks(names: Sequence[str] | None) -> list[Path]:
    """The numbered notebooks of these names, or all of them."""
    folder = paths.notebooks()
    known = {path.stem: path for path in sorted(folder.glob("[0-9]*.ipynb"))}
    if not known:
        raise ConfigError(
            f"There are no notebooks in {folder}. They come with a checkout of the project: "
            "run this inside one, or set PROXYSR_HOME to it."
        )
    stems = [name.removesuffix(".ipynb") for name in names] if names else list(known)
    for stem in stems:
        require(stem in known, unknown(stem, known, "notebook"))
    return [known[stem] for stem in dict.fromkeys(stems)]


def _check_places(out: Path, sources: Sequence[Path]) -> None:
    """Check that results replace nothing but earlier results."""
    require(
        out != sources[0].parent.resolve(),
        f"{out} holds the notebooks themselves; nothing was overwritten. Name another folder.",
    )
    check_own(out / "index.html", INDEX_MARK, "an index of executed notebooks", "folder")
    for source in sources:
        notebook, page = out / source.name, out / f"{source.stem}.html"
        check_own(notebook, f'"{MARK}": {{', "a notebook that was executed here", "folder")
        check_kind(page, "file")
        require(
            notebook.is_file() or not page.is_file() or not page.stat().st_size,
            f"{page} exists and {notebook.name}, of which it would be the page, does not; nothing "
            "was overwritten. Name another folder.",
        )


class _Job(NamedTuple):
    """A notebook to execute: source, results, and the folder for messages of its process."""

    source: Path
    target: Path
    page: Path
    folder: Path
    mark: dict[str, Any]
    progress: bool

    @classmethod
    def of(
        cls, source: Path, values: dict[str, Any], out: Path, folder: Path, progress: bool
    ) -> _Job:
        filled = {
            name: paths.placed(value) if isinstance(value, str) else value
            for name, value in values.items()
        }
        words = ["proxysr", "notebooks", source.stem, *(["--set"] if values else [])]
        command = shlex.join([*words, *(f"{name}={value}" for name, value in values.items())])
        mark = mark_of(source, filled) | {"command": command}
        page = out / f"{source.stem}.html"
        return cls(source, out / source.name, page, folder, mark, progress)

    def is_done(self) -> bool:
        """Whether the target has the same cells, parameters and version, and its page."""
        mark = read_mark(self.target)
        return mark is not None and mark | self.mark == mark and self.page.is_file()

    def start(self, figures: Path) -> subprocess.Popen[bytes]:
        self.folder.mkdir()
        content = {
            "source": str(self.source),
            "executed": str(self.folder / "executed.ipynb"),
            "target": str(self.target),
            "page": str(self.page),
            "result": str(self.folder / "result.json"),
            "mark": self.mark,
            "parameters": self.mark["parameters"],
            "progress": self.progress,
        }
        write_json(self.folder / "job.json", content)
        for path in (self.target, self.page):  # an old one must not be taken for a new one
            path.unlink(missing_ok=True)
        environment = os.environ | {
            "PROXYSR_FIGURES": str(figures),
            "PROXYSR_COMMAND": self.mark["command"],
            "PLOTLY_RENDERER": "plotly_mimetype",  # figures as data; pages bring the script
            "JUPYTER_RUNTIME_DIR": str(self.folder),
            "JUPYTER_PREFER_ENV_PATH": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "2000"),
        }
        words = [sys.executable, "-m", "proxysr.notebooks.worker", str(self.folder / "job.json")]
        with (self.folder / "log").open("wb") as log:
            errors = None if self.progress else log
            return subprocess.Popen(words, env=environment, stdout=log, stderr=errors)

    def finished(self, code: int) -> Page:
        """The entry of the index, with the problem if there was one."""
        command = self.mark["command"]
        if not (self.folder / "result.json").is_file():
            log = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
            lines = log.strip().splitlines()
            last = f" The last line of its log: {lines[-1]}" if lines else ""
            broken = f"{self.source.name} ended early (exit code {code}).{last}"
            return Page(self.source, self.page, 0.0, broken, command)
        result = read_json(self.folder / "result.json")
        message = None
        if problem := result["problem"]:
            code_lines = [line.strip() for line in problem["source"].splitlines() if line.strip()]
            message = (
                f"{self.source.name} failed in cell [{problem['cell']}] "
                f"`{code_lines[0] if code_lines else ''}`: {problem['error']}: "
                f"{problem['message']} (with its traceback in {self.target})"
            )
        return Page(self.source, self.page, result["seconds"], message, command)


def mark_of(source: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of an execution: the cells of ``source``, parameters, version of proxysr."""
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in read_json(source)["cells"]]
    digest = hashlib.sha256(json.dumps(cells).encode()).hexdigest()
    return {"version": __version__, "cells": digest, "parameters": dict(values)}


def read_mark(executed: Path) -> dict[str, Any] | None:
    """The mark of an executed notebook; None if it was not executed completely."""
    keys = {"version", "cells", "parameters", "command", "seconds"}
    try:
        mark = read_json(executed)["metadata"][MARK]
    except (OSError, ValueError, KeyError, TypeError):  # papermill may have been interrupted
        return None
    return mark if isinstance(mark, dict) and keys <= {*mark} else None


def _page_of(executed: Path) -> Page:
    mark = read_mark(executed) or {}
    return Page(executed, executed.with_suffix(".html"), mark["seconds"], None, mark["command"])


def _earlier(out: Path, chosen: Sequence[Path]) -> list[Page]:
    """Other notebooks in ``out`` that were executed completely."""
    names = {source.name for source in chosen}
    earlier = [path for path in out.glob("*.ipynb") if path.name not in names]
    return [_page_of(path) for path in earlier if read_mark(path)]


# -- how long it takes -----------------------------------------------------------------------------


def stated_seconds(notebook: Path) -> float | None:
    """Seconds that a notebook states for its default parameters; None if it states none."""
    first = next(iter(read_json(notebook)["cells"]), {"source": ""})
    match = DURATION.search(" ".join("".join(first["source"]).split()))
    return (NUMBERS.get(match[1]) or float(match[1])) * UNITS[match[2]] if match else None


def time_left(durations: Sequence[float | None], n_done: int, elapsed: float, jobs: int = 1) -> str:
    """The remaining time in words, corrected by the duration of the first notebooks.

    Parameters
    ----------
    durations : sequence of float or None
        Seconds of each notebook, in the order in which they run; None where it is not known.
    n_done : int
        How many of them have ended.
    elapsed : float
        Seconds since the first one began.
    jobs : int
        How many run at the same time.

    >>> time_left([60, 60, 120], n_done=0, elapsed=0)
    'about 4 minutes left'
    >>> time_left([60, 60, 120], n_done=2, elapsed=4500)
    'about 1.2 hours left'
    >>> time_left([60, None], n_done=0, elapsed=0)
    'how long is not known with these parameters'
    """
    known = [seconds for seconds in durations if seconds is not None]
    if len(known) < len(durations):
        return "how long is not known with these parameters"
    done = sum(known[:n_done])
    seconds = sum(known[n_done:]) * (elapsed / done if done else 1 / min(jobs, len(known)))
    if seconds >= 3600:
        n, unit = f"{seconds / 3600:.1f}".removesuffix(".0"), "hour"
    elif seconds >= 60:
        n, unit = f"{seconds / 60:.0f}", "minute"
    else:
        n, unit = f"{max(10 * round(seconds / 10), 10)}", "second"
    return f"about {n} {unit}{'' if n == '1' else 's'} left"
