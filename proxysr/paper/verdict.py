"""Who leads in Tables 2 and 3, and whether by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from proxysr.data.sessions import Task
from proxysr.models import learns
from proxysr.paper.rows import Row

METRIC = "R@20"
LEVEL = 0.05
"""A difference is more than chance below this p-value, corrected by Holm."""

SEEDS = 3
"""With fewer, little is known of how much trainings differ."""

Differences = Mapping[tuple[str, str], Mapping[Any, Any]]
"""Label and metric to a row of :func:`proxysr.analysis.significance.compare`."""


def more_than_chance(difference: Mapping[Any, Any], one: Row, other: Row, task: Task) -> bool:
    """Whether a difference of two rows is more than chance of the test sessions and of training.

    Parameters
    ----------
    difference : mapping
        A row of :func:`proxysr.analysis.significance.compare`, of a metric. Its p-value is below
        0.05 if chance of the sessions does not explain it.
    one, other : Row
        Trainings differ by the standard deviation of the seeds. Twice the standard error of the
        difference is not enough. A row with one seed is taken to vary as the other one does; if
        neither has several, nothing is known of training, and only the sessions count.
    task : {"unseen", "repeat"}
    """
    if not difference["p_holm"] < LEVEL:
        return False
    values = [row.values(task, difference["metric"]) for row in (one, other) if learns(row.model)]
    variances = [float(np.var(some, ddof=1)) for some in values if len(some) > 1]
    if not variances:
        return True
    known = max(variances)
    error = sum(
        (float(np.var(some, ddof=1)) if len(some) > 1 else known) / len(some) for some in values
    )
    return bool(abs(difference["difference"]) > 2 * error**0.5)


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
    ahead, level : list of str, or None
        Labels of rows of other models that are ahead of the reference by more than chance, and of
        those that cannot be told from it; None if that was not tested.
    seeds : int
        Fewest runs of a model that learns.
    """

    data: str
    task: Task
    reference: str | None
    recalls: dict[str, float]
    counting: list[str]
    ahead: list[str] | None
    level: list[str] | None
    seeds: int

    def __post_init__(self) -> None:
        if self.reference is not None and self.reference not in self.recalls:
            raise ValueError("the reference has no recall")

    @property
    def leads(self) -> bool:
        """Whether the reference has the highest value."""
        return next(iter(self.recalls)) == self.reference

    @property
    def clear(self) -> bool | None:
        """Whether all others are behind the reference by more than chance; None: not tested."""
        return None if self.ahead is None else not (self.ahead or self.level)

    @property
    def others(self) -> str:
        """How many other models there are, those that learn and those that only count."""
        names = [label for label in self.recalls if label != self.reference]
        counting = sum(label in self.counting for label in names)
        return f"{len(names) - counting} + {counting}"


def standing(
    data: str, task: Task, rows: Sequence[Row], reference: str | None, differences: Differences
) -> Standing:
    """The standing of the models of a table."""
    first = next((row for row in rows if row.label == reference), None)
    rows = [row for row in rows if row is first or first is None or row.model != first.model]
    ahead: list[str] | None = None
    level: list[str] | None = None
    others = [row for row in rows if row is not first]
    if first and others and all((row.label, METRIC) in differences for row in others):
        ahead, level = [], []
        for row in others:
            difference = differences[row.label, METRIC]
            if not more_than_chance(difference, row, first, task):
                level.append(row.label)
            elif difference["difference"] > 0:
                ahead.append(row.label)
    recalls: dict[str, float] = {}
    models: set[str] = set()
    for row in sorted(rows, key=lambda row: -row.mean(task, METRIC)):
        if row.model not in models:
            recalls[row.label] = row.mean(task, METRIC)
            models.add(row.model)
    counting = [row.label for row in rows if not learns(row.model)]
    seeds = min((len(row.runs) for row in rows if row.label not in counting), default=0)
    return Standing(data, task, reference, recalls, counting, ahead, level, seeds)


def verdict(standings: Sequence[Standing], reference: str) -> str:
    """In how many tables the reference leads, of what it is not ahead, and of how much.

    Of chance, only if differences in R@20 were tested.
    """
    compared = [one for one in standings if one.reference is not None]
    if not compared:
        return f"No table has a run of {reference} and of another model."
    leading = [one for one in compared if one.leads]
    logs = len({one.data for one in compared})
    numbers = sorted({len(one.recalls) - 1 for one in compared})
    others = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
    text = (
        f"**{reference} has the highest {METRIC} in {len(leading)} of {len(compared)} tables of "
        f"models, on {logs} data set{'s' if logs > 1 else ''}, with {others} other "
        f"model{'s' if numbers != [1] else ''} each"
    )
    tested = [one for one in compared if one.clear is not None]
    if tested:
        untested = len([one for one in leading if one.clear is None])
        text += (
            f"; in {sum(bool(one.clear) for one in leading)} it is ahead of every other model by "
            f"more than chance (p < {LEVEL} after Holm's correction"
            + (f"; not tested in {untested} of them)" if untested else ")")
        )
    text += "."
    for one in compared:
        where = f"on {one.data}, {one.task}"
        if one.ahead:
            text += f" It is behind {', '.join(one.ahead)} {where}."
        if one.level:
            text += f" It cannot be told from {', '.join(one.level)} {where}."
        if one.ahead is None and not one.leads:
            text += f" {next(iter(one.recalls))} has more {where}; not tested."
    fewest = min((one.seeds for one in tested), default=0)
    if 0 < fewest < SEEDS:
        text += (
            f" Some models have no more than {fewest} seed{'s' if fewest > 1 else ''}: of how much "
            "their trainings differ nothing is known."
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
                "others: learn + count": one.others,
                f"highest {METRIC}": with_value(one, first),
                "second": with_value(one, second),
                reference: with_value(one, one.reference),
                "best that only counts": with_value(one, counting),
            }
        )
    return pd.DataFrame(rows)
