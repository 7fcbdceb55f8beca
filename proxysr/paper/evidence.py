"""Evidence: what the paper's tables need of a run.

A run is large, and its ranks name the items that were clicked. Its evidence has no item and no
session of the log in it: sessions are numbered, and of a target is said how often it was clicked in
training. So it can be kept beside the page that is made of it (:mod:`proxysr.paper.kept`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.significance import TARGET
from proxysr.config import Settings, require
from proxysr.data.sessions import Task
from proxysr.evaluation import WhoseHistory
from proxysr.evaluations import evaluation_name
from proxysr.findings import CRITERION
from proxysr.paper.popularity import CLASSES, popularity_class
from proxysr.run import RunDir
from proxysr.training import TrainConfig

SHOWN = 5
"""So many runs that are not finished are named; tries of settings are not, and may be many."""
OF_PROVENANCE = {
    "source": ("format",),
    "options": ("recent_fraction",),
    "known_users": ("share", "of_data"),
    "grouped": ("by", "fingerprint"),
}
"""What the tables read of where data came from; no path, no file and no item is among it."""
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Targets:
    """What was to be recommended, without the items: T targets of S sessions.

    Attributes
    ----------
    fingerprint : str
        Of sessions, positions and items.
    session : (T,)
        Number of each target's session, ascending from 0.
    popularity : (T,)
        Class of each target, a place in :data:`proxysr.paper.popularity.CLASSES`.
    n_items : tuple of int
        Items of each class.
    """

    fingerprint: str
    session: Ints
    popularity: Ints
    n_items: tuple[int, ...]


@dataclass(frozen=True)
class Ranked:
    """An evaluation on the test sessions.

    Attributes
    ----------
    min_prefix : int
        Fewest clicks before a target.
    targets : Targets
    ranks : (T,)
        Rank of each target; halves among items of equal score.
    known : (S,)
        Whether the user of each session is known to the model.
    depth : int or None
        Ranks beyond it are only known to be beyond it; None if all are known.
    """

    min_prefix: int
    targets: Targets
    ranks: npt.NDArray[np.float64]
    known: npt.NDArray[np.bool_]
    depth: int | None = None

    def frame(self, of_known: bool | None = None) -> pd.DataFrame:
        """Ranks as :func:`proxysr.analysis.significance.compare` takes them.

        ``of_known`` chooses sessions whose user is known, or is not; None stands for all.
        """
        frame = pd.DataFrame(
            {
                "session_id": self.targets.session,
                "position": np.arange(len(self.ranks)),
                "target": self.targets.fingerprint,
                "rank": self.ranks,
            }
        )
        if of_known is None:
            return frame
        inside = np.flatnonzero(self.known[self.targets.session] == of_known)
        return frame.iloc[inside].reset_index(drop=True)


@dataclass(frozen=True)
class Evidence:
    """What the tables need of a run.

    Attributes
    ----------
    path : Path
        The run's folder, or the file in which the evidence was kept.
    model_name : str
    model_config : Settings
    train_config : TrainConfig
    log : str
        Name of the log.
    data : dict
        ``fingerprint``, ``n_items``, and of ``provenance`` what tells tables apart.
    n_known : int
        Known users with a test session.
    best_epoch, n_epochs : int
        The best epoch, from 0 on, and how many there were.
    validation : float
        R@20 on validation after the best epoch.
    popularity : float or None
        R@20 of popularity there; None of models that count.
    ranked : dict
        Task to its evaluation on the test sessions.
    histories : dict
        Whose history was read to the evaluation of *unseen*, of the users who were seen before.
    """

    path: Path
    model_name: str
    model_config: Settings
    train_config: TrainConfig
    log: str
    data: dict[str, Any]
    n_known: int
    best_epoch: int
    n_epochs: int
    validation: float
    popularity: float | None
    ranked: dict[Task, Ranked]
    histories: dict[WhoseHistory, Ranked] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A hash of data, model and settings without the device: equal for the same run again."""
        train = {**self.train_config.to_dict(), "device": ""}
        parts = self.data["fingerprint"], self.model_name, self.model_config.to_dict(), train
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def ranks(self, task: Task) -> pd.DataFrame:
        """The rank of each target, as :meth:`Ranked.frame` gives them."""
        return self.ranked[task].frame()

    def check_depth(self, metrics: Iterable[str]) -> None:
        """Check that the ranks go as far as these metrics look.

        Raises
        ------
        ConfigError
            If they do not.
        """
        lengths = (
            metric.partition("@")[2] for metric in metrics
        )  # what is no metric is told later
        longest = max((int(length) for length in lengths if length.isdecimal()), default=0)
        for ranked in (*self.ranked.values(), *self.histories.values()):
            require(
                ranked.depth is None or longest <= ranked.depth,
                f"Kept ranks go up to {ranked.depth}, and {self.path} has no more; received "
                f"metrics up to {longest}. Name folders of runs alone, without --keep.",
            )

    @classmethod
    def of_run(cls, run: RunDir) -> Evidence:
        """The evidence of an evaluated run.

        Raises
        ------
        ValueError
            If the run is damaged, or, where some users are known, its data are not there.
        """
        provenance = run.data.get("provenance", {})
        known_ids: npt.NDArray[Any] = np.empty(0, dtype=object)
        n_known = 0
        if provenance.get("known_users", {}).get("share", 0) > 0:
            test = run.split().test
            is_known = np.asarray(test.user_index) >= 0
            known_ids = np.asarray(test.session_ids)[is_known]
            n_known = len(np.unique(np.asarray(test.user_index)[is_known]))
        classes, evaluations = popularity_class(run.items["count"].to_numpy()), run.evaluations()

        def evaluated(task: Task, history: WhoseHistory | None = None) -> Ranked | None:
            entry = evaluations.get(evaluation_name("test", task, history))
            if entry is None:
                return None
            ranks = run.ranks("test", task, history)
            return _ranked(ranks, classes, entry["min_prefix"], known_ids)

        counter = run.counters.get("popularity")
        return cls(
            path=run.path,
            model_name=run.model_name,
            model_config=run.model_config,
            train_config=run.train_config,
            log=run.log,
            data={
                "fingerprint": run.data["fingerprint"],
                "n_items": run.data["n_items"],
                "provenance": _for_tables(provenance),
            },
            n_known=n_known,
            best_epoch=run.best_epoch,
            n_epochs=len(history := run.history()),
            validation=float(history[CRITERION].max()),
            popularity=None if counter is None else float(counter[CRITERION]),
            ranked={task: one for task in get_args(Task) if (one := evaluated(task))},
            histories={
                history: one
                for history in get_args(WhoseHistory)
                if (one := evaluated("unseen", history))
            },
        )


def _for_tables(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """See :data:`OF_PROVENANCE`."""
    return {
        part: {key: value for key in keys if (value := provenance[part].get(key)) is not None}
        for part, keys in OF_PROVENANCE.items()
        if part in provenance
    }


def _ranked(
    frame: pd.DataFrame, classes: Ints, min_prefix: int, known_ids: npt.NDArray[Any]
) -> Ranked:
    """An evaluation without the items, its sessions numbered."""
    session, ids = pd.factorize(frame["session_id"])
    order = np.argsort(session, kind="stable")
    target = frame["target"].to_numpy()
    targets = Targets(
        fingerprint=hashlib.sha256(frame[TARGET].to_csv(index=False).encode()).hexdigest(),
        session=session[order].astype(np.int64),
        popularity=classes[target[order] - 1],
        n_items=tuple(np.bincount(classes, minlength=len(CLASSES)).tolist()),
    )
    ranks = frame["rank"].to_numpy(dtype=np.float64)[order]
    return Ranked(min_prefix, targets, ranks, np.isin(np.asarray(ids), known_ids))


def find_runs(folders: Iterable[str | Path]) -> tuple[list[Evidence], list[str]]:
    """The evidence of all runs below some folders, and a sentence for each that cannot be read.

    Raises
    ------
    ValueError
        If a folder is not there.
    """
    holes: list[str] = []
    unevaluated: list[str] = []
    interrupted: list[str] = []
    first_runs: dict[str, Evidence] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise ValueError(f"{folder} is not there. Name a folder with runs.")
        for config in sorted(folder.rglob("config.json")):
            try:
                run = RunDir(config.parent)
                if not any(name.startswith("test-") for name in run.metrics()):
                    unevaluated.append(run.path.name)
                    continue
                if not run.is_trained:
                    interrupted.append(run.path.name)
                    continue
                evidence = Evidence.of_run(run)
                if (first := first_runs.setdefault(evidence.key, evidence)) is not evidence:
                    parts = 1 if run.path.name != first.path.name else 2  # with the folder
                    this, other = (Path(*p.parts[-parts:]) for p in (run.path, first.path))
                    holes.append(f"{this} repeats the run {other}.")
            except ValueError as error:
                holes.append(" ".join(str(error).split()))
    for what, names in (
        ("without an evaluation, which `proxysr evaluate RUN` makes", unevaluated),
        ("whose training did not come to its end; the command that made them goes on", interrupted),
    ):
        if names:
            more = ", …" if len(names) > SHOWN else "."
            holes.append(f"{len(names)} {what}: {', '.join(names[:SHOWN])}{more}")
    return list(first_runs.values()), holes
