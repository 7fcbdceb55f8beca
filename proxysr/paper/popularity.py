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

from proxysr.analysis.significance import Contender, values_by_target

CLASSES = ("head", "middle", "tail")


def popularity_class(clicks: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The class of each item, a place in :data:`CLASSES`, by its clicks in training (V,)."""
    clicks = np.asarray(clicks)
    order = np.argsort(-clicks, kind="stable")
    before = np.cumsum(clicks[order]) - clicks[order]
    classes = np.empty(len(clicks), dtype=np.int64)
    classes[order] = np.minimum(3 * before // max(1, clicks.sum()), len(CLASSES) - 1)
    return classes


def by_popularity(
    contenders: Sequence[Contender],
    popularity: npt.NDArray[np.int64],
    n_items: Sequence[int],
    metric: str,
) -> pd.DataFrame:
    """A metric on targets of each class, the mean over the seeds.

    Parameters
    ----------
    contenders : sequence of Contender
        Ranks of the same T targets.
    popularity : (T,)
        Class of each target.
    n_items : sequence of int
        Items of each class.
    metric : str
        Such as "R@20".

    Returns
    -------
    DataFrame
        A row for each contender: its name, and a column for each class, headed by its number of
        items and its share of the targets.

    Raises
    ------
    ValueError
        If they did not rank the same targets.
    """
    values = values_by_target(contenders, [metric])[0][:, :, 0]
    table: dict[str, list[str]] = {"": [contender.name for contender in contenders]}
    for number, name in enumerate(CLASSES):
        inside = popularity == number
        head = f"{name} ({n_items[number]:,} items, {inside.mean():.0%} of targets)"
        means = values[inside].mean(axis=0) if inside.any() else [np.nan] * len(contenders)
        table[head] = [f"{mean:.4f}" if np.isfinite(mean) else "–" for mean in means]
    return pd.DataFrame(table)
