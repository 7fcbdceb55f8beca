"""What ``metrics.json`` of a run holds: findings of training, and an entry for each evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from proxysr.evaluation import metrics_of
from proxysr.files import checked, read_object

TRAINING = "training"
"""Key of the findings of training; all other keys are evaluations."""
TRAINING_KEYS = {"epochs": int, "counters": dict, "findings": list}
EVALUATION_KEYS = {"part": str, "task": str, "min_prefix": int, "epoch": int, "metrics": dict}


def evaluation_name(part: str, task: str, history: str | None = None) -> str:
    """Key of an evaluation: "PART-TASK", and whose history was read, if any."""
    return "-".join(filter(None, (part, task, history)))


def read_entries(path: Path) -> dict[str, Any]:
    """The entries of the file, none if it is not there.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    if not path.is_file():
        return {}
    entries = read_object(path, {})
    checked(entries, dict.fromkeys(entries, dict), path)
    for name, entry in entries.items():
        if name == TRAINING:
            checked(entry, TRAINING_KEYS, path)
            checked(entry["counters"], dict.fromkeys(entry["counters"], dict), path)
            if not all(isinstance(sentence, str) for sentence in entry["findings"]):
                raise ValueError(f"{path} is damaged: 'findings' is not a list of sentences.")
            continue
        for key, kind in EVALUATION_KEYS.items():
            if not isinstance(entry.get(key), kind):
                problem = f"{key!r} of {name!r} is missing or not a {kind.__name__}"
                raise ValueError(f"{path} is damaged: {problem}.")
        if name != evaluation_name(entry["part"], entry["task"], entry.get("history")):
            raise ValueError(f"{path} is damaged: {name!r} has another part or task.")
    return entries


def gives(ranks: npt.NDArray[np.float64], metrics: Mapping[str, Any]) -> bool:
    """Whether these are the metrics of the ranks (n,), which are not none."""
    try:
        ks = sorted({int(name.partition("@")[2]) for name in metrics})
        again = metrics_of(ranks, ks)
        equal = all(abs(again[name] - float(value)) < 1e-9 for name, value in metrics.items())
    except (ValueError, TypeError, KeyError):
        return False
    return equal and len(ranks) > 0
