"""What a run leaves behind, and what everything above reads.

A run is a folder::

    config.json                   model, its settings, how it was trained
    data.json                     which prepared data, by path and fingerprint
    items.parquet                 what the item indices mean, with titles where known
    users.parquet                 users that the model learns of by name, if any
    environment.json              versions, machine and number of processes
    history.csv                   one row an epoch
    checkpoints/last.safetensors  weights, optimizer and history after the latest epoch
    checkpoints/epoch-0011.safetensors   weights after an epoch: half-way, best, and later
                                  ones that longer training may make half-way
    metrics.json                  one entry for each evaluation
    ranks-test-unseen.parquet     rank of every target of that evaluation

Every file is written under a temporary name and renamed, so an interrupted run
can be resumed from what is there. Nothing is unpickled. Empty files ``.*.lock`` keep
processes from training or evaluating it at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd
from torch import Tensor

from proxysr.checkpoints import (
    FORMAT,
    SnapshotFolder,
    load_weights,
    of_model,
    read_checkpoint,
    read_metadata,
    write_checkpoint,
)
from proxysr.config import ConfigError, Settings, require
from proxysr.data.known import check_users
from proxysr.data.sessions import SessionSplit, Task
from proxysr.distributed import from_first, is_first, joined
from proxysr.environment import read_parquet, write_facts
from proxysr.evaluation import EvalResult, evaluate
from proxysr.files import checked, claiming, locked, read_object, replacing, write_json
from proxysr.models import SessionModel, create, model_class
from proxysr.training import (
    Checkpoint,
    State,
    TrainConfig,
    TrainState,
    check_shares,
    fit,
    resolve_device,
)

FORMAT_VERSION = 1
MAY_CHANGE_ON_RESUME = ("epochs", "patience", "device")
IN_CONFIG = {"model": str, "model_config": dict, "train": dict}
IN_DATA = {"data_dir": str, "fingerprint": str, "n_items": int}
IN_EVALUATION = {"part": str, "task": str, "min_prefix": int, "epoch": int, "metrics": dict}
WAIT = 60.0
"""Most seconds to wait for another evaluation to write its few lines."""

Which = Literal["best", "half", "last"]
SettingsT = TypeVar("SettingsT", bound=Settings)


class RunDir:
    """A run's folder, read.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    ValueError
        If the folder is not a run, is damaged, or is of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "config.json").is_file():
            raise ValueError(
                f"{self.path} is not a proxysr run: it has no config.json. "
                "Make one with `proxysr train DATA_DIR RUN_DIR`."
            )
        self.config: dict[str, Any] = read_object(self.path / "config.json", {})
        if self.config.get("format") != FORMAT:
            raise ValueError(f"{self.path / 'config.json'} was not written by proxysr.")
        if self.config.get("version") != FORMAT_VERSION:
            raise ValueError(
                f"{self.path} is a run of version {self.config.get('version')}; this proxysr "
                f"reads version {FORMAT_VERSION}. Train again, or use the version that wrote it."
            )
        checked(self.config, IN_CONFIG, self.path / "config.json")
        self.data: dict[str, Any] = read_object(self.path / "data.json", IN_DATA)

    @property
    def model_name(self) -> str:
        """Name of the model in ``MODELS``."""
        return str(self.config["model"])

    @property
    def model_config(self) -> Settings:
        """The model's settings."""
        return self._settings("model_config", model_class(self.model_name).Config)

    @property
    def train_config(self) -> TrainConfig:
        """How the model was trained."""
        return self._settings("train", TrainConfig)

    def _settings(self, key: str, cls: type[SettingsT]) -> SettingsT:
        try:
            return cls.from_dict(self.config[key])
        except ConfigError as error:
            raise ValueError(f"{self.path / 'config.json'}, {key!r}: {error}") from None

    @property
    def items(self) -> pd.DataFrame:
        """Row ``i - 1`` describes item index i: ``item_id``, ``count``, ``title`` where known."""
        return read_parquet(self.path / "items.parquet")

    @property
    def users(self) -> pd.DataFrame:
        """Row ``u`` describes user index u: ``user_id``; only users that the model learns of."""
        known = self.path / "users.parquet"
        return read_parquet(known) if known.is_file() else pd.DataFrame({"user_id": []})

    def split(self, data_dir: str | Path | None = None) -> SessionSplit:
        """The prepared data of the run, from where it was or from ``data_dir``; checked."""
        folder = Path(data_dir or self.data["data_dir"])
        split = SessionSplit.load(folder)
        if split.fingerprint() != self.data["fingerprint"]:
            raise ValueError(
                f"{folder} is not the data that {self.path} was trained on: "
                "their fingerprints differ. Name the right folder, or train again."
            )
        return split

    def history(self) -> pd.DataFrame:
        """One row an epoch; see :attr:`proxysr.training.History.frame`."""
        return pd.DataFrame(json.loads(self._progress()["history"]))

    @property
    def best_epoch(self) -> int:
        """The epoch with the highest recall on validation."""
        return int(self._progress()["best_epoch"])

    @property
    def half_epoch(self) -> int:
        """The epoch half-way to the best one."""
        return int(self._progress()["half_epoch"])

    def _progress(self) -> dict[str, str]:
        """How far training got, as the latest checkpoint says."""
        path = self._checkpoint("last")
        if not path.is_file():
            raise ValueError(f"{self.path} has no checkpoint yet: its first epoch never ended.")
        return read_metadata(path, "history", "best_epoch", "half_epoch")

    def model(self, which: Which = "best", device: str = "cpu") -> SessionModel:
        """The model as it was after the best, the half-way or the last epoch.

        Raises
        ------
        ValueError
            If the weights are missing, damaged, or not those of the run's settings.
        """
        if which == "last":
            path = self._checkpoint("last")
            return self._with(of_model(load_weights(path)), path, device)
        return self._model_after(self.best_epoch if which == "best" else self.half_epoch, device)

    def _model_after(self, epoch: int, device: str) -> SessionModel:
        path = self._checkpoint(f"epoch-{epoch:04d}")
        return self._with(load_weights(path), path, device)

    def _with(self, state: State, path: Path, device: str) -> SessionModel:
        model = create(self.model_name, int(self.data["n_items"]), self.model_config)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"{path} does not fit the settings of {self.path}: {error}") from None
        return model.to(resolve_device(device)).eval()

    def metrics(self) -> dict[str, Any]:
        """What was evaluated: one entry for each "PART-TASK".

        Raises
        ------
        ValueError
            If one is out of date: the run was trained on since, and another epoch is the best.
        """
        found = self._evaluations()
        for name in found:
            self._check_date(name, found[name])
        return found

    def evaluation(self, part: str = "test", task: Task = "unseen") -> dict[str, Any]:
        """What is known of one evaluation: ``min_prefix``, ``epoch``, ``n_targets``, ``metrics``.

        Raises
        ------
        ValueError
            If it was not made yet, or is out of date; so, too, in :meth:`ranks`.
        """
        name = f"{part}-{task}"
        found = self._evaluations()
        if name not in found or not self._ranks(name).is_file():
            raise ValueError(
                f"{self.path} has no ranks for {part} under {task!r} yet. Make them with "
                f"`proxysr evaluate {self.path} --split {part} --task {task}`."
            )
        self._check_date(name, found[name])
        return dict(found[name])

    def ranks(self, part: str = "test", task: Task = "unseen") -> pd.DataFrame:
        """Rank of every target of an evaluation that was made."""
        self.evaluation(part, task)
        return read_parquet(self._ranks(f"{part}-{task}"))

    def _evaluations(self) -> dict[str, Any]:
        """All entries, out of date or not."""
        path = self.path / "metrics.json"
        if not path.is_file():
            return {}
        found = read_object(path, {})
        checked(found, dict.fromkeys(found, dict), path)
        for name in found:
            for key, kind in IN_EVALUATION.items():
                if not isinstance(found[name].get(key), kind):
                    what = f"{key!r} of {name!r} is missing or not a {kind.__name__}"
                    raise ValueError(f"{path} is damaged: {what}.")
        return found

    def _check_date(self, name: str, entry: Mapping[str, Any]) -> None:
        if entry["epoch"] != (best := self.best_epoch):
            command = f"proxysr evaluate {self.path} --split {entry['part']} --task {entry['task']}"
            if entry["min_prefix"] != self.train_config.min_prefix:
                command += f" --min-prefix {entry['min_prefix']}"
            raise ValueError(
                f"{self.path} was trained on since its evaluation {name}: ranks are of epoch "
                f"{entry['epoch']}, the best is {best}. Evaluate it again: `{command}`."
            )

    def _ranks(self, name: str) -> Path:
        return self.path / f"ranks-{name}.parquet"

    def _checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / f"{name}.safetensors"


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
    """Train a model on prepared data and keep everything in ``run_dir``.

    All processes of ``torchrun`` call this with the same folders; the first one writes the run.

    Parameters
    ----------
    data_dir : str or Path
        What ``proxysr prepare`` wrote.
    run_dir : str or Path
        A new or empty folder, or with ``resume`` the run to continue.
    model : str, optional
        Name in ``MODELS``; "proxysr" if left out.
    model_config, train : optional
        Defaults if left out; with ``resume`` those of the run. Of a resumed run, only
        ``epochs``, ``patience`` and ``device`` may change.
    weights : mapping, optional
        Name to what a parameter or buffer starts from; the others are drawn.
    resume : bool
        Continue an interrupted run, to the same result; or a finished one for more epochs.
    on_epoch : callable, optional
        Called after every epoch, once it is on disk; if it raises, the run can be resumed there.
    progress : bool
        Show progress bars.

    Raises
    ------
    ValueError
        If the folder holds something else, the run does not match the data or settings, the data
        know fewer users than ``n_users``, or another process is training it.
    """
    path = Path(run_dir)
    if not is_first():
        return _train_along(data_dir, path)
    split = SessionSplit.load(data_dir)
    snapshots, last = SnapshotFolder(path / "checkpoints"), path / "checkpoints/last.safetensors"
    if resume:
        run = RunDir(path)
        name, settings, config = _agree(run, model, model_config, train)
        run.split(data_dir)
    else:
        _check_new(path)
        name, config = model or "proxysr", train or TrainConfig()
        settings = _settings(name, model_config)
        check_users(split, getattr(settings, "n_users", 0))
    network = create(name, split.n_items, settings, seed=config.seed)
    check_shares(network)
    if weights:
        network.load_state_dict({**network.state_dict(), **weights})
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "model": name,
        "model_config": settings.to_dict(),
        "train": config.to_dict(),
    }
    if not resume:
        try:
            with claiming(path) as temporary:
                write_json(temporary / "config.json", header)
                write_facts(temporary, data_dir, split, getattr(settings, "n_users", 0))
        except FileExistsError:
            _check_new(path)
            raise

    def keep(state: TrainState) -> None:
        write_checkpoint(last, state)
        with replacing(path / "history.csv") as temporary:
            state.history.frame.to_csv(temporary, index=False)
        snapshots.purge()
        if on_epoch is not None:
            on_epoch(state)

    busy = f"{path} is being trained by another process. Wait for it, or name a new folder."
    with locked(path / ".training.lock", busy):
        saved: Checkpoint | None = None
        if resume:
            write_json(path / "config.json", header)
            saved = read_checkpoint(last) if last.is_file() else None
        from_first((name, settings, config, saved))
        fit(
            network, split, config,
            on_epoch=keep, snapshots=snapshots, resume=saved, progress=progress,
        )  # fmt: skip
    return RunDir(path)


def _train_along(data_dir: str | Path, path: Path) -> RunDir:
    """Train what the first process of several trains; that one keeps the run."""
    name, settings, config, saved = from_first(None)
    split = RunDir(path).split(data_dir)
    fit(create(name, split.n_items, settings, seed=config.seed), split, config, resume=saved)
    return RunDir(path)


def _check_new(path: Path) -> None:
    """Raise ``ValueError`` if something lies there."""
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
    data_dir: str | Path | None = None,
    device: str = "auto",
    progress: bool = True,
) -> EvalResult:
    """Evaluate a run's model on a part of its data; metrics and ranks are kept in the run.

    Parameters
    ----------
    run_dir : str or Path
    part : {"train", "valid", "test"}
    task, min_prefix : optional
        Those of the training if left out.
    ks : sequence of int
    which : {"best", "half", "last"}
        Epoch of the weights; only evaluations of the best are kept in the run.
    data_dir : str or Path, optional
        The prepared data, if it has moved since.
    device : {"auto", "cpu", "cuda"}
    progress : bool
    """
    run = RunDir(run_dir)
    trained = run.train_config
    task = trained.task if task is None else task
    best = run.best_epoch  # read once: training may go on meanwhile
    model = run._model_after(best, device) if which == "best" else run.model(which, device)
    result = evaluate(
        model,
        run.split(data_dir).part(part),
        task=task,
        ks=ks,
        min_prefix=trained.min_prefix if min_prefix is None else min_prefix,
        progress=progress,
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
        busy = f"{run.path} is being evaluated by another process that does not end."
        with locked(run.path / ".metrics.lock", busy, wait=WAIT):
            entries = run._evaluations() | {f"{part}-{task}": entry}
            with replacing(run._ranks(f"{part}-{task}")) as temporary:
                result.ranks.to_parquet(temporary, index=False)
            write_json(run.path / "metrics.json", entries)
    return result


def _settings(name: str, given: Mapping[str, Any] | Settings | None) -> Settings:
    """Settings of a new run; an unknown key is an error."""
    return given if isinstance(given, Settings) else model_class(name).Config.from_dict(given or {})


def _agree(
    run: RunDir,
    model: str | None,
    model_config: Mapping[str, Any] | Settings | None,
    train: TrainConfig | None,
) -> tuple[str, Settings, TrainConfig]:
    """Settings to resume with: the run's own, after comparing with what the caller named."""
    name, settings, config = run.model_name, run.model_config, run.train_config
    asked: dict[str, Any] = {} if model is None else {"model": model}
    if model_config is not None:
        given = model_config.to_dict() if isinstance(model_config, Settings) else model_config
        asked |= type(settings).from_dict({**settings.to_dict(), **given}).to_dict()
    if train is not None:
        asked |= {k: v for k, v in train.to_dict().items() if k not in MAY_CHANGE_ON_RESUME}
        config = config.replace(**{k: getattr(train, k) for k in MAY_CHANGE_ON_RESUME})
    kept = {"model": name, **settings.to_dict(), **config.to_dict()}
    differing = [f"{k} = {kept[k]!r} (asked for: {v!r})" for k, v in asked.items() if kept[k] != v]
    require(
        not differing,
        f"{run.path} was trained with {', '.join(differing)}. A resumed run keeps its settings "
        f"but for {', '.join(MAY_CHANGE_ON_RESUME)}.",
    )
    return name, settings, config
