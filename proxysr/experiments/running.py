"""Make the runs of a spec: finished runs are kept, interrupted ones continued, failures reported.

A run's folder is ``run-HASH``, by a hash of data, model and settings. So equal settings share one
run, under any name and in any spec.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from proxysr.checkpoints import hash_of
from proxysr.config import Settings, require
from proxysr.data.sessions import SessionSplit, Task
from proxysr.experiments.processes import in_processes, reason
from proxysr.experiments.spec import Spec, Variant
from proxysr.models import learns, model_class
from proxysr.run import RunDir, has_epochs
from proxysr.running import evaluate_run, train_run
from proxysr.training import FOR_COUNTING, TrainConfig, reads_times

ROWS_MARK = "data,variant,model,"
"""Beginning of a CSV file of :attr:`Results.frame`."""
METRICS = ("R@5", "MRR@5", "R@10", "MRR@10", "R@20", "MRR@20")


@dataclass
class Cell:
    """One run of a spec, and why it is missing: ``hole`` is empty if it is there."""

    data: str
    data_dir: Path
    variant: Variant
    valid_task: Task
    seed: int
    part: str
    tasks: tuple[Task, ...]
    path: Path = Path()
    settings: Settings | None = None
    train: TrainConfig | None = None
    hole: str = ""

    @property
    def words(self) -> str:
        """Its description, for messages."""
        return f"{self.variant.name}, {self.data}, {self.valid_task}, seed {self.seed}"


Evaluation = tuple[str, Task]
"""Part and task."""
Work = tuple[Cell, list[Evaluation]]
"""A run to make, and all of its evaluations that are asked for, maybe by several specs."""


class Results:
    """The runs of specs, in order, with reasons for missing ones.

    Attributes
    ----------
    cells : list of Cell
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.cells = list(cells)

    @property
    def holes(self) -> list[str]:
        """A sentence for each run that is missing: which one, and why."""
        return [f"{cell.words}: {cell.hole}" for cell in self.cells if cell.hole]

    def groups(self) -> dict[str, list[RunDir]]:
        """Name of each variant to its runs, if all are there.

        Raises
        ------
        ValueError
            If any is missing; the message says which and why.
        """
        if holes := self.holes:
            more = f" (and {len(holes) - 1} more)" if len(holes) > 1 else ""
            raise ValueError(f"A run is missing: {holes[0]}{more}")
        runs: dict[str, list[RunDir]] = {}
        for cell in self.cells:
            members = runs.setdefault(cell.variant.name, [])
            if cell.path not in [run.path for run in members]:  # once, also with several parts
                members.append(RunDir(cell.path))
        return runs

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each run and task that it was evaluated on.

        Returns
        -------
        DataFrame
            ``data``, ``variant``, ``model``, ``valid_task`` (task that chose the epoch), ``seed``,
            ``run`` (folder), ``best_epoch``, ``epochs`` (how many ended), ``task``, ``n_targets``,
            the metrics, and ``hole``: why they are missing (empty if they are there).
        """
        rows = [row for cell in self.cells for row in _rows(cell)]
        integers = dict.fromkeys(("best_epoch", "epochs", "n_targets"), "Int64")
        return pd.DataFrame(rows).astype(integers | dict.fromkeys(METRICS, float))


def run_spec(
    specs: Spec | Sequence[Spec],
    folder: str | Path,
    *,
    jobs: int = 1,
    device: str = "auto",
    pause_after: int | None = None,
    progress: bool = True,
) -> Results:
    """Train and evaluate every run of one or several specs; a run that fails stops no other.

    An interrupted run is continued by the next call; evaluations are made again only if the run
    has changed. Call it again to retry failed runs.

    Parameters
    ----------
    specs : Spec or sequence of Spec
    folder : str or Path
        Folder of the runs.
    jobs : int
        Processes to work in; each run has one of its own if there are several.
    device : {"auto", "cpu", "cuda"}
    pause_after : int, optional
        Train no run beyond this many epochs for now: it is a hole until a later call goes on.
    progress : bool
        Show one bar for all runs, and failures on stderr. (Bars for epochs would send a notebook
        thousands of messages.)
    """
    require(jobs >= 1, f"jobs is at least 1; received {jobs}.")
    specs = [specs] if isinstance(specs, Spec) else list(specs)
    cells = [cell for spec in specs for cell in _cells(spec, Path(folder), device)]
    one_of: dict[Path, Work] = {}  # equal settings have one run
    for cell in cells:
        if not cell.hole:
            _, asked = one_of.setdefault(cell.path, (cell, []))
            asked += [(cell.part, task) for task in cell.tasks if (cell.part, task) not in asked]
    work = list(one_of.values())
    with tqdm(total=len(work), desc="runs", disable=not progress) as bar:
        if progress:
            for hole in dict.fromkeys(Results(cells).holes):
                sys.stderr.write(f"{hole}\n")
        options = (device, pause_after)
        outcomes = _here(work, options, bar) if jobs == 1 else _apart(work, options, jobs)
        for cell, failure in outcomes:
            bar.update()
            for other in cells:
                if other.path == cell.path:
                    other.hole = other.hole or failure
            if failure and progress:
                bar.write(f"{cell.words}: {failure}", file=sys.stderr)
    return Results(cells)


def _cells(spec: Spec, folder: Path, device: str) -> Iterator[Cell]:
    """The runs of a spec, each with its folder, or why it cannot be made."""
    loaded = cache(SessionSplit.load)
    for data, data_dir in spec.folders.items():
        for variant in spec.variants:
            for task in spec.valid_tasks:
                tasks = (task,) if len(spec.valid_tasks) > 1 else get_args(Task)
                for n, seed in enumerate(spec.seeds):
                    cell = Cell(data, data_dir, variant, task, seed, spec.part, tasks)
                    try:
                        if n and not learns(variant.model):
                            break
                        _settle(cell, spec, loaded(data_dir), folder, device)
                    except (ValueError, OSError) as error:
                        cell.hole = reason(error)
                    yield cell


def _settle(cell: Cell, spec: Spec, split: SessionSplit, folder: Path, device: str) -> None:
    variant = cell.variant
    options = {**variant.train, **spec.train, "valid_task": cell.valid_task, "seed": cell.seed}
    if not learns(variant.model):
        options = {name: options[name] for name in FOR_COUNTING if name in options}
    cell.train = TrainConfig.from_dict({**options, "device": device})
    model = model_class(variant.model)
    named = model.Config.from_dict(dict(variant.model_config))
    cell.settings = model.resolved(named, split.train)  # what is left open depends on the data
    # the device does not matter
    key = [
        split.fingerprint(times=reads_times(variant.model, cell.train)), variant.model,
        cell.settings.to_dict(),
        {**cell.train.to_dict(), "device": None},
    ]  # fmt: skip
    if variant.weights:
        key.append(hash_of(variant.weights))
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    cell.path = folder / f"run-{digest[:8]}"


def _here(
    work: list[Work], options: tuple[str, int | None], bar: Any
) -> Iterator[tuple[Cell, str]]:
    for cell, evaluations in work:
        bar.set_postfix_str(cell.words)
        try:
            make(cell, evaluations, *options)
        except Exception as error:
            yield cell, reason(error)
        else:
            yield cell, ""


def _apart(
    work: list[Work], options: tuple[str, int | None], jobs: int
) -> Iterator[tuple[Cell, str]]:
    for number, failure in in_processes(make, [(*one, *options) for one in work], jobs):
        yield work[number][0], failure


class PausedError(Exception):
    """Training stopped where it was asked to."""


def make(
    cell: Cell, evaluations: Sequence[Evaluation], device: str, pause_after: int | None = None
) -> None:
    """Train a run, or continue it, and make those of its evaluations that are missing.

    Raises
    ------
    PausedError
        If it has ``pause_after`` epochs; it can be continued.
    """
    learned = learns(cell.variant.model)
    is_trained = has_epochs(cell.path)

    def pause(epochs: int) -> None:
        if pause_after is not None and learned and epochs >= pause_after:
            raise PausedError(f"after {epochs} epochs; it can be continued")

    if is_trained:
        pause(len(RunDir(cell.path).history()))
    if is_trained and not learned:
        run = RunDir(cell.path)  # it has counted already
    else:
        run = train_run(
            cell.data_dir,
            cell.path,
            model=cell.variant.model,
            model_config=cell.settings,
            train=cell.train,
            weights=cell.variant.weights,
            resume=(cell.path / "config.json").is_file(),
            on_epoch=lambda state: pause(len(state.history.rows)),
            progress=False,
        )
    for part, task in evaluations:
        if not _is_evaluated(run, part, task):
            evaluate_run(
                run.path, part=part, task=task, data_dir=cell.data_dir, device=device,
                progress=False,
            )  # fmt: skip


def _is_evaluated(run: RunDir, part: str, task: Task) -> bool:
    try:
        return bool(run.evaluation(part, task)["min_prefix"] == run.train_config.valid_min_prefix)
    except ValueError:  # missing, or out of date
        return False


def _rows(cell: Cell) -> Iterator[dict[str, Any]]:
    row: dict[str, Any] = {
        "data": cell.data, "variant": cell.variant.name, "model": cell.variant.model,
        "valid_task": cell.valid_task, "seed": cell.seed,
        "run": str(cell.path) if cell.settings else "", "best_epoch": None, "epochs": None,
    }  # fmt: skip
    for task in cell.tasks:
        columns: dict[str, Any] = {"task": task, "n_targets": None} | dict.fromkeys(METRICS, np.nan)
        hole = cell.hole
        try:
            if not hole:
                run = RunDir(cell.path)
                entry = run.evaluation(cell.part, task)
                row |= {"best_epoch": run.best_epoch, "epochs": len(run.history())}
                columns |= {"n_targets": entry["n_targets"]} | entry["metrics"]
        except ValueError as error:
            hole = reason(error)
        yield row | columns | {"hole": hole}
