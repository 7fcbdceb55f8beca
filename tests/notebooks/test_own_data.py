"""The checks of a notebook hold for any data, also where guessing is nearly as good."""

from __future__ import annotations

import json
from pathlib import Path

from proxysr.data.sessions import SessionSplit
from proxysr.evaluation import metrics_of
from proxysr.running import evaluate_run, train_run
from proxysr.training import TrainConfig
from tests.conftest import ROOT


def test_a_small_catalogue_passes_the_checks_of_training(
    tiny_split: SessionSplit, tmp_path: Path
) -> None:
    """Six items: a list of 20 holds them all, so nothing is three times better than guessing."""
    cells = json.loads((ROOT / "notebooks" / "01_train.ipynb").read_text())["cells"]
    (check,) = (
        "".join(c["source"]) for c in cells if "# NBVAL_CHECK_OUTPUT" in "".join(c["source"])
    )
    data = tiny_split.save(tmp_path / "data")
    config = TrainConfig(device="cpu")
    run = train_run(data, tmp_path / "run", model="popularity", train=config, progress=False)
    results = {
        task: evaluate_run(run.path, task=task, device="cpu", progress=False)
        for task in ("unseen", "repeat")
    }
    names = {"run": run, "results": results, "history": run.history(), "split": tiny_split}
    exec(check, names | {"data_dir": str(data), "metrics_of": metrics_of})
