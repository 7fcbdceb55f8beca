"""A search that takes a second: a small model on planted cycles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from proxysr.tuning import TuneConfig, tune
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


def search_slowly(data_dir: Path, study_dir: Path) -> None:
    """For a process that is killed: epochs enough to be met in the middle of them."""
    search(data_dir, study_dir, trials=2, fixed=FIXED | {"epochs": 40, "patience": 40})
