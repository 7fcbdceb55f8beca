"""Which runs are alike: trained on the same sessions, or in all but their seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from proxysr.config import Settings, require


class Trained(Protocol):
    """A run, or what is kept of it: how it was trained, and on which data."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def model_name(self) -> str:
        """Name of the model in ``MODELS``."""

    @property
    def model_config(self) -> Settings:
        """The model's settings."""

    @property
    def train_config(self) -> Any:
        """How it was trained, seed and device among it."""

    @property
    def data(self) -> dict[str, Any]:
        """Fingerprint of the data, and where they came from."""


TrainedT = TypeVar("TrainedT", bound=Trained)


def sessions_of(run: Trained) -> str:
    """Fingerprint of a run's data; that of the original data if these were only regrouped."""
    grouped = run.data.get("provenance", {}).get("grouped", {})
    return str(grouped.get("fingerprint", run.data["fingerprint"]))


def training_of(run: Trained) -> dict[str, Any]:
    """A run's settings of training without seed and device, in which runs of one row may differ."""
    return {**run.train_config.to_dict(), "seed": None, "device": None}


def by_settings(runs: Sequence[TrainedT]) -> list[list[TrainedT]]:
    """Runs that differ only in seed and device, in order of appearance."""
    groups: dict[str, list[TrainedT]] = {}
    for run in runs:
        settings = (run.model_name, run.model_config, training_of(run))
        groups.setdefault(str(settings), []).append(run)
    for members in groups.values():
        seeds = [run.train_config.seed for run in members]
        require(
            len(set(seeds)) == len(seeds),
            f"{', '.join(str(run.path) for run in members)} have equal settings and seeds "
            f"({', '.join(map(str, seeds))}): they cannot count as different seeds of one run.",
        )
    return list(groups.values())
