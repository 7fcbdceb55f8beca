"""Tables of several runs: both tasks, with intervals, and by number of clicks before the target.

Runs are passed by name. Runs of one name differ only in their seeds and count as one, by the
mean of each target's value over the seeds. Intervals come from drawing sessions with
replacement (see :mod:`proxysr.analysis.significance`): they show the variation over test
sessions, not over trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd

from proxysr.analysis.significance import (
    CompareConfig,
    Contender,
    bootstrap,
    compare,
    contenders_of,
    sums_by_session,
    values_by_target,
)
from proxysr.config import require, unknown
from proxysr.data.sessions import Task
from proxysr.models import learns
from proxysr.run import RunDir

Groups = Mapping[str, Sequence[RunDir]]
BEFORE = (1, 2, 3, 5, 9)


def runs_for(runs: Sequence[RunDir], task: Task) -> list[RunDir]:
    """The runs whose epoch was chosen by this task; all runs if there are none."""
    return [run for run in runs if run.train_config.valid_task == task] or list(runs)


def runs_table(groups: Groups) -> pd.DataFrame:
    """Trained runs, one row each, to see whether training was long enough.

    Returns
    -------
    DataFrame
        ``run``, ``kind`` ("learned" or "counting"), ``valid_task`` (task that chose the epoch),
        ``seed``, ``epochs`` (how many ended), ``best_epoch`` (counted from 0), and its
        ``validation R@20``. A best epoch that is the last one says that more epochs may help.
    """
    rows = []
    for name, runs in groups.items():
        for run in runs:
            history = run.history()
            rows.append(
                {
                    "run": name,
                    "kind": _kind(run),
                    "valid_task": run.train_config.valid_task,
                    "seed": run.train_config.seed,
                    "epochs": len(history),
                    "best_epoch": run.best_epoch,
                    "validation R@20": history["R@20"].iloc[run.best_epoch],
                }
            )
    return pd.DataFrame(rows)


def comparison_table(
    groups: Groups,
    *,
    reference: str,
    tasks: Sequence[Task] = get_args(Task),
    part: str = "test",
    config: CompareConfig | None = None,
) -> pd.DataFrame:
    """Every metric of every run under every task, and its difference to the reference.

    Parameters
    ----------
    groups : mapping
        Name to evaluated runs; under each task, those of :func:`runs_for` count.
    reference : str
        The name that the others are compared with.
    tasks : sequence of {"unseen", "repeat"}
    part : {"train", "valid", "test"}
    config : CompareConfig, optional

    Returns
    -------
    DataFrame
        What :func:`proxysr.analysis.significance.compare` says of each task, names in the order of
        ``groups``, and ``task``, ``model`` (as in ``MODELS``) and ``kind`` ("learned" or
        "counting"). P-values are corrected for all comparisons of a task.

    Raises
    ------
    ConfigError
        If there is no run of the name ``reference``, or no other one.
    ValueError
        If the runs did not rank the same targets; the message tells what to do.
    """
    tables = []
    for task in tasks:
        contenders, _ = contenders_of(
            [(name, runs_for(runs, task)) for name, runs in groups.items()], part, task
        )
        table_of_task = compare(contenders, config, reference=reference).assign(task=task)
        tables.append(table_of_task.sort_values("run", key=_place(groups), kind="stable"))
    table = pd.concat(tables, ignore_index=True)
    first = {name: runs[0] for name, runs in groups.items()}
    table["model"] = table["run"].map({name: run.model_name for name, run in first.items()})
    table["kind"] = table["run"].map({name: _kind(run) for name, run in first.items()})
    return table


def compare_by(
    kind: str,
    contenders: Mapping[Any, Sequence[Contender]],
    *,
    reference: str,
    config: CompareConfig | None = None,
) -> pd.DataFrame:
    """Differences to one contender on several kinds of targets.

    Parameters
    ----------
    kind : str
        Name of the column of kinds, such as "task".
    contenders : mapping
        Value of that column to contenders that ranked targets of that kind.
    reference : str
        Name of the one that the others are compared with.
    config : CompareConfig, optional

    Returns
    -------
    DataFrame
        ``kind``, and what :func:`proxysr.analysis.significance.compare` says of each. P-values are
        corrected for each kind by itself.

    Raises
    ------
    ConfigError
        If there is no contender of the name ``reference``.
    """
    tables = []
    for value, members in contenders.items():
        table = compare(members, config, reference=reference)
        table.insert(0, kind, [value] * len(table))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def by_clicks(
    groups: Groups,
    *,
    metric: str = "R@20",
    reference: str | None = None,
    before: Sequence[int] = BEFORE,
    task: Task = "unseen",
    part: str = "test",
    config: CompareConfig | None = None,
) -> pd.DataFrame:
    """A metric by the number of clicks before the target.

    Parameters
    ----------
    groups : mapping
        Name to evaluated runs; those of :func:`runs_for` count.
    metric : str
    reference : str, optional
        If named, values are differences to this run, which itself is left out.
    before : sequence of int
        The smallest number of clicks of each slice, ascending; the last slice has no end.
    task : {"unseen", "repeat"}
    part : {"train", "valid", "test"}
    config : CompareConfig, optional
        Its ``metrics`` are not used.

    Returns
    -------
    DataFrame
        One row for each name and slice that has targets: ``run``, ``clicks`` (such as "3–4"),
        ``n_targets``, ``n_sessions``, ``value``, ``low``, ``high`` (both NaN in a
        slice with a single session). Intervals are each for itself, not corrected for
        looking at several.

    Raises
    ------
    ConfigError
        If slices do not ascend, or there is no run of the name ``reference``.
    ValueError
        See :func:`comparison_table`.
    """
    config = CompareConfig() if config is None else config
    bounds = list(before)
    require(
        bool(bounds) and bounds[0] >= 1 and bounds == sorted(set(bounds)),
        f"Slices begin at numbers of clicks that ascend from 1 on; received {bounds}.",
    )
    selected = [(name, runs_for(runs, task)) for name, runs in groups.items()]
    contenders, _ = contenders_of(selected, part, task)
    all_values, session = values_by_target(contenders, [metric])
    values = all_values[:, :, 0]
    names = list(groups)
    if reference is not None:
        require(reference in groups, unknown(reference, groups, "run of this comparison"))
        require(len(groups) >= 2, f"There is no other run to compare with {reference!r}; add one.")
        column = names.index(reference)
        values = np.delete(values - values[:, [column]], column, axis=1)
        names.remove(reference)
    position = contenders[0].ranks[0]["position"].to_numpy()
    rows: list[dict[str, Any]] = []
    for first, end in zip(bounds, [*bounds[1:], np.inf], strict=True):
        in_slice = (position >= first) & (position < end)
        if not in_slice.any():
            continue
        codes, _ = pd.factorize(session[in_slice])
        sums, counts = sums_by_session(values[in_slice], codes), np.bincount(codes)
        low, high = (
            bootstrap(sums, counts, config) if len(counts) > 1 else np.full((2, len(names)), np.nan)
        )
        counts_of_slice = {
            "clicks": _words(first, end),
            "n_targets": int(in_slice.sum()),
            "n_sessions": len(counts),
        }
        means = values[in_slice].mean(axis=0)
        rows += [
            {"run": name} | counts_of_slice | {"value": v, "low": lo, "high": hi}
            for name, v, lo, hi in zip(names, means, low, high, strict=True)
        ]
    return pd.DataFrame(rows).sort_values(
        "run", key=_place(names), kind="stable", ignore_index=True
    )


def as_read(
    table: pd.DataFrame,
    task: Task | None = None,
    *,
    by: Sequence[str] = ("run",),
    digits: int = 3,
) -> pd.DataFrame:
    """A comparison for reading: a row a run, a few columns each metric.

    Parameters
    ----------
    table : DataFrame
        With the columns of :func:`proxysr.analysis.significance.compare`.
    task : {"unseen", "repeat"}, optional
        Show only its rows.
    by : sequence of str
        Columns that tell the rows apart; runs alone are sorted by the first metric, best first.
    digits : int
        Places after the point.

    Returns
    -------
    DataFrame
        For each metric its value with the interval, the difference to the reference with the
        interval, the range of differences over the seeds if there are several (a dash where no
        seed is in both), and Holm's p-value.
    """
    shown = table if task is None else table[table["task"] == task]
    require(len(shown) > 0, f"The table has no rows of task {task!r}.")
    if tuple(by) == ("run",):
        first = shown[shown["metric"] == shown["metric"].iloc[0]]
        order = first.sort_values("value", ascending=False, kind="stable")["run"]
        shown = shown.sort_values("run", key=_place(order), kind="stable")
    columns: dict[str, pd.Series] = {}
    for metric, rows in shown.groupby("metric", sort=False):
        rows = rows.set_index(list(by))
        columns[f"{metric}"] = _spelt(rows, "{value:.{d}f} [{low:.{d}f}, {high:.{d}f}]", digits)
        columns[f"{metric}, difference"] = _spelt(
            rows, "{difference:+.{d}f} [{difference_low:+.{d}f}, {difference_high:+.{d}f}]", digits
        )
        if (rows["seeds"] > 1).any():
            ranges = _spelt(rows, "{least:+.{d}f} to {most:+.{d}f}", digits)
            unpaired = rows["difference"].notna() & rows["least"].isna()
            columns[f"{metric}, seeds"] = ranges.mask(unpaired, "–")
        columns[f"{metric}, p (Holm)"] = _spelt(rows, "{p_holm:.3g}", digits)
    return pd.DataFrame(columns)


def _spelt(rows: pd.DataFrame, form: str, digits: int) -> pd.Series:
    """Each row as text; empty where a number is missing."""
    values: list[dict[Any, Any]] = rows.to_dict("records")
    texts = [form.format_map(row | {"d": digits}) for row in values]
    return pd.Series(["" if "nan" in text else text for text in texts], index=rows.index)


def _words(first: int, end: float) -> str:
    """A slice of numbers of clicks as text: "2", "3–4", "9 and more"."""
    if end == np.inf:
        return f"{first} and more"
    last = int(end) - 1
    return str(first) if first == last else f"{first}–{last}"


def _place(names: Iterable[str]) -> Callable[[pd.Series], pd.Series]:
    """For ``sort_values``: where names stand in an order."""
    places = {name: place for place, name in enumerate(names)}
    return lambda column: column.map(places)


def _kind(run: RunDir) -> str:
    return "learned" if learns(run.model_name) else "counting"
