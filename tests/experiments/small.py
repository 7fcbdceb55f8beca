"""A search that takes a second: a small model on planted cycles."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd

from proxysr.experiments import TuneConfig, tune, tuning
from proxysr.run import RunDir
from tests.contract.small import SMALL

SPACE: dict[str, Any] = {
    "learning_rate": [1e-5, 1e-3, 1e-2, 3e-2],
    "init_std": {"low": 0.05, "high": 0.5, "log": True},
}
FIXED: dict[str, Any] = SMALL["mean"] | {"epochs": 3, "batch_size": 16, "device": "cpu"}


def search(data_dir: Path, study_dir: Path, trials: int = 3, **options: Any) -> pd.DataFrame:
    config = TuneConfig(trials=trials, prune=options.pop("prune", False))
    defaults: dict[str, Any] = {"model": "mean", "space": SPACE, "fixed": FIXED}
    return tune(data_dir, study_dir, config=config, progress=False, **(defaults | options))


def search_and_hang(data_dir: Path, study_dir: Path) -> None:
    """For a process that is killed: it stays in its second trial, after the first epoch."""
    original = tuning.train_run

    def hanging(data_dir: Path, run_dir: Path, **options: Any) -> RunDir:
        if run_dir.name == "trial-0001":
            options["on_epoch"] = lambda state: time.sleep(600)
        return original(data_dir, run_dir, **options)

    tuning.train_run = hanging
    search(data_dir, study_dir)
