"""Run notebooks side by side with papermill, refusing what they don't know."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tqdm.auto import tqdm

from proxysr import paths
from proxysr.config import ConfigError, require, unknown
from proxysr.files import read_json, write_json
from proxysr.notebooks.durations import left, said_seconds
from proxysr.notebooks.index import Page, write_index
from proxysr.notebooks.marks import mark_of, read_mark
from proxysr.notebooks.parameters import fitting
from proxysr.processes import remove, scratch_folder

PATIENCE = 20.0
"""Most seconds that a notebook's process takes to end when asked to."""


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
    fails, the others still run, and the index says so. The index lists what was executed into
    ``out`` before, too.

    Parameters
    ----------
    names : sequence of str, optional
        Such as ``["01_train"]``; all numbered notebooks if left out.
    params : mapping, optional
        Values for parameters; each goes to every notebook that has it. A mapping under the name
        of a notebook has values for that notebook alone. At the beginning of a value,
        ``$PROXYSR_DATA`` and ``$PROXYSR_RUNS`` are filled in, see :func:`proxysr.paths.placed`.
    out : str or Path
        A folder; notebooks of the same name in it are replaced.
    jobs : int
        Notebooks to run at the same time.
    resume : bool
        Keep notebooks that ``out`` has executed completely with the same cells, parameters and
        version of proxysr; what their parameters point at is not looked at.
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
    """
    require(jobs >= 1, f"jobs is at least 1; received {jobs}.")
    out = Path(out).resolve()
    chosen = chosen_notebooks(names)
    others = [path.stem for path in chosen_notebooks(None)]
    values = fitting(chosen, params or {}, others)
    out.mkdir(parents=True, exist_ok=True)
    work = scratch_folder()
    order = [
        _job(source, values[source], out, work / str(number), progress and jobs == 1)
        for number, source in enumerate(chosen)  # a short name: sockets have a longest one
    ]
    waiting = [job for job in order if not (resume and job.is_done())]
    done = {job.source: job.kept() for job in order if job not in waiting}
    running: list[tuple[_Job, subprocess.Popen[bytes]]] = []
    said = [None if values[job.source] else said_seconds(job.source) for job in waiting]
    n, started = len(waiting), time.perf_counter()
    try:
        with tqdm(total=len(waiting), desc="notebooks", disable=not progress or jobs == 1) as bar:
            while waiting or running:
                while waiting and len(running) < jobs:
                    if progress:
                        n_done = n - len(waiting) - len(running)
                        time_left = left(said, n_done, time.perf_counter() - started, jobs)
                        place = f"{n - len(waiting) + 1} of {n}"
                        tqdm.write(f"{place}: {waiting[0].source.stem}; {time_left}", sys.stderr)
                    job = waiting.pop(0)
                    running.append((job, job.start(out / "figures")))
                time.sleep(0.1)
                for job, process in [pair for pair in running if pair[1].poll() is not None]:
                    running.remove((job, process))
                    done[job.source] = job.finished(process.returncode)
                    bar.update()
    finally:
        for _, process in running:
            process.terminate()
        for _, process in running:
            _wait(process)
        remove(work)
    pages = [done[job.source] for job in order]
    index = write_index(
        out, sorted([*pages, *_earlier(out, chosen)], key=lambda p: p.notebook.stem)
    )
    problems = [page.problem for page in pages if page.problem is not None]
    if problems:
        raise NotebookError("\n".join(problems))
    return [*(page.page for page in pages), index]


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait until a process that was asked to end has ended its kernel and itself."""
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Job(NamedTuple):
    source: Path
    target: Path
    page: Path
    file: Path
    result: Path
    log: Path
    mark: dict[str, Any]
    command: str
    progress: bool

    def is_done(self) -> bool:
        """Whether the target is what executing the source would give, with its page."""
        mark = read_mark(self.target)
        return mark is not None and mark | self.mark == mark and self.page.is_file()

    def kept(self) -> Page:
        return _page_of(self.target, self.page)

    def start(self, figures: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "proxysr.notebooks.worker", str(self.file)]
        for path in (self.target, self.page):  # an old one must not pass for a new one
            path.unlink(missing_ok=True)
        environment = os.environ | {
            "PROXYSR_FIGURES": str(figures),
            "PROXYSR_COMMAND": self.command,
            "PLOTLY_RENDERER": "plotly_mimetype",  # figures as data; pages bring the script
            "JUPYTER_RUNTIME_DIR": str(self.file.parent),
            "JUPYTER_PREFER_ENV_PATH": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "2000"),
        }
        with self.log.open("wb") as log:
            errors = None if self.progress else log
            return subprocess.Popen(command, env=environment, stdout=log, stderr=errors)

    def finished(self, code: int) -> Page:
        if not self.result.is_file():
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = f" Its last words: {lines[-1]}" if lines else ""
            message = f"{self.source.name} broke off (exit code {code}).{last}"
            return Page(self.source, self.page, 0.0, message, self.command)
        result = read_json(self.result)
        problem = self._told(result["problem"])
        return Page(self.source, self.page, result["seconds"], problem, self.command)

    def _told(self, problem: dict[str, Any] | None) -> str | None:
        if problem is None:
            return None
        code = [line for line in problem["source"].splitlines() if line.strip()]
        return (
            f"{self.source.name} failed in cell [{problem['cell']}] "
            f"`{code[0].strip() if code else ''}`: {problem['error']}: {problem['message']} "
            f"(with its traceback in {self.target})"
        )


def _job(source: Path, values: dict[str, Any], out: Path, folder: Path, progress: bool) -> _Job:
    folder.mkdir()
    filled = {
        name: paths.placed(value) if isinstance(value, str) else value
        for name, value in values.items()
    }
    command = _command(source.stem, values)
    job = _Job(
        source=source,
        target=out / source.name,
        page=out / f"{source.stem}.html",
        file=folder / "job.json",
        result=folder / "result.json",
        log=folder / "log",
        mark=mark_of(source, filled) | {"command": command},
        command=command,
        progress=progress,
    )
    content = {name: str(getattr(job, name)) for name in ("source", "target", "page", "result")}
    write_json(job.file, content | {"mark": job.mark, "parameters": filled, "progress": progress})
    return job


def _page_of(executed: Path, page: Path) -> Page:
    """A notebook that was executed before, as its mark tells."""
    mark = read_mark(executed) or {}
    return Page(executed, page, mark["seconds"], None, mark["command"])


def _earlier(out: Path, chosen: Sequence[Path]) -> list[Page]:
    """What ``out`` has of other notebooks, executed completely."""
    names = {source.name for source in chosen}
    found = [path for path in out.glob("*.ipynb") if path.name not in names and read_mark(path)]
    return [_page_of(path, path.with_suffix(".html")) for path in found]


def _command(name: str, values: Mapping[str, Any]) -> str:
    """The command that runs the notebook with these values."""
    words = ["proxysr", "notebooks", name]
    if values:
        words += ["--set", *(f"{parameter}={value}" for parameter, value in values.items())]
    return shlex.join(words)


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
