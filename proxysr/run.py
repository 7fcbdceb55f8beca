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
    metrics.json                  one entry for each evaluation, and one for what training came to
    ranks-test-unseen.parquet     rank of every target of that evaluation

Every file is written under a temporary name and renamed, so an interrupted run
can be resumed from what is there. Nothing is unpickled. Files ``.*.lock`` keep
processes from training or evaluating it at the same time.

Files of a run are tied: ``config.json`` has an identity that data, weights and evaluations repeat,
``data.json`` has the hashes of the tables, weights have their own, and an evaluation has that of
its ranks. What is of another run or damaged is refused. Runs of older versions lack these
and are read without.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd

from proxysr.checkpoints import FORMAT, Progress, load_weights, of_model, read_progress
from proxysr.config import ConfigError, Settings
from proxysr.data.sessions import SessionSplit, Task
from proxysr.evaluation import metrics_of
from proxysr.files import checked, hash_of_file, read_object, read_parquet, write_json
from proxysr.models import SessionModel, create, model_class
from proxysr.training import State, TrainConfig, resolve_device

FORMAT_VERSION = 1
TRAINING = "training"
"""Key of ``metrics.json``: what came of the training, which is no evaluation."""
CONFIG_KEYS = {"model": str, "model_config": dict, "train": dict}
DATA_KEYS = {"data_dir": str, "fingerprint": str, "n_items": int}
TRAINING_KEYS = {"epochs": int, "counters": dict, "findings": list}
EVALUATION_KEYS = {"part": str, "task": str, "min_prefix": int, "epoch": int, "metrics": dict}

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
        checked(self.config, CONFIG_KEYS, self.path / "config.json")
        path = self.path / "data.json"
        self.data: dict[str, Any] = read_object(path, DATA_KEYS)
        self._hashes: dict[str, str] = self.data.get("files", {})  # of tables; none of older runs
        checked({"files": self._hashes}, {"files": dict}, path)
        self._check_identity(self.data, path)

    @property
    def identity(self) -> str:
        """What tells this run from others: a hash of its settings and data; empty of older runs."""
        return str(self.config.get("run", ""))

    def _check_identity(self, content: Mapping[str, Any], path: Path) -> None:
        if content.get("run", self.identity) != self.identity:
            raise ValueError(
                f"{path} is of another run than {self.path / 'config.json'}. Put the right file "
                "there, or train again."
            )

    def _table(self, name: str, *needed: str) -> pd.DataFrame:
        return read_parquet(self.path / name, *needed, known=self._hashes.get(name))

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
        # in older runs, one setting said what was trained on and what chose the epoch
        train = self.config["train"]
        older = {f"valid_{key}": train[key] for key in ("task", "min_prefix") if key in train}
        return self._settings("train", TrainConfig, older)

    def _settings(
        self, key: str, cls: type[SettingsT], missing: Mapping[str, Any] | None = None
    ) -> SettingsT:
        try:
            return cls.from_dict({**(missing or {}), **self.config[key]})
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
        """Row ``u`` describes user index u: ``user_id``; only users that the model learns of."""
        known = (self.path / "users.parquet").is_file() or "users.parquet" in self._hashes
        return self._table("users.parquet", "user_id") if known else pd.DataFrame({"user_id": []})

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
        """How far training got, as the latest checkpoint says."""
        path = self._checkpoint("last")
        if not path.is_file():
            raise ValueError(f"{self.path} has no checkpoint yet: its first epoch never ended.")
        return read_progress(path)

    def model(self, which: Which = "best", device: str = "cpu") -> SessionModel:
        """The model as it was after the best, the half-way or the last epoch.

        Raises
        ------
        ValueError
            If the weights are missing, damaged, or not those of the run's settings.
        """
        if which == "last":
            path = self._checkpoint("last")
            return self._with(of_model(load_weights(path, run=self.identity)), path, device)
        return self.model_after(self.best_epoch if which == "best" else self.half_epoch, device)

    def model_after(self, epoch: int, device: str = "cpu") -> SessionModel:
        """The model as it was after an epoch whose weights are kept."""
        path = self._checkpoint(f"epoch-{epoch:04d}")
        return self._with(load_weights(path, run=self.identity, epoch=epoch), path, device)

    def weights_fingerprint(self) -> str:
        """Of the best epoch's weights: another training has another one."""
        path = self._checkpoint(f"epoch-{self.best_epoch:04d}")
        if not path.is_file():
            raise ValueError(f"{path} is missing: {self.path} has no weights of its best epoch.")
        return hash_of_file(path)[:16]

    def _with(self, state: State, path: Path, device: str) -> SessionModel:
        settings, n_items = self.model_config, self.data["n_items"]
        try:
            model = create(self.model_name, n_items, settings)
            model.load_state_dict(state)
        except ConfigError as error:
            raise ValueError(f"{self.path / 'config.json'}, 'model_config': {error}") from None
        # a layer of no or of endless size is refused in many ways
        except (RuntimeError, ValueError, TypeError, ArithmeticError, MemoryError) as error:
            raise ValueError(f"{path} does not fit the settings of {self.path}: {error}") from None
        return model.to(resolve_device(device)).eval()

    def metrics(self) -> dict[str, Any]:
        """What was evaluated: one entry for each "PART-TASK".

        Raises
        ------
        ValueError
            If one is out of date: the run was trained on since, and another epoch is the best;
            or if it is not what its ranks come to.
        """
        evaluations = self.evaluations()
        for name, entry in evaluations.items():
            self._check_date(name, entry)
            if self.ranks_file(name).is_file():
                self._ranks(name, entry)
        return evaluations

    def evaluation(self, part: str = "test", task: Task = "unseen") -> dict[str, Any]:
        """What is known of one evaluation: ``min_prefix``, ``epoch``, ``n_targets``, ``metrics``.

        Raises
        ------
        ValueError
            If it was not made yet, or is out of date; so, too, in :meth:`ranks`.
        """
        entry = self._evaluation(part, task)
        self._ranks(f"{part}-{task}", entry)
        return entry

    def ranks(self, part: str = "test", task: Task = "unseen") -> pd.DataFrame:
        """Rank of every target of an evaluation that was made."""
        return self._ranks(f"{part}-{task}", self._evaluation(part, task))

    def _evaluation(self, part: str, task: Task) -> dict[str, Any]:
        """Its entry, if it is of the best epoch; whether its ranks are those is not looked at."""
        name = f"{part}-{task}"
        entry = self.evaluations().get(name)
        if entry is None or not self.ranks_file(name).is_file():
            raise ValueError(
                f"{self.path} has no ranks for {part} under {task!r} yet. Make them with "
                f"`proxysr evaluate {self.path} --split {part} --task {task}`."
            )
        self._check_date(name, entry)
        return dict(entry)

    def _ranks(self, name: str, entry: Mapping[str, Any]) -> pd.DataFrame:
        """The ranks of an evaluation, if they are ranks, and those its metrics are means of.

        Raises
        ------
        ValueError
            If they are not; the message names the file and the command that makes it again.
        """
        path = self.ranks_file(name)
        again = f"Evaluate again: `{self._command(entry)}`."
        if entry.get("ranks", actual := hash_of_file(path)) != actual:
            raise ValueError(f"{path} holds other ranks than metrics.json tells of. {again}")
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
        try:
            recomputed = metrics_of(
                ranks, sorted({int(k.partition("@")[2]) for k in entry["metrics"]})
            )
            same = all(abs(recomputed[k] - float(v)) < 1e-9 for k, v in entry["metrics"].items())
        except (ValueError, TypeError, KeyError):
            same = False
        if not (same and len(ranks)):
            raise ValueError(
                f"{self.path / 'metrics.json'}: the metrics of {name} are not those of the ranks "
                f"in {path.name}. {again}"
            )
        return table

    @property
    def findings(self) -> list[str]:
        """What came of the training, in sentences; none while it is not over, or of older runs."""
        training = self._metrics_file().get(TRAINING)
        if training is None or training["epochs"] != len(self.history()):
            return []
        return list(training["findings"])

    @property
    def counters(self) -> dict[str, dict[str, float]]:
        """Validation metrics of models that only count, by name, to hold the run's against."""
        return dict(self._metrics_file().get(TRAINING, {}).get("counters", {}))

    def evaluations(self) -> dict[str, Any]:
        """All entries, out of date or not."""
        return {k: entry for k, entry in self._metrics_file().items() if k != TRAINING}

    def keep_metrics(self, name: str, entry: Mapping[str, Any]) -> None:
        """Write an entry of ``metrics.json``; its lock is the caller's business."""
        entry = {"run": self.identity, **entry}
        write_json(self.path / "metrics.json", self._metrics_file() | {name: entry})

    def _metrics_file(self) -> dict[str, Any]:
        path = self.path / "metrics.json"
        if not path.is_file():
            return {}
        entries = read_object(path, {})
        checked(entries, dict.fromkeys(entries, dict), path)
        for name, entry in entries.items():
            self._check_identity(entry, path)
            if name == TRAINING:
                checked(entry, TRAINING_KEYS, path)
                checked(entry["counters"], dict.fromkeys(entry["counters"], dict), path)
                if not all(isinstance(sentence, str) for sentence in entry["findings"]):
                    raise ValueError(f"{path} is damaged: 'findings' are no sentences.")
                continue
            for key, kind in EVALUATION_KEYS.items():
                if not isinstance(entry.get(key), kind):
                    what = f"{key!r} of {name!r} is missing or not a {kind.__name__}"
                    raise ValueError(f"{path} is damaged: {what}.")
            if name != f"{entry['part']}-{entry['task']}":
                raise ValueError(f"{path} is damaged: {name!r} tells of another part or task.")
        return entries

    def _check_date(self, name: str, entry: Mapping[str, Any]) -> None:
        if entry["epoch"] != (best := self.best_epoch):
            raise ValueError(
                f"{self.path} was trained on since its evaluation {name}: ranks are of epoch "
                f"{entry['epoch']}, the best is {best}. Evaluate it again: "
                f"`{self._command(entry)}`."
            )

    def _command(self, entry: Mapping[str, Any]) -> str:
        """What makes an evaluation again."""
        command = f"proxysr evaluate {self.path} --split {entry['part']} --task {entry['task']}"
        if entry["min_prefix"] != self.train_config.valid_min_prefix:
            command += f" --min-prefix {entry['min_prefix']}"
        return command

    def ranks_file(self, name: str) -> Path:
        """Where the ranks of the evaluation "PART-TASK" are."""
        return self.path / f"ranks-{name}.parquet"

    def _checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / f"{name}.safetensors"
