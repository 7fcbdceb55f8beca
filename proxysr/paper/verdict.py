"""Who leads in Tables 2 and 3, and whether by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from proxysr.data.sessions import Task
from proxysr.models import learns
from proxysr.paper.rows import Row

METRIC = "R@20"
LEVEL = 0.05
"""A difference is more than chance below this p-value, corrected by Holm."""

SEEDS = 3
"""With fewer, nothing is said of how much trainings differ."""

Differences = Mapping[tuple[str, str], Mapping[Any, Any]]
"""Label and metric to a row of :func:`proxysr.analysis.significance.compare`."""


@dataclass
class Standing:
    """Models of one table, by R@20.

    Other settings of the reference's model are neither ahead of it nor behind it. Of another model
    all settings count, so that nothing is said in the reference's favour that a row denies.

    Attributes
    ----------
    data : str
    task : {"unseen", "repeat"}
    reference : str or None
        Label of the row that the others are compared with; None if the table lacks it.
    recalls : dict
        Label to R@20, the highest first; one for each model: the reference, and of another model
        its highest row.
    counting : list of str
        Labels of models that only count.
    clear : bool or None
        Whether every row of another model is behind the reference by more than chance; None if
        that was not tested.
    seeds : int
        Fewest runs of a model that learns.
    """

    data: str
    task: Task
    reference: str | None
    recalls: dict[str, float]
    counting: list[str]
    clear: bool | None
    seeds: int

    def __post_init__(self) -> None:
        if self.reference is not None and self.reference not in self.recalls:
            raise ValueError("the reference has no recall")

    @property
    def leads(self) -> bool:
        """Whether the reference has the highest value."""
        return next(iter(self.recalls)) == self.reference


def standing(
    data: str, task: Task, rows: Sequence[Row], reference: str | None, differences: Differences
) -> Standing:
    """The standing of the models of a table."""
    own = next((row.model for row in rows if row.label == reference), None)
    rows = [row for row in rows if row.label == reference or row.model != own]
    others = [differences.get((row.label, METRIC)) for row in rows if row.label != reference]
    clear = None
    if reference is not None and others and None not in others:
        clear = all(row["difference"] < 0 and row["p_holm"] < LEVEL for row in others if row)
    recalls: dict[str, float] = {}
    models: set[str] = set()
    for row in sorted(rows, key=lambda row: -row.mean(task, METRIC)):
        if row.model not in models:
            recalls[row.label] = row.mean(task, METRIC)
            models.add(row.model)
    counting = [row.label for row in rows if not learns(row.model)]
    return Standing(
        data,
        task,
        reference,
        recalls,
        counting,
        clear,
        min((len(row.runs) for row in rows if row.label not in counting), default=0),
    )


def verdict(standings: Sequence[Standing], reference: str) -> str:
    """In how many tables the reference leads, where it is behind, and of how much that is said.

    Of chance, only if differences in R@20 were tested.
    """
    compared = [one for one in standings if one.reference is not None]
    if not compared:
        return f"No table has a run of {reference} and of another model."
    leading = [one for one in compared if one.leads]
    logs = len({one.data for one in compared})
    text = (
        f"**{reference} has the highest {METRIC} in {len(leading)} of {len(compared)} tables of "
        f"models, on {logs} data set{'s' if logs > 1 else ''}"
    )
    tested = [one for one in compared if one.clear is not None]
    if tested:
        untested = len([one for one in leading if one.clear is None])
        text += (
            f"; in {sum(bool(one.clear) for one in leading)} it is ahead of every other model by "
            f"more than chance (p < {LEVEL} after Holm's correction"
            + (f"; not tested in {untested} of them)" if untested else ")")
        )
    behind = [f"{one.data}, {one.task}" for one in compared if not one.leads]
    text += f". It is behind on {'; '.join(behind)}." if behind else "."
    fewest = min((one.seeds for one in tested), default=0)
    if 0 < fewest < SEEDS:
        text += (
            f" Some models have no more than {fewest} seed{'s' if fewest > 1 else ''}: chance here "
            "is that of the test sessions, not of training."
        )
    return f"{text}**"


def leaders(standings: Sequence[Standing], reference: str) -> pd.DataFrame:
    """For each table: the two best models, the reference, and the best that only counts."""

    def with_value(one: Standing, label: str | None) -> str:
        return "–" if label is None else f"{label}, {one.recalls[label]:.4f}"

    rows = []
    for one in standings:
        first, second = list(one.recalls)[:2]
        counting = next((label for label in one.recalls if label in one.counting), None)
        rows.append(
            {
                "data": one.data,
                "task": one.task,
                f"highest {METRIC}": with_value(one, first),
                "second": with_value(one, second),
                reference: with_value(one, one.reference),
                "best that only counts": with_value(one, counting),
            }
        )
    return pd.DataFrame(rows)
