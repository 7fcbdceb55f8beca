"""A run: the folder that training and evaluation write, and :class:`RunDir`, which reads it.

The files::

    config.json                   model, its settings, how it was trained
    data.json                     which prepared data, by path and fingerprint
    items.parquet                 what the item indices mean, with titles where known
    users.parquet                 users that the model has parameters for, if any
    environment.json              versions, machine and number of processes
    history.csv                   one row an epoch
    checkpoints/last.safetensors  weights, optimizer and history after the latest epoch
    checkpoints/epoch-0011.safetensors   weights after the best epoch, the one half-way to it, and
                                  epochs that longer training may make half-way
    metrics.json                  one entry for each evaluation, and one with findings of training
    ranks-test-unseen.parquet     rank of every target of that evaluation; -own, -another and -none
                                  stand for those of users seen before, by whose history was read

Every file is written under a temporary name and renamed, so an interrupted run can be resumed.
Nothing is unpickled. Files ``.*.lock`` keep two processes from training or evaluating a run at the
same time.

The files refer to each other: ``config.json`` has the run's identity, which data, weights and
evaluations repeat; ``data.json`` has the hashes of the tables; weights have their own hash, and
an evaluation has the hash of its ranks. A file that is damaged or from another run is refused. Runs
of older versions have no hashes and are read unchecked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import pandas as pd

from proxysr.checkpoints import FORMAT, Progress, load_weights, of_model, read_progress
from proxysr.config import ConfigError, Settings, require, unknown
from proxysr.data.sessions import SessionSplit, Task
from proxysr.evaluation import WhoseHistory
from proxysr.evaluations import TRAINING, evaluation_name, gives, read_entries
from proxysr.files import checked, hash_of_file, read_object, read_parquet, write_json
from proxysr.models import SessionModel, create, learns, model_class
from proxysr.training import State, TrainConfig, resolve_device

FORMAT_VERSION = 1
CONFIG_KEYS = {"model": str, "model_config": dict, "train": dict}
DATA_KEYS = {"data_dir": str, "fingerprint": str, "n_items": int}

Which = Literal["best", "half", "last"]
SettingsT = TypeVar("SettingsT", bound=Settings)


def has_epochs(folder: Path) -> bool:
    """Whether a folder is a run in which an epoch has ended, or a model that counts has counted."""
    needed = (folder / "config.json", folder / "checkpoints/last.safetensors")
    return all(path.is_file() for path in needed)


class RunDir:
    """Reads a run's folder.

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
        checked(self.config, CONFIG_KEYS, self.path / "config.json")
        path = self.path / "data.json"
        self.data: dict[str, Any] = read_object(path, DATA_KEYS)
        self._hashes: dict[str, str] = self.data.get("files", {})  # of tables; older runs: none
        checked({"files": self._hashes}, {"files": dict}, path)
        self._check_identity(self.data, path)

    @property
    def identity(self) -> str:
        """A hash of settings and data that names this run; "" for runs of older versions."""
        return str(self.config.get("run", ""))

    @property
    def begun_with(self) -> str:
        """A hash of the initial weights that were handed in; "" if there were none."""
        return str(self.config.get("begun_with", ""))

    def _check_identity(self, content: Mapping[str, Any], path: Path) -> None:
        if content.get("run", self.identity) != self.identity:
            raise ValueError(
                f"{path} belongs to another run than {self.path / 'config.json'}. Put the right "
                "file there, or train again."
            )

    def _table(self, name: str, *needed: str) -> pd.DataFrame:
        return read_parquet(self.path / name, *needed, expected_hash=self._hashes.get(name))

    @property
    def model_name(self) -> str:
        """Name of the model in ``MODELS``."""
        return str(self.config["model"])

    @property
    def log(self) -> str:
        """Name of the prepared data: of their folder, and of its parent if that is called data."""
        folder = Path(self.data["data_dir"])
        return folder.name if folder.name != "data" else f"{folder.parent.name}/data"

    @property
    def model_config(self) -> Settings:
        """The model's settings."""
        return self._settings("model_config", model_class(self.model_name).Config)

    @property
    def train_config(self) -> TrainConfig:
        """How the model was trained."""
        # in older runs, task and min_prefix held for training and for validation
        train = self.config["train"]
        defaults = {f"valid_{key}": train[key] for key in ("task", "min_prefix") if key in train}
        return self._settings("train", TrainConfig, defaults)

    def _settings(
        self, key: str, cls: type[SettingsT], defaults: Mapping[str, Any] | None = None
    ) -> SettingsT:
        try:
            return cls.from_dict({**(defaults or {}), **self.config[key]})
        except ConfigError as error:
            raise ValueError(f"{self.path / 'config.json'}, {key!r}: {error}") from None

    @property
    def items(self) -> pd.DataFrame:
        """Row ``i - 1`` describes item index i: ``item_id``, ``count``, ``title`` where known."""
        path, items = self.path / "items.parquet", self._table("items.parquet", "item_id")
        n = self.data["n_items"]
        if len(items) != n or items["item_id"].isna().any() or not items["item_id"].is_unique:
            raise ValueError(
                f"{path} is missing or damaged (it does not name {n} different items)."
            )
        return items

    @property
    def users(self) -> pd.DataFrame:
        """Row ``u`` has the ``user_id`` of user index u; only users that the model knows."""
        exists = (self.path / "users.parquet").is_file() or "users.parquet" in self._hashes
        return self._table("users.parquet", "user_id") if exists else pd.DataFrame({"user_id": []})

    def split(self, data_dir: str | Path | None = None) -> SessionSplit:
        """The run's prepared data, from the folder named in training or from ``data_dir``.

        Raises
        ------
        ValueError
            If they have moved, or the data there are not those that the run was trained on.
        """
        folder = Path(self.data["data_dir"] if data_dir is None else data_dir)
        try:
            split = SessionSplit.load(folder)
        except ValueError:
            if data_dir is None and not folder.exists():
                raise ValueError(
                    f"{folder}, the data that {self.path} was trained on, is not there. If it has "
                    "moved, name its folder with --data (data_dir in Python)."
                ) from None
            raise
        if split.fingerprint() != self.data["fingerprint"]:
            raise ValueError(
                f"{folder} is not the data that {self.path} was trained on: "
                "their fingerprints differ. Name the right folder, or train again."
            )
        return split

    def history(self) -> pd.DataFrame:
        """One row an epoch; see :attr:`proxysr.training.History.frame`."""
        return pd.DataFrame(self._progress().rows)

    @property
    def best_epoch(self) -> int:
        """The epoch with the highest recall on validation."""
        return self._progress().best_epoch

    @property
    def half_epoch(self) -> int:
        """The epoch half-way to the best one."""
        return self._progress().half_epoch

    def _progress(self) -> Progress:
        """The history in the latest checkpoint."""
        path = self._checkpoint("last")
        if not path.is_file():
            raise ValueError(f"{self.path} has no checkpoint yet: its first epoch did not end.")
        return read_progress(path)

    def model(self, which: Which = "best", device: str = "cpu") -> SessionModel:
        """The model as it was after the best, the half-way or the last epoch.

        Raises
        ------
        ConfigError
            If ``which`` is none of these.
        ValueError
            If the weights are missing, damaged, or not those of the run's settings.
        """
        require(which in get_args(Which), unknown(str(which), get_args(Which), "state of a model"))
        if which == "last":
            path = self._checkpoint("last")
            return self._build(of_model(load_weights(path, run=self.identity)), path, device)
        return self.model_after(self.best_epoch if which == "best" else self.half_epoch, device)

    def model_after(self, epoch: int, device: str = "cpu") -> SessionModel:
        """The model as it was after an epoch whose weights are stored."""
        path = self._checkpoint(f"epoch-{epoch:04d}")
        return self._build(load_weights(path, run=self.identity, epoch=epoch), path, device)

    def weights_fingerprint(self) -> str:
        """A hash of the best epoch's weights, 16 hexadecimal digits."""
        path = self._checkpoint(f"epoch-{self.best_epoch:04d}")
        if not path.is_file():
            raise ValueError(f"{path} is missing: {self.path} has no weights of its best epoch.")
        return hash_of_file(path)[:16]

    def _build(self, state: State, path: Path, device: str) -> SessionModel:
        """The model with weights that were read from ``path``."""
        settings, n_items = self.model_config, self.data["n_items"]
        try:
            model = create(self.model_name, n_items, settings)
            model.load_state_dict(state)
        except ConfigError as error:
            raise ValueError(f"{self.path / 'config.json'}, 'model_config': {error}") from None
        # a layer of size zero or of a huge size raises many kinds of errors
        except (RuntimeError, ValueError, TypeError, ArithmeticError, MemoryError) as error:
            raise ValueError(f"{path} does not fit the settings of {self.path}: {error}") from None
        return model.to(resolve_device(device)).eval()

    def metrics(self) -> dict[str, Any]:
        """All evaluations, by :func:`evaluation_name`.

        Raises
        ------
        ValueError
            If one is out of date (training went on and another epoch is the best), or if its
            metrics do not follow from its ranks.
        """
        evaluations = self.evaluations()
        for name, entry in evaluations.items():
            self._check_date(name, entry)
            if self.ranks_file(name).is_file():
                self._ranks(name, entry)
        return evaluations

    def evaluation(
        self, part: str = "test", task: Task = "unseen", history: WhoseHistory | None = None
    ) -> dict[str, Any]:
        """One evaluation: ``min_prefix``, ``epoch``, ``n_targets``, ``metrics``.

        Raises
        ------
        ValueError
            If it does not exist yet, or is out of date.
        """
        entry = self._evaluation(part, task, history)
        self._ranks(evaluation_name(part, task, history), entry)
        return entry

    def ranks(
        self, part: str = "test", task: Task = "unseen", history: WhoseHistory | None = None
    ) -> pd.DataFrame:
        """Rank of every target of an evaluation; raises like :meth:`evaluation`."""
        name = evaluation_name(part, task, history)
        return self._ranks(name, self._evaluation(part, task, history))

    def _evaluation(self, part: str, task: Task, history: WhoseHistory | None) -> dict[str, Any]:
        """The entry of an evaluation of the best epoch; its ranks are not checked."""
        name = evaluation_name(part, task, history)
        entry = self.evaluations().get(name)
        if entry is None or not self.ranks_file(name).is_file():
            asked = {"part": part, "task": task, "history": history}
            raise ValueError(
                f"{self.path} has no ranks for {part}, task {task!r}, yet. Make them with "
                f"`{self._command(asked)}`."
            )
        self._check_date(name, entry)
        return dict(entry)

    def _ranks(self, name: str, entry: Mapping[str, Any]) -> pd.DataFrame:
        """The ranks of an evaluation, checked against its metrics.

        Raises
        ------
        ValueError
            If they are damaged or do not give the metrics; the message names the file and the
            command that makes it again.
        """
        path = self.ranks_file(name)
        again = f"Evaluate again: `{self._command(entry)}`."
        if entry.get("ranks", actual := hash_of_file(path)) != actual:
            raise ValueError(f"{path} holds other ranks than metrics.json was made from. {again}")
        table = read_parquet(path, "session_id", "position", "target", "rank")
        try:
            ranks = table["rank"].to_numpy(dtype=np.float64)
        except (ValueError, TypeError):
            ranks = np.full(1, np.nan)
        bad = ~((ranks >= 1) & (ranks <= self.data["n_items"]))
        if bad.any():
            raise ValueError(
                f"{path} is damaged: {bad.sum():,} of {len(ranks):,} ranks are not from 1 to "
                f"{self.data['n_items']:,}, the number of items. {again}"
            )
        if not gives(ranks, entry["metrics"]):
            raise ValueError(
                f"{self.path / 'metrics.json'}: the metrics of {name} are not those of the ranks "
                f"in {path.name}. {again}"
            )
        return table

    @property
    def findings(self) -> list[str]:
        """Sentences on the result of training; none before its end."""
        return list(self._end_of_training().get("findings", []))

    @property
    def is_trained(self) -> bool:
        """Whether training came to its end; what a model counts is there with the run."""
        return not learns(self.model_name) or bool(self._end_of_training())

    def _end_of_training(self) -> dict[str, Any]:
        """The entry that training leaves at its end; empty before, or if it goes on since."""
        training = self._metrics_file().get(TRAINING)
        return training if training and training["epochs"] == len(self.history()) else {}

    @property
    def counters(self) -> dict[str, dict[str, float]]:
        """Validation metrics of models that only count, by name, to compare the run with."""
        return dict(self._metrics_file().get(TRAINING, {}).get("counters", {}))

    def evaluations(self) -> dict[str, Any]:
        """All entries, out of date or not."""
        return {k: entry for k, entry in self._metrics_file().items() if k != TRAINING}

    def keep_metrics(self, name: str, entry: Mapping[str, Any]) -> None:
        """Write an entry of ``metrics.json``; the caller holds the lock."""
        entry = {"run": self.identity, **entry}
        write_json(self.path / "metrics.json", self._metrics_file() | {name: entry})

    def _metrics_file(self) -> dict[str, Any]:
        path = self.path / "metrics.json"
        entries = read_entries(path)
        for entry in entries.values():
            self._check_identity(entry, path)
        return entries

    def _check_date(self, name: str, entry: Mapping[str, Any]) -> None:
        if entry["epoch"] != (best := self.best_epoch):
            raise ValueError(
                f"{self.path} was trained further after its evaluation {name}: the ranks are of "
                f"epoch {entry['epoch']}, the best epoch is {best}. Evaluate it again: "
                f"`{self._command(entry)}`."
            )

    def _command(self, entry: Mapping[str, Any]) -> str:
        """The command that repeats an evaluation."""
        command = f"proxysr evaluate {self.path} --split {entry['part']} --task {entry['task']}"
        if entry.get("history"):
            command += " --history"
        elif entry.get("min_prefix", usual := self.train_config.valid_min_prefix) != usual:
            command += f" --min-prefix {entry['min_prefix']}"
        return command

    def ranks_file(self, name: str) -> Path:
        """The file with the ranks of an evaluation, by :func:`evaluation_name`."""
        return self.path / f"ranks-{name}.parquet"

    def _checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / f"{name}.safetensors"
