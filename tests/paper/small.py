"""Rows of tables without runs on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from proxysr.models import model_class
from proxysr.paper.evidence import Evidence, Ranked, Targets
from proxysr.paper.rows import Row
from proxysr.training import TrainConfig


def evidence(ranks: Any, *, model: str = "mean", validation: float = 0.5) -> Evidence:
    """A run with these ranks, each in a session of its own, and that validation."""
    n = len(ranks)
    targets = Targets("f" * 64, np.arange(n), np.arange(n) % 3, (2, 3, 5))
    known = np.arange(n) % 4 == 0
    return Evidence(
        path=Path("run"), model_name=model, model_config=model_class(model).Config(),
        train_config=TrainConfig(), log="shop",
        data={"fingerprint": "f1", "n_items": 200, "provenance": {"source": {"format": "events"}}},
        n_known=3, best_epoch=1, n_epochs=4, validation=validation, popularity=0.1,
        ranked={"unseen": Ranked(2, targets, np.asarray(ranks, dtype=float), known)},
    )  # fmt: skip


def row(label: str, ranks: Any, *, model: str = "mean", validation: float = 0.5) -> Row:
    """A row of one such run."""
    run = evidence(ranks, model=model, validation=validation)
    return Row(label, [run], label.partition(" (")[0])


def hits(n: int, of: int = 400) -> list[int]:
    """Ranks of which n are 1 and the others 100."""
    return [1] * n + [100] * (of - n)
