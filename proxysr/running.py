"""Train and evaluate a model on prepared data, and write a run.

The files of a run, and how to read them, are in :mod:`proxysr.run`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from proxysr.checkpoints import FORMAT, SnapshotFolder, hash_of, read_checkpoint, write_checkpoint
from proxysr.config import ConfigError, Settings, require
from proxysr.data.known import check_users
from proxysr.data.sessions import SessionSplit, Task
from proxysr.distributed import from_first, is_first, joined, world_size
from proxysr.evaluation import EvalResult, WhoseHistory, evaluate, evaluate_with_history
from proxysr.evaluations import TRAINING, evaluation_name
from proxysr.files import check_writable, claiming, flush, hash_of_file, replacing, write_json
from proxysr.findings import Metrics
from proxysr.models import DEFAULT, create, model_class
from proxysr.processes import Holder, locked, sweep_folder
from proxysr.run import FORMAT_VERSION, RunDir, Which, has_epochs
from proxysr.training import (
    Checkpoint,
    TrainConfig,
    TrainState,
    check_memory,
    check_shares,
    check_validation,
    fit,
    reads_times,
)

MAY_CHANGE_ON_RESUME = ("epochs", "patience", "device")
WAIT = 60.0
"""Most seconds to wait for another process to write its metrics."""
PACKAGES = ("proxysr", "torch", "numpy", "pandas", "safetensors")


@joined()
def train_run(
    data_dir: str | Path,
    run_dir: str | Path,
    *,
    model: str | None = None,
    model_config: Mapping[str, Any] | Settings | None = None,
    train: TrainConfig | None = None,
    weights: Mapping[str, Tensor] | None = None,
    resume: bool = False,
    on_epoch: Callable[[TrainState], None] | None = None,
    progress: bool = True,
) -> RunDir:
    """Train a model on prepared data and write a run to ``run_dir``.

    All processes of ``torchrun`` call this with the same folders; the first one writes the run.

    Parameters
    ----------
    data_dir : str or Path
        Folder that ``proxysr prepare`` wrote.
    run_dir : str or Path
        A new or empty folder, or with ``resume`` the run to continue.
    model : str, optional
        Name in ``MODELS``; :data:`proxysr.models.DEFAULT` if left out.
    model_config, train : optional
        Defaults if left out; with ``resume``, the run's settings, of which only ``epochs``,
        ``patience`` and ``device`` may change.
    weights : mapping, optional
        Initial values of parameters or buffers by name; the others are drawn at random.
    resume : bool
        Continue an interrupted run, with the same result as an uninterrupted one; or train a
        finished run for more epochs.
    on_epoch : callable, optional
        Called after every epoch, once it is on disk; if it raises, the run can be resumed there.
    progress : bool
        Show progress bars.

    Raises
    ------
    ValueError
        If the folder is not empty, the run does not match the data or settings, the data have
        fewer users than ``n_users``, or another process trains this run.
    """
    path = Path(run_dir)
    if not is_first():
        return _train_along(data_dir, path)
    last = path / "checkpoints/last.safetensors"
    begun_with = hash_of(weights) if weights else ""
    if resume:
        run = RunDir(path)
        split, identity = run.split(data_dir), run.identity
        name, settings, config = _settings_to_resume(run, model, model_config, train, split)
        before, begun_with = begun_with, run.begun_with
        require(
            identity in ("", _identity(name, settings, config, split, begun_with)),
            f"{path} cannot go on as it began: its config.json was changed since, or the times of "
            "the sessions, or another version began it. Restore them, or name a new folder.",
        )
        require(
            has_epochs(path) or before == begun_with,
            f"{path} has no epoch to go on from, and began with other initial weights. Hand in "
            "the same, or name a new folder.",
        )
    else:
        split = SessionSplit.load(data_dir)
        _check_new(path)
        name = model or DEFAULT
        settings = _settings(name, model_config, split)
        config = (train or TrainConfig()).resolved(model_class(name), settings)
        check_users(split, getattr(settings, "n_users", 0))
        check_writable(path, "folder")
        identity = _identity(name, settings, config, split, begun_with)
    done = len(run.history()) if resume and has_epochs(path) else 0
    require(
        config.epochs >= done,
        f"{path} has {done} epochs already; received epochs = {config.epochs}. Take at least as "
        "many, or train in a new folder.",
    )
    check_validation(split, config)
    check_memory(model_class(name), split, settings, config, snapshots=1)
    network = create(name, split.n_items, settings, seed=config.seed)
    check_shares(network)
    if weights:
        network.load_state_dict({**network.state_dict(), **weights})
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "run": identity,
        "model": name,
        "model_config": settings.to_dict(),
        "train": config.to_dict(),
        "begun_with": begun_with,
    }
    if not resume:
        try:
            with claiming(path) as temporary:
                write_json(temporary / "config.json", header)
                _write_data(temporary, data_dir, split, getattr(settings, "n_users", 0), identity)
                write_json(temporary / "environment.json", _environment())
        except FileExistsError:
            _check_new(path)
            raise

    snapshots = SnapshotFolder(path / "checkpoints", identity)

    def write_epoch(state: TrainState) -> None:
        with replacing(path / "history.csv") as temporary:
            state.history.frame.to_csv(temporary, index=False)
        write_checkpoint(last, state, identity)  # comes last: it makes the epoch valid
        snapshots.purge()
        if on_epoch is not None:
            on_epoch(state)

    busy = f"{path} is being trained by another process. Wait for it, or name a new folder."
    unfit = nullcontext() if resume else _removed_if_refused(path)
    with unfit, locked(path / ".training.lock", busy) as interrupted:
        if interrupted is not None and progress:
            sys.stderr.write(
                f"{path}: its training by {interrupted} was interrupted; half-written files are "
                "removed, and complete epochs are kept.\n"
            )
        sweep_folder(path)
        saved: Checkpoint | None = None
        counters: dict[str, Metrics] = {}
        if resume:
            write_json(path / "config.json", header)
            write_json(path / "data.json", {**run.data, "data_dir": str(Path(data_dir).resolve())})
            saved = read_checkpoint(last, identity) if last.is_file() else None
            counters = run.counters
        from_first((name, settings, config, saved, counters))
        history = fit(
            network, split, config,
            on_epoch=write_epoch, snapshots=snapshots, resume=saved, counters=counters,
            progress=progress,
        )  # fmt: skip
        trained = RunDir(path)
        if history.findings:
            entry = {
                "epochs": len(history.rows),
                "counters": history.counters,
                "findings": history.findings,
            }
            with _metrics_lock(trained):
                trained.keep_metrics(TRAINING, entry)
    return trained


@contextmanager
def _removed_if_refused(path: Path) -> Iterator[None]:
    """Remove a new run if its settings are refused or fail at once: it would be in the way."""
    try:
        yield
    except (ConfigError, FloatingPointError):
        if not has_epochs(path):
            shutil.rmtree(path)
        raise


def _train_along(data_dir: str | Path, path: Path) -> RunDir:
    """Train in a process other than the first, which writes the run."""
    name, settings, config, saved, counters = from_first(None)
    split = RunDir(path).split(data_dir)
    network = create(name, split.n_items, settings, seed=config.seed)
    fit(network, split, config, resume=saved, counters=counters)
    return RunDir(path)


def _identity(
    name: str,
    settings: Settings,
    config: TrainConfig,
    split: SessionSplit,
    begun_with: str,
) -> str:
    """A hash of everything that determines a run's result, such as its initial weights' hash."""
    train = {k: v for k, v in config.to_dict().items() if k not in MAY_CHANGE_ON_RESUME}
    data = split.fingerprint(times=reads_times(name, config))
    content = [name, settings.to_dict(), train, data]
    content += [begun_with] if begun_with else []
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _write_data(
    path: Path, data_dir: str | Path, split: SessionSplit, n_users: int, run: str
) -> None:
    """Write ``data.json``, ``items.parquet``, and ``users.parquet`` of the first ``n_users``."""
    tables = {"items.parquet": split.items}
    if n_users:
        tables["users.parquet"] = split.users.head(n_users)
    for name, table in tables.items():
        table.to_parquet(path / name, index=False)
    content = {
        "run": run,
        "data_dir": str(Path(data_dir).resolve()),
        "fingerprint": split.fingerprint(),
        "n_items": split.n_items,
        "n_users": split.n_users,
        "files": {name: hash_of_file(path / name) for name in tables},
        "provenance": split.provenance,
    }
    write_json(path / "data.json", content)


def _environment() -> dict[str, Any]:
    """Versions and machine, which change results by rounding only."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "processes": world_size(),
    }


def _check_new(path: Path) -> None:
    """Raise ``ValueError`` if the folder is not empty."""
    if path.exists() and any(path.iterdir()):
        hint = "Add --resume to continue it" if (path / "config.json").is_file() else ""
        raise ValueError(
            f"{path} is not empty; nothing was overwritten. {hint or 'Name a new folder'}."
        )


def evaluate_run(
    run_dir: str | Path,
    *,
    part: str = "test",
    task: Task | None = None,
    min_prefix: int | None = None,
    ks: Sequence[int] = (5, 10, 20),
    which: Which = "best",
    history: WhoseHistory | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    progress: bool = True,
) -> EvalResult:
    """Evaluate a run's model on a part of its data; metrics and ranks are written to the run.

    Parameters
    ----------
    run_dir : str or Path
    part : {"train", "valid", "test"}
    task, min_prefix : optional
        If left out, those that chose the best epoch; with a history, from the first click on.
    ks : sequence of int
    which : {"best", "half", "last"}
        Epoch of the weights; only evaluations of the best epoch are written.
    history : {"none", "own", "another"}, optional
        Rank only sessions of users who were seen before, and read such a history, see
        :func:`proxysr.evaluation.evaluate_with_history`.
    data_dir : str or Path, optional
        The prepared data, if it has moved since.
    device : {"auto", "cpu", "cuda"}
    progress : bool
    """
    run = RunDir(run_dir)
    if which == "best":
        check_writable(run.path / "metrics.json")
    trained = run.train_config
    task = trained.valid_task if task is None else task
    best = run.best_epoch  # read once: another process may be training
    model = run.model_after(best, device) if which == "best" else run.model(which, device)
    split = run.split(data_dir)
    options: dict[str, Any] = {"task": task, "ks": ks, "progress": progress}
    if history is None:
        least = trained.valid_min_prefix if min_prefix is None else min_prefix
        result = evaluate(model, split.part(part), min_prefix=least, **options)
    else:
        least = min_prefix or 0
        result = evaluate_with_history(
            model, split, history, part=part, min_prefix=least, **options
        )
    if which == "best":
        entry = {
            "part": part,
            "task": task,
            "min_prefix": result.min_prefix,
            "epoch": best,
            "n_targets": result.n_targets,
            "metrics": result.metrics,
        }
        entry |= {"history": history} if history else {}
        path = run.ranks_file(name := evaluation_name(part, task, history))
        with _metrics_lock(run), replacing(path) as temporary:
            result.ranks.to_parquet(temporary, index=False)
            flush(temporary)  # if the disk is full, fail before writing the metrics
            run.keep_metrics(name, entry | {"ranks": hash_of_file(temporary)})
    return result


def _metrics_lock(run: RunDir) -> AbstractContextManager[Holder | None]:
    """The lock to hold while writing ``metrics.json`` of a run."""
    busy = f"{run.path} is being evaluated by another process, which does not end."
    return locked(run.path / ".metrics.lock", busy, wait=WAIT)


def _settings(
    name: str, given: Mapping[str, Any] | Settings | None, split: SessionSplit
) -> Settings:
    """Settings of a new run, with open ones filled in; an unknown key is an error."""
    cls = model_class(name)
    settings = given if isinstance(given, Settings) else cls.Config.from_dict(given or {})
    return cls.resolved(settings, split.train)


def _settings_to_resume(
    run: RunDir,
    model: str | None,
    model_config: Mapping[str, Any] | Settings | None,
    train: TrainConfig | None,
    split: SessionSplit,
) -> tuple[str, Settings, TrainConfig]:
    """Settings to resume with: the run's own; an error if the caller names other ones."""
    name, settings, config = run.model_name, run.model_config, run.train_config
    requested: dict[str, Any] = {} if model is None else {"model": model}
    if model_config is not None:
        if not isinstance(model_config, Settings):
            model_config = {**settings.to_dict(), **model_config}
        requested |= _settings(name, model_config, split).to_dict()
    if train is not None:
        train = train.resolved(model_class(name), settings)
        requested |= {k: v for k, v in train.to_dict().items() if k not in MAY_CHANGE_ON_RESUME}
        config = config.replace(**{k: getattr(train, k) for k in MAY_CHANGE_ON_RESUME})
    current = {"model": name, **settings.to_dict(), **config.to_dict()}
    differing = [
        f"{k} = {current[k]!r} (asked for: {v!r})" for k, v in requested.items() if current[k] != v
    ]
    require(
        not differing,
        f"{run.path} was trained with {', '.join(differing)}. A resumed run keeps its settings, "
        f"except {', '.join(MAY_CHANGE_ON_RESUME)}.",
    )
    return name, settings, config
