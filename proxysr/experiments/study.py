"""The folder of a study, shared by processes and machines: its trials, and locks to claim them.

A study is a folder::

    study.json                its name, and where its trials are recorded
    journal.log               the record, one line of JSON an event; or a database holds it
    runs/trial-0000           the run of a trial
    trials.csv                one row a trial, as of the latest claim
    .locks/                   held while claiming trials, and while working on a trial

All machines need access to the folder. Trials are claimed under one lock, so their number is exact.
A process that works on a trial holds a lock, which ends with the process. A trial that is recorded
as running while its lock is free was abandoned: it is queued again, and its run is continued.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from proxysr.experiments.spaces import Space, distributions
from proxysr.files import check_writable, read_object, replacing, write_json
from proxysr.findings import CRITERION
from proxysr.processes import locked
from proxysr.text import write_table

JOURNAL = "journal.log"
QUEUED_AGAIN = "queued again"
RUN = "run"
STOPPED = "stopped"
WAIT = 300.0
"""Most seconds to wait for another process to claim a trial or write to the journal."""


class StudyDir:
    """The folder of a study.

    Parameters
    ----------
    path : str or Path
    storage : str, optional
        URL of a database; if left out, the journal or the study's own storage.
    create : bool
        Begin a study if there is none.

    Raises
    ------
    ValueError
        If it is no study, or records its trials elsewhere.
    """

    def __init__(
        self, path: str | Path, storage: str | None = None, *, create: bool = False
    ) -> None:
        self.path = Path(path)
        file = self.path / "study.json"
        if create and not file.is_file():
            self._begin(file, storage)
        if not file.is_file():
            raise ValueError(
                f"{self.path} is not a study: it has no study.json. "
                "Make one with `proxysr tune DATA_DIR STUDY_DIR`."
            )
        recorded = read_object(file, {"study": str, "storage": str})
        requested = recorded["storage"] if storage is None else _without_password(storage)
        if requested != recorded["storage"]:
            raise ValueError(
                f"{self.path} records its trials in {recorded['storage']}; received storage "
                f"{requested}. Name that one, or a new folder."
            )
        if ":***@" in requested and storage is None:
            raise ValueError(
                f"{self.path} records its trials in {requested}, and a password is not kept. "
                "Name it again with --storage."
            )
        self.name = recorded["study"]
        self.storage = self._open(storage or requested)

    def _begin(self, file: Path, storage: str | None) -> None:
        check_writable(file)
        self.path.mkdir(parents=True, exist_ok=True)
        with self.lock():
            if file.is_file():
                return
            if foreign := [p.name for p in self.path.iterdir() if p.name != ".locks"]:
                raise ValueError(
                    f"{self.path} holds {foreign[0]!r} and no study; nothing was overwritten. "
                    "Name a new folder."
                )
            location = JOURNAL if storage is None else _without_password(storage)
            if storage is not None:
                self._open(storage)
            write_json(file, {"study": f"proxysr-{uuid.uuid4().hex}", "storage": location})

    def _open(self, storage: str) -> BaseStorage:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if storage == JOURNAL:
            file = (self.path / JOURNAL).resolve()
            lock = JournalFileOpenLock(str(file))
            _cut_torn_line(file, lock)
            return JournalStorage(JournalFileBackend(str(file), lock))
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return RDBStorage(storage)
        except (SQLAlchemyError, ImportError) as error:
            reason = str(error).strip().splitlines()[0]
            shown = _without_password(storage)
            raise ValueError(f"The database {shown} cannot be opened: {reason}") from None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """The lock to claim trials and write the table."""
        busy = f"{self.path} is locked by another process, which does not end."
        with self._locked("claim", busy, WAIT):
            yield

    @contextmanager
    def _locked(self, name: str, busy: str, wait: float = 0.0) -> Iterator[None]:
        folder = self.path / ".locks"
        folder.mkdir(exist_ok=True)
        with locked(folder / f"{name}.lock", busy, wait):
            yield

    def run_dir(self, trial: FrozenTrial | optuna.Trial) -> Path:
        """Where the run of a trial lies."""
        return self.path / "runs" / str(trial.user_attrs.get(RUN, f"trial-{trial.number:04d}"))

    def join(self, plan: dict[str, Any]) -> None:
        """Begin the study, or check that it is the one asked for.

        Raises
        ------
        ValueError
            If it has other data, settings or space; what differs is named.
        """
        with self.lock():
            study = optuna.create_study(
                study_name=self.name, storage=self.storage, direction="maximize",
                load_if_exists=True,
            )  # fmt: skip
            if not study.user_attrs:
                for key, value in plan.items():
                    study.set_user_attr(key, value)
            recorded = study.user_attrs
        if differing := [key for key in plan if recorded.get(key) != plan[key]]:
            differences = "; ".join(
                f"{k} is {recorded.get(k)!r}, not {plan[k]!r}" for k in differing
            )
            raise ValueError(
                f"{self.path} is another study: {differences}. "
                "Run the command it was begun with, or name a new folder."
            )

    def load(self, **options: Any) -> optuna.Study:
        """The study as it is recorded."""
        try:
            return optuna.load_study(study_name=self.name, storage=self.storage, **options)
        except KeyError:
            raise ValueError(f"{self.path} has no trials: its study was never begun.") from None

    def claim(self, study: optuna.Study, n_trials: int, space: Space, seed: int) -> Claim | None:
        """The next trial to work on, or None if enough trials were started."""
        with self.lock():
            self._queue_abandoned_trials(study)
            existing = _kept(study)
            self.write_table()
            waiting = any(trial.state == TrialState.WAITING for trial in existing)
            if not waiting and len(existing) >= n_trials:
                return None
            # settings depend on the seed and the earlier trials, not on the process
            drawn_from = (seed * 1_000_003 + len(existing)) % 2**32  # larger ones are refused
            study.sampler = optuna.samplers.TPESampler(seed=drawn_from)
            trial = study.ask(distributions(space))
            stack = ExitStack()
            stack.enter_context(self._locked(self.run_dir(trial).name, "claimed twice"))
        return Claim(trial, self.run_dir(trial), stack)

    def _queue_abandoned_trials(self, study: optuna.Study) -> None:
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            run_dir = self.run_dir(trial)
            try:
                with self._locked(run_dir.name, "is being worked on"):
                    known_as = self.storage.get_trial_id_from_study_id_trial_number(
                        self.storage.get_study_id_from_name(self.name), trial.number
                    )
                    self.storage.set_trial_user_attr(known_as, QUEUED_AGAIN, True)
                    study.tell(trial.number, state=TrialState.FAIL)
                    study.enqueue_trial(trial.params, user_attrs={RUN: run_dir.name})
            except ValueError:
                continue

    def write_table(self) -> None:
        """``trials.csv``."""
        with replacing(self.path / "trials.csv") as temporary:
            write_table(self.table(), temporary)

    def table(self) -> pd.DataFrame:
        """One row a trial; see :func:`trials`."""
        study = self.load()
        rows = [self._row(trial) for trial in _kept(study)]
        columns = ["trial", "state", CRITERION, "best_epoch", "epochs", "seconds", "run", STOPPED]
        names = list(study.user_attrs.get("space", {}))
        return pd.DataFrame(rows, columns=columns + names).astype(
            {"best_epoch": "Int64", CRITERION: "float64", "seconds": "float64", STOPPED: "str"}
        )

    def _row(self, trial: FrozenTrial) -> dict[str, Any]:
        values = trial.intermediate_values  # the best so far, by epoch
        best = max(values.values(), default=None)
        stopped = trial.user_attrs.get(STOPPED)
        took = trial.duration
        return {
            "trial": trial.number,
            "state": trial.state.name.lower() if stopped is None else STOPPED,
            CRITERION: best,
            "best_epoch": min((e for e, v in values.items() if v == best), default=None),
            "epochs": len(values),
            "seconds": None if took is None else took.total_seconds(),
            "run": str(self.run_dir(trial)),
            STOPPED: stopped,
        } | trial.params


class Claim:
    """A trial and its lock; call :meth:`release` when the trial is finished."""

    def __init__(self, trial: optuna.Trial, run_dir: Path, stack: ExitStack) -> None:
        self.trial, self.run_dir, self._held = trial, run_dir, stack

    def release(self) -> None:
        """Release the lock."""
        self._held.close()


def trials(study_dir: str | Path, storage: str | None = None) -> pd.DataFrame:
    """The trials of a study, finished or running.

    Parameters
    ----------
    study_dir : str or Path
    storage : str, optional
        URL of the database if it has a password.

    Returns
    -------
    DataFrame
        ``trial`` (its number); ``state``: complete, pruned (worse than the median), stopped
        (could not go on; ``stopped`` says why), running, waiting or fail; ``R@20`` on validation
        at its best epoch; ``best_epoch``; ``epochs`` so far; ``seconds`` from its latest start;
        ``run``, a path for :class:`~proxysr.run.RunDir` (of a trial that was stopped before its
        first epoch, there may be none); and a column for each setting.
    """
    return StudyDir(study_dir, storage).table()


def _kept(study: optuna.Study) -> list[FrozenTrial]:
    """All trials except those that were queued again under another number."""
    return [t for t in study.get_trials(deepcopy=False) if QUEUED_AGAIN not in t.user_attrs]


def _cut_torn_line(journal: Path, lock: JournalFileOpenLock) -> None:
    """Remove a last line that a worker was writing as it died: no later one could be read."""
    if not _is_torn(journal):
        return
    lock.acquire()
    try:
        if _is_torn(journal):  # still, and nobody is writing
            whole = journal.read_bytes()
            os.truncate(journal, whole.rfind(b"\n") + 1)
    finally:
        lock.release()


def _is_torn(journal: Path) -> bool:
    if not journal.is_file() or not journal.stat().st_size:
        return False
    with journal.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _without_password(storage: str) -> str:
    """A database's URL as it may be shown."""
    if storage == JOURNAL:
        return storage
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(storage).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        raise ValueError(
            f"{storage!r} is no URL of a database, such as sqlite:///trials.db or "
            "postgresql://user:password@host/name."
        ) from None
