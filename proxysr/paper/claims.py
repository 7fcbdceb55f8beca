"""What the paper's tables say of one row and each other one, and whether it holds in our runs.

A claim is the sign of a difference between two printed values. Ours holds or contradicts it if it
is more than chance; a data set that is cut, or other settings, are other conditions all the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from proxysr.analysis.significance import CompareConfig, compare
from proxysr.data.sessions import Task
from proxysr.paper.rows import Row, best_on_validation
from proxysr.paper.verdict import more_than_chance

HOLDS, REVERSED, OPEN = "holds", "reversed", "cannot be told"
UNLEARNT, NO_RUN = "not learnt", "no run"
VERDICTS = (HOLDS, REVERSED, OPEN, UNLEARNT, NO_RUN)


def claims(
    rows: Sequence[Row], task: Task, printed: Mapping[tuple[str, str], float], base: str,
    config: CompareConfig,
) -> pd.DataFrame:  # fmt: skip
    """Each printed difference to one row, beside ours.

    Parameters
    ----------
    rows : sequence of Row
        Runs of the same targets; those that the paper lacks are left out. Of several settings of a
        model, those count that are best on validation.
    task : {"unseen", "repeat"}
    printed : mapping
        Row and metric to the paper's value.
    base : str
        The row that the others are compared with, by its name in the paper.
    config : CompareConfig
        Its metrics are those told.

    Returns
    -------
    DataFrame
        A row for each other one of the paper and metric: ``row``, ``metric``, ``printed`` (the
        difference of the row to the base), ``here``, ``p`` (corrected by Holm over all), and
        ``verdict``: "holds", "reversed", "cannot be told" (no :func:`more_than_chance`), "not
        learnt" (one of the two rows hardly beats popularity: see :attr:`Row.learnt`) or "no run".

    Raises
    ------
    ValueError
        If the runs did not rank the same targets.
    """
    names = [name for name in dict.fromkeys(name for name, _ in printed) if name != base]
    settings: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        settings[row.printed].append(row)
    by_name = {name: best_on_validation(some, task) for name, some in settings.items() if name}
    measured: dict[tuple[str, str], Mapping[Any, Any]] = {}
    contenders = [
        by_name[name].contender(task)._replace(name=name)
        for name in (base, *names)
        if name in by_name
    ]
    if base in by_name and len(contenders) > 1:
        table = compare(contenders, config, reference=base)
        measured = {(row["run"], row["metric"]): row for row in table.to_dict("records")}
    learnt = {name: row.learnt for name, row in by_name.items()}
    frame = []
    for name in names:
        for metric in config.metrics:
            if (name, metric) not in printed:
                continue
            expected = printed[name, metric] - printed[base, metric]
            ours = measured.get((name, metric), {"difference": np.nan, "p_holm": np.nan})
            verdict = NO_RUN
            if name in by_name and base in by_name:
                told = more_than_chance(ours, by_name[name], by_name[base], task)
                verdict = _verdict(expected, ours["difference"], told)
            if verdict != NO_RUN and not (learnt[name] and learnt[base]):
                verdict = UNLEARNT
            frame.append(
                {
                    "row": name, "metric": metric, "printed": expected,
                    "here": ours["difference"], "p": ours["p_holm"], "verdict": verdict,
                }
            )  # fmt: skip
    return pd.DataFrame(frame, columns=["row", "metric", "printed", "here", "p", "verdict"])


def tally(tables: Sequence[tuple[str, str, pd.DataFrame]]) -> pd.DataFrame:
    """How many of the first metric's claims in each table came out in which way.

    Parameters
    ----------
    tables : sequence of (str, str, DataFrame)
        Data set, title and a table of :func:`claims`.
    """
    rows = []
    for data, title, table in tables:
        metric = table["metric"].iloc[0]
        first = table[table["metric"] == metric]
        cells = {"data": data, "table": title, "metric": metric}
        for verdict in VERDICTS:
            names = first.loc[first["verdict"] == verdict, "row"].tolist()
            cells[verdict] = f"{len(names)}: {', '.join(names)}" if names else "0"
        rows.append(cells)
    return pd.DataFrame(rows)


def _verdict(printed: float, here: float, told: bool) -> str:
    if not told or printed == 0:
        return OPEN
    return HOLDS if np.sign(here) == np.sign(printed) else REVERSED
