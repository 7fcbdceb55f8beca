"""Recall by how often the target was clicked in training.

Items are sorted by their clicks in the training sessions; the *head* are the first ones that make
up a third of these clicks, the *middle* those of the second third, the *tail* the others. A model
that only recommends what many click does well on the head alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.data.sessions import Task
from proxysr.evaluation import values_of
from proxysr.paper.rows import Row

CLASSES = ("head", "middle", "tail")


def popularity_class(clicks: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The class of each item, a place in :data:`CLASSES`, by its clicks in training (V,)."""
    clicks = np.asarray(clicks)
    order = np.argsort(-clicks, kind="stable")
    before = np.cumsum(clicks[order]) - clicks[order]
    classes = np.empty(len(clicks), dtype=np.int64)
    classes[order] = np.minimum(3 * before // max(1, clicks.sum()), len(CLASSES) - 1)
    return classes


def by_popularity(rows: Sequence[Row], task: Task, metric: str) -> pd.DataFrame:
    """A metric on targets of each class, the mean over the seeds.

    Parameters
    ----------
    rows : sequence of Row
        With runs of the same data, evaluated on the test sessions.
    task : {"unseen", "repeat"}
    metric : str
        Such as "R@20".

    Returns
    -------
    DataFrame
        A row for each of ``rows``: its label, and a column for each class, headed by its number of
        items and its share of the targets.
    """
    items = rows[0].runs[0].items
    classes = popularity_class(items["count"].to_numpy())
    of_target = classes[rows[0].runs[0].ranks("test", task)["target"].to_numpy() - 1]
    counts = np.bincount(of_target, minlength=len(CLASSES))
    sizes = np.bincount(classes, minlength=len(CLASSES))
    heads = [
        f"{name} ({n_items:,} items, {share:.0%} of targets)"
        for name, n_items, share in zip(CLASSES, sizes, counts / counts.sum(), strict=True)
    ]
    table = {"": [row.label for row in rows]} | {head: [] for head in heads}
    for row in rows:
        sums = np.zeros(len(CLASSES))
        for run in row.runs:
            ranks = run.ranks("test", task)
            of_target = classes[ranks["target"].to_numpy() - 1]
            values = values_of(ranks["rank"].to_numpy(), metric)
            sums += np.bincount(of_target, weights=values, minlength=len(CLASSES))
        with np.errstate(invalid="ignore"):
            means = sums / (len(row.runs) * counts)
        for head, mean in zip(heads, means, strict=True):
            table[head].append(f"{mean:.4f}" if np.isfinite(mean) else "–")
    return pd.DataFrame(table)
