"""A split, a run on it and its evaluation, small enough to be made and attacked many times."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from proxysr.data.sessions import SessionSplit
from proxysr.recommender import Recommender
from proxysr.run import RunDir
from proxysr.running import evaluate_run, train_run
from proxysr.training import TrainConfig
from tests.contract.small import SMALL, cycles, split_of

TIMING = ("train_seconds", "eval_seconds", "sessions_per_second")


def split(seed: int = 1, n: int = 30) -> SessionSplit:
    """A few sessions with titles and a user."""
    made = split_of(cycles(n, seed), cycles(10, seed + 1), cycles(10, seed + 2))
    titled = made.items.assign(title=[f"thing {i}" for i in range(1, 41)])
    return SessionSplit(made.train, made.valid, made.test, titled, made.users)


def config(**options: Any) -> TrainConfig:
    """Two epochs."""
    defaults = {"epochs": 2, "learning_rate": 1e-2, "batch_size": 16, "device": "cpu"}
    return TrainConfig(**(defaults | options))


def train(data: Path, path: Path, *, resume: bool = False, **options: Any) -> RunDir:
    """Train the small run, or go on with it."""
    new = {} if resume else {"model": "latent_proxy", "model_config": SMALL["latent_proxy"]}
    return train_run(data, path, train=config(**options), resume=resume, progress=False, **new)


def evaluated(path: Path, **options: Any) -> dict[str, float]:
    """Evaluate it on the test sessions."""
    return evaluate_run(path, device="cpu", progress=False, **options).metrics


def files_in(folder: Path) -> dict[str, str]:
    """Hash of every file but of locks, which say when."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def everything_of(path: Path) -> None:
    """Read all that a run has to say; an error of any part is the first one's."""
    run = RunDir(path)
    for look in (
        lambda: run.model_config,
        lambda: run.train_config,
        lambda: run.users,
        run.history,
        run.metrics,
        run.ranks,
        lambda: run.findings,
        lambda: run.counters,
        lambda: run.model("half"),
        lambda: run.model("last"),
        lambda: Recommender.load(run).recommend(["item 1"], k=3),
    ):
        look()


def outcome(path: Path) -> tuple[Any, ...]:
    """What a run came to, but for how long it took."""
    run = RunDir(path)
    history = run.history().drop(columns=list(TIMING))
    weights = {name: tensor.tolist() for name, tensor in run.model().state_dict().items()}
    return history.to_dict("records"), weights
