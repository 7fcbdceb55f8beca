"""Rows of tables without runs on disk."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from proxysr.evaluation import values_of
from proxysr.paper.rows import Row


def row(label: str, ranks: Any, *, model: str = "mean", validation: float = 0.5) -> Row:
    """A row of one run with these ranks, each in a session of its own, and that validation."""
    frame = pd.DataFrame(
        {"session_id": np.arange(len(ranks)), "position": 1, "target": 1, "rank": ranks}
    )
    recall = float(values_of(np.asarray(ranks, dtype=float), "R@20").mean())
    run: Any = SimpleNamespace(
        model_name=model,
        train_config=SimpleNamespace(seed=0, valid_task="unseen"),
        counters={"popularity": {"R@20": 0.1}},
        history=lambda: pd.DataFrame({"R@20": [0.0, validation]}),
        ranks=lambda part, task: frame,
        evaluation=lambda part, task: {"metrics": {"R@20": recall}},
    )
    return Row(label, [run], label.partition(" (")[0])


def hits(n: int, of: int = 400) -> list[int]:
    """Ranks of which n are 1 and the others 100."""
    return [1] * n + [100] * (of - n)
