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
    """Rows of one table of models, by R@20.

    Attributes
    ----------
    data : str
    task : {"unseen", "repeat"}
    reference : str or None
        Label of the row that the others are compared with; None if the table lacks it.
    recalls : dict
        Label to R@20, the highest first.
    counting : list of str
        Labels of models that only count.
    clear : bool
        Whether every other row is behind the reference by more than chance.
    seeds : int
        Fewest runs of a model that learns.
    """

    data: str
    task: Task
    reference: str | None
    recalls: dict[str, float]
    counting: list[str]
    clear: bool
    seeds: int

    @property
    def leads(self) -> bool:
        """Whether the reference has the highest value."""
        return next(iter(self.recalls)) == self.reference


def standing(
    data: str, task: Task, rows: Sequence[Row], reference: str | None, differences: Differences
) -> Standing:
    """The standing of a table's rows."""
    recalls = {row.label: row.mean(task, METRIC) for row in rows}
    others = [differences.get((label, METRIC)) for label in recalls if label != reference]
    clear = all(
        row is not None and row["difference"] < 0 and row["p_holm"] < LEVEL for row in others
    )
    counting = [row.label for row in rows if not learns(row.runs[0].model_name)]
    return Standing(
        data,
        task,
        reference,
        dict(sorted(recalls.items(), key=lambda item: -item[1])),
        counting,
        reference is not None and clear,
        min((len(row.runs) for row in rows if row.label not in counting), default=0),
    )


def verdict(standings: Sequence[Standing], reference: str) -> str:
    """In how many tables the reference leads, where it is behind, and of how much that is said."""
    compared = [one for one in standings if one.reference is not None]
    if not compared:
        return f"No table has a run of {reference} and of another model."
    leading = [one for one in compared if one.leads]
    logs = len({one.data for one in compared})
    clear = sum(one.clear for one in leading)
    text = (
        f"**{reference} has the highest {METRIC} in {len(leading)} of {len(compared)} tables of "
        f"models, on {logs} data set{'s' if logs > 1 else ''}; in {clear} it is ahead of every "
        f"other model by more than chance (p < {LEVEL} after Holm's correction)."
    )
    behind = [f"{one.data}, {one.task}" for one in compared if not one.leads]
    text += f" It is behind on {'; '.join(behind)}." if behind else ""
    fewest = min(one.seeds for one in compared)
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
