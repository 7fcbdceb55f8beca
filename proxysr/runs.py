"""What a run leaves behind, and what everything above reads.

A run is a folder::

    config.json                   model, its settings, how it was trained
    data.json                     which prepared data, by path and fingerprint
    items.parquet                 what the item indices mean, with titles where known
    environment.json              versions and machine
    history.csv                   one row an epoch
    checkpoints/last.safetensors  weights, optimizer and history after the latest epoch
    checkpoints/epoch-0011.safetensors   weights after an epoch: half-way and best
    metrics.json                  one entry for each evaluation
    ranks-test-unseen.parquet     rank of every target of that evaluation

Every file is written under a temporary name and renamed, so an interrupted run
can be resumed from what is there. Nothing is unpickled.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from proxysr.config import Settings, require
from proxysr.data.sessions import SessionSplit, Task
from proxysr.evaluation import EvalResult, evaluate
from proxysr.files import read_json, replacing, write_json
from proxysr.models import SessionModel, create, model_class
from proxysr.training import Checkpoint, State, TrainConfig, TrainState, fit, resolve_device

FORMAT = "proxysr-run"
FORMAT_VERSION = 1
MAY_CHANGE_ON_RESUME = ("epochs", "patience", "device")

Which = Literal["best", "half", "last"]


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
        self.config: dict[str, Any] = read_json(self.path / "config.json")
        if not isinstance(self.config, dict) or self.config.get("format") != FORMAT:
            raise ValueError(f"{self.path / 'config.json'} was not written by proxysr.")
        if self.config.get("version") != FORMAT_VERSION:
            raise ValueError(
                f"{self.path} is a run of version {self.config.get('version')}; this proxysr "
                f"reads version {FORMAT_VERSION}. Train again, or use the version that wrote it."
            )
        self.data: dict[str, Any] = read_json(self.path / "data.json")

    @property
    def model_name(self) -> str:
        """Name of the model in ``MODELS``."""
        return str(self.config["model"])

    @property
    def model_config(self) -> Settings:
        """The model's settings."""
        return model_class(self.model_name).Config.from_dict(self.config["model_config"])

    @property
    def train_config(self) -> TrainConfig:
        """How the model was trained."""
        return TrainConfig.from_dict(self.config["train"])

    @property
    def items(self) -> pd.DataFrame:
        """Row ``i - 1`` describes item index i: ``item_id``, ``count``, ``title`` where known."""
        return _read_parquet(self.path / "items.parquet")

    def split(self, data_dir: str | Path | None = None) -> SessionSplit:
        """The prepared data of the run, from where it was or from ``data_dir``; checked."""
        folder = Path(self.data["data_dir"] if data_dir is None else data_dir)
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
        return _metadata(path)

    def model(self, which: Which = "best", device: str = "cpu") -> SessionModel:
        """The model as it was after the best, the half-way or the last epoch.

        Raises
        ------
        ValueError
            If the weights are missing, damaged, or not those of the run's settings.
        """
        model = create(self.model_name, int(self.data["n_items"]), self.model_config)
        if which == "last":
            path = self._checkpoint("last")
            state = _sub(_load(path), "model.")
        else:
            epoch = self.best_epoch if which == "best" else self.half_epoch
            path = self._checkpoint(f"epoch-{epoch:04d}")
            state = _load(path)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"{path} does not fit the settings of {self.path}: {error}") from None
        return model.to(resolve_device(device)).eval()

    def metrics(self) -> dict[str, Any]:
        """What was evaluated so far: one entry for each "PART-TASK"."""
        path = self.path / "metrics.json"
        return dict(read_json(path)) if path.is_file() else {}

    def ranks(self, part: str = "test", task: Task = "unseen") -> pd.DataFrame:
        """Rank of every target of an evaluation that was made."""
        path = self.path / f"ranks-{part}-{task}.parquet"
        if not path.is_file():
            raise ValueError(
                f"{self.path} has no ranks for {part} under {task!r} yet. Make them with "
                f"`proxysr evaluate {self.path} --split {part} --task {task}`."
            )
        return _read_parquet(path)

    def _checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / f"{name}.safetensors"


def train_run(
    data_dir: str | Path,
    run_dir: str | Path,
    *,
    model: str | None = None,
    model_config: Mapping[str, Any] | Settings | None = None,
    train: TrainConfig | None = None,
    resume: bool = False,
    progress: bool = True,
) -> RunDir:
    """Train a model on prepared data and keep everything in ``run_dir``.

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
    resume : bool
        Continue an interrupted run, to the same result; or a finished one for more epochs.
    progress : bool
        Show progress bars.

    Raises
    ------
    ValueError
        If the folder holds something else, or the run does not match the data or settings.
    """
    path = Path(run_dir)
    split = SessionSplit.load(data_dir)
    saved: Checkpoint | None = None
    snapshots = SnapshotFolder(path / "checkpoints")
    if resume:
        run = RunDir(path)
        name, settings, config = _agree(run, model, model_config, train)
        run.split(data_dir)
        if run._checkpoint("last").is_file():
            saved = _read_checkpoint(run._checkpoint("last"))
    else:
        if path.exists() and any(path.iterdir()):
            hint = "Add --resume to continue it" if (path / "config.json").is_file() else ""
            raise ValueError(
                f"{path} is not empty; nothing was overwritten. {hint or 'Name a new folder'}."
            )
        name, config = model or "proxysr", train or TrainConfig()
        cls = model_class(name)
        if model_config is None:
            settings = cls.Config()
        elif isinstance(model_config, Settings):
            settings = model_config
        else:
            settings = cls.Config.from_dict(model_config)
    network = create(name, split.n_items, settings, seed=config.seed)
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "model": name,
        "model_config": settings.to_dict(),
        "train": config.to_dict(),
    }
    if resume:
        write_json(path / "config.json", header)
    else:
        with replacing(path) as temporary:
            temporary.mkdir()
            write_json(temporary / "config.json", header)
            _write_facts(temporary, Path(data_dir), split)

    def on_epoch(state: TrainState) -> None:
        _write_checkpoint(path / "checkpoints" / "last.safetensors", state)
        with replacing(path / "history.csv") as temporary:
            state.history.frame.to_csv(temporary, index=False)
        snapshots.purge()

    fit(
        network, split, config,
        on_epoch=on_epoch, snapshots=snapshots, resume=saved, progress=progress,
    )  # fmt: skip
    return RunDir(path)


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
    result = evaluate(
        run.model(which, device),
        run.split(data_dir).part(part),
        task=task,
        ks=ks,
        min_prefix=trained.min_prefix if min_prefix is None else min_prefix,
        progress=progress,
    )
    if which == "best":
        with replacing(run.path / f"ranks-{part}-{task}.parquet") as temporary:
            result.ranks.to_parquet(temporary, index=False)
        entry = {
            "part": part,
            "task": task,
            "min_prefix": result.min_prefix,
            "epoch": run.best_epoch,
            "n_targets": result.n_targets,
            "metrics": result.metrics,
        }
        write_json(run.path / "metrics.json", run.metrics() | {f"{part}-{task}": entry})
    return result


class SnapshotFolder(MutableMapping[int, State]):
    """Weights by epoch, one file each; deletions wait for :meth:`purge`.

    Until the checkpoint of an epoch is written, the previous one still counts, and with
    it the weights it names as best and half-way.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.deleted: set[int] = set()

    def __getitem__(self, epoch: int) -> State:
        if epoch not in set(self):
            raise KeyError(epoch)
        return _load(self._file(epoch))

    def __setitem__(self, epoch: int, state: State) -> None:
        self.deleted.discard(epoch)
        _save(self._file(epoch), state, {"epoch": str(epoch)})

    def __delitem__(self, epoch: int) -> None:
        self.deleted.add(epoch)

    def __iter__(self) -> Iterator[int]:
        files = self.folder.glob("epoch-*.safetensors")
        return iter(
            sorted({int(file.stem.removeprefix("epoch-")) for file in files} - self.deleted)
        )

    def __len__(self) -> int:
        return len(list(iter(self)))

    def purge(self) -> None:
        """Remove the files of what was deleted."""
        for epoch in self.deleted:
            self._file(epoch).unlink(missing_ok=True)
        self.deleted.clear()

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04d}.safetensors"


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


def _write_facts(path: Path, data_dir: Path, split: SessionSplit) -> None:
    with replacing(path / "items.parquet") as temporary:
        split.items.to_parquet(temporary, index=False)
    facts = {
        "data_dir": str(data_dir.resolve()),
        "fingerprint": split.fingerprint(),
        "n_items": split.n_items,
        "n_users": split.n_users,
        "provenance": split.provenance,
    }
    write_json(path / "data.json", facts)
    packages = ("proxysr", "torch", "numpy", "pandas", "safetensors")
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    environment = {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": cuda,
    }
    write_json(path / "environment.json", environment)


def _write_checkpoint(path: Path, state: TrainState) -> None:
    saved = state.checkpoint()
    tensors = {f"model.{name}": tensor for name, tensor in saved.model.items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in saved.optimizer.items()}
    metadata = {
        "history": json.dumps(saved.rows),
        "best_epoch": str(state.history.best_epoch),
        "half_epoch": str(state.history.half_epoch),
    }
    _save(path, tensors, metadata)


def _read_checkpoint(path: Path) -> Checkpoint:
    tensors = _load(path)
    rows = json.loads(_metadata(path)["history"])
    return Checkpoint(_sub(tensors, "model."), _sub(tensors, "optimizer."), rows)


def _sub(tensors: State, prefix: str) -> State:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _save(path: Path, tensors: State, metadata: dict[str, str]) -> None:
    with replacing(path) as temporary:
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(whole, temporary, metadata={"format": FORMAT, **metadata})


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}).") from None
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} was not written by proxysr.")
    return metadata


def _load(path: Path) -> State:
    _metadata(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}).") from None


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is missing or damaged ({error}).") from None
