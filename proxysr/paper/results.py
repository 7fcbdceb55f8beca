"""Tables of results, as they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from proxysr.paper.verdict import Standing

DASH = "–"
"""What is shown of a gap."""

Cells = dict[str, str]
"""A row of a table: heading to what is shown."""


@dataclass
class Table:
    """A table of the paper, ours: what is shown, and what it says of the paper's.

    Attributes
    ----------
    title, about : str
    n_runs : int
    rows : list of dict
        The first cell of each is its label.
    notes : list of str
    claims : DataFrame or None
        Of :func:`proxysr.paper.claims.claims`: the paper's differences to one row, ``base``, beside
        ours.
    popularity : list of dict
        Recall by how often the target was clicked.
    standing : Standing or None
        Of Tables 2 and 3, if they have several models.
    settings : list of str
        What each row was trained with.
    values : DataFrame or None
        Of Tables 2 and 3, for a picture: ``run``, ``kind``, ``task``, ``metric``, ``value``,
        ``low``, ``high`` and, in the paper, ``published``.
    """

    title: str
    about: str
    n_runs: int
    rows: list[Cells] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    base: str = ""
    claims: pd.DataFrame | None = None
    popularity: list[Cells] = field(default_factory=list)
    standing: Standing | None = None
    settings: list[str] = field(default_factory=list)
    values: pd.DataFrame | None = None

    def note_others(self, n_found: int) -> None:
        """Say how many runs are of other settings than the table's."""
        if others := n_found - self.n_runs:
            self.notes.append(f"Left out: {others} run(s) of other settings.")

    @property
    def labels(self) -> list[str]:
        """The first cell of each row."""
        return [next(iter(row.values())) for row in self.rows]


@dataclass
class Log:
    """All tables of one log; figures come after tables."""

    name: str
    about: str
    tables: list[Table]


def value_text(mean: float, sd: float) -> str:
    """A mean, with its standard deviation over seeds unless that is NaN."""
    return f"{mean:.4f}" if np.isnan(sd) else f"{mean:.4f} ± {sd:.4f}"


def difference_text(row: Mapping[Any, Any], resamples: int) -> str:
    """The difference in a row of a comparison, with interval and p-value; a dash if it has none.

    Where no permutation gave as large a difference, the p-value is an upper bound.
    """
    if np.isnan(row["difference"]):
        return DASH
    low, high = row["difference_low"], row["difference_high"]
    sign = "≤" if row["p_value"] < 1.5 / (1 + resamples) else "="
    return f"{row['difference']:+.4f} [{low:+.4f}, {high:+.4f}], p {sign} {row['p_holm']:.3g}"
