"""Several runs as one table: both tasks, with intervals, and by how much was clicked before.

Runs are handed in by name; runs of one name differ only in their seeds and count as one, by
the mean of each target's value over the seeds. Intervals come from drawing sessions with
replacement (see :mod:`proxysr.analysis.significance`): they tell what another draw of test
sessions could have given, not what training again would.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd

from proxysr.analysis.significance import (
    CompareConfig,
    Contender,
    Floats,
    bootstrap,
    compare,
    contenders_of,
    sums_by_session,
    values_by_target,
)
from proxysr.config import require, unknown
from proxysr.data.sessions import Task
from proxysr.evaluation import values_of
from proxysr.models import learns
from proxysr.run import RunDir

Groups = Mapping[str, Sequence[RunDir]]
BEFORE = (1, 2, 3, 5, 9)


def runs_for(runs: Sequence[RunDir], task: Task) -> list[RunDir]:
    """Of runs that count as one, those that stand for them under a task.

    These are the ones whose epoch was chosen by it; where there are none, what was chosen by
    another task has to serve.
    """
    return [run for run in runs if run.train_config.valid_task == task] or list(runs)


def runs_table(groups: Groups) -> pd.DataFrame:
    """What was trained, and whether it was long enough: a row a run.

    Parameters
    ----------
    groups : mapping
        Name to runs.

    Returns
    -------
    DataFrame
        ``run``, ``kind`` ("learned" or "counting"), ``trained_for`` (task that chose the epoch),
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
                    "trained_for": run.train_config.valid_task,
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
        The name that the others are held against.
    tasks : sequence of {"unseen", "repeat"}
    part : {"train", "valid", "test"}
    config : CompareConfig, optional

    Returns
    -------
    DataFrame
        One row for each name, task and metric, names in the order of ``groups``: ``run``,
        ``model`` (as in ``MODELS``), ``kind`` ("learned" or "counting"), ``seeds`` (how many),
        ``task``, ``metric``, ``value`` with its interval ``low`` to ``high``; ``difference``
        to the reference with ``difference_low`` and ``difference_high``, ``p_value``, and
        ``p_holm``, corrected for all comparisons of the task (NaN in the rows of the reference).

    Raises
    ------
    ConfigError
        If there is no run of the name ``reference``, or nothing to hold against it.
    ValueError
        If the runs did not rank the same targets; the message tells what to do.
    """
    config = CompareConfig() if config is None else config
    _check_reference(groups, reference)
    ordered = [(reference, groups[reference])]
    ordered += [(name, runs) for name, runs in groups.items() if name != reference]
    place = {name: i for i, name in enumerate(groups)}
    tables = []
    for task in tasks:
        trained = [(name, runs_for(runs, task)) for name, runs in ordered]
        contenders, _ = contenders_of(trained, part, task)
        found = estimates(contenders, config)
        facts = pd.DataFrame(
            {
                "run": [name for name, _ in ordered],
                "model": [runs[0].model_name for _, runs in ordered],
                "kind": [_kind(runs[0]) for _, runs in ordered],
                "seeds": [len(runs) for _, runs in trained],
                "task": task,
            }
        )
        found = facts.merge(found, on="run", validate="one_to_many")
        order = np.argsort(found["run"].map(place).to_numpy(), kind="stable")
        tables.append(found.iloc[order])
    return pd.concat(tables, ignore_index=True)


def estimates(contenders: Sequence[Contender], config: CompareConfig) -> pd.DataFrame:
    """Every metric with its interval, and its difference to the first of the contenders.

    Returns
    -------
    DataFrame
        One row for each contender and metric: ``run``, ``metric``, ``value``, ``low``, ``high``;
        ``difference`` to the first, ``difference_low``, ``difference_high``, ``p_value`` and
        ``p_holm``, corrected for all of them (NaN in the rows of the first).

    Raises
    ------
    ConfigError, ValueError
        See :func:`proxysr.analysis.significance.compare`.
    """
    values, session = values_by_target(contenders, config.metrics)
    flat = values.reshape(len(values), -1)
    low, high = bootstrap(sums_by_session(flat, session), np.bincount(session), config)
    found = pd.DataFrame(
        {
            "run": [contender.name for contender in contenders for _ in config.metrics],
            "metric": list(config.metrics) * len(contenders),
            "value": flat.mean(axis=0),
            "low": low,
            "high": high,
        }
    )
    differences = compare(contenders, config).differences.rename(
        columns={"low": "difference_low", "high": "difference_high"}
    )
    return found.merge(differences, on=["run", "metric"], how="left", validate="one_to_one")


def estimates_by(
    kind: str,
    contenders: Mapping[str, Sequence[Contender]],
    *,
    reference: str,
    config: CompareConfig | None = None,
) -> pd.DataFrame:
    """Differences to one of the contenders on several kinds of targets.

    Parameters
    ----------
    kind : str
        Name of the column that tells the kinds apart, such as "task".
    contenders : mapping
        Value of that column to contenders that ranked targets of that kind.
    reference : str
        Name of the one that the others are held against.
    config : CompareConfig, optional

    Returns
    -------
    DataFrame
        One row for each kind, contender and metric: ``kind``; ``n_sessions``, ``n_targets``;
        ``run``, ``seeds`` and what :func:`estimates` says of them; ``least`` and ``most``, see
        :func:`range_of_seeds`. P-values are corrected for each kind by itself.

    Raises
    ------
    ConfigError
        If there is no contender of the name ``reference``.
    """
    config = CompareConfig() if config is None else config
    tables = []
    for name, some in contenders.items():
        _check_reference([one.name for one in some], reference)
        ordered = sorted(some, key=lambda one: one.name != reference)
        base = ordered[0]
        found = estimates(ordered, config)
        ranges = [range_of_seeds(base.ranks, one.ranks, config.metrics) for one in ordered]
        found["least"], found["most"] = np.hstack(ranges)
        found.loc[found["run"] == reference, ["least", "most"]] = np.nan
        found.insert(0, kind, name)
        found.insert(1, "n_sessions", base.ranks[0]["session_id"].nunique())
        found.insert(2, "n_targets", len(base.ranks[0]))
        seeds = {one.name: len(one.ranks) for one in some}
        found.insert(4, "seeds", found["run"].map(seeds))
        tables.append(found)
    return pd.concat(tables, ignore_index=True)


def range_of_seeds(
    before: Sequence[pd.DataFrame], after: Sequence[pd.DataFrame], metrics: Sequence[str]
) -> Floats:
    """The smallest and the largest difference (2, M) of two runs of one seed.

    Parameters
    ----------
    before, after : sequence of DataFrame
        Ranks of runs with the same seeds, in the same order.
    metrics : sequence of str
    """
    means = [
        [
            [values_of(frame["rank"].to_numpy(), metric).mean() for metric in metrics]
            for frame in side
        ]
        for side in (before, after)
    ]
    differences = np.subtract(means[1], means[0])
    return np.stack([differences.min(axis=0), differences.max(axis=0)])


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
    trained = [(name, runs_for(runs, task)) for name, runs in groups.items()]
    contenders, _ = contenders_of(trained, part, task)
    all_values, session = values_by_target(contenders, [metric])
    values = all_values[:, :, 0]
    names = list(groups)
    if reference is not None:
        _check_reference(groups, reference)
        own = names.index(reference)
        values = np.delete(values - values[:, [own]], own, axis=1)
        names.remove(reference)
    position = contenders[0].ranks[0]["position"].to_numpy()
    rows: list[dict[str, Any]] = []
    for first, after in zip(bounds, [*bounds[1:], np.inf], strict=True):
        inside = (position >= first) & (position < after)
        if not inside.any():
            continue
        codes, _ = pd.factorize(session[inside])
        sums, counts = sums_by_session(values[inside], codes), np.bincount(codes)
        low, high = (
            bootstrap(sums, counts, config) if len(counts) > 1 else np.full((2, len(names)), np.nan)
        )
        facts = {
            "clicks": _words(first, after),
            "n_targets": int(inside.sum()),
            "n_sessions": len(counts),
        }
        means = values[inside].mean(axis=0)
        rows += [
            {"run": name} | facts | {"value": v, "low": lo, "high": hi}
            for name, v, lo, hi in zip(names, means, low, high, strict=True)
        ]
    place = {name: i for i, name in enumerate(names)}
    rows.sort(key=lambda row: place[row["run"]])
    return pd.DataFrame(rows)


def as_read(table: pd.DataFrame, task: Task, *, digits: int = 3) -> pd.DataFrame:
    """One task of a :func:`comparison_table` for reading: a row a run, columns a metric each.

    Parameters
    ----------
    table : DataFrame
    task : {"unseen", "repeat"}
    digits : int
        Places after the point.

    Returns
    -------
    DataFrame
        Indexed by run, sorted by the first metric, highest first; for each metric its value with
        the interval, the difference to the reference with the interval, and Holm's p-value.
    """
    shown = table[table["task"] == task]
    require(len(shown) > 0, f"The table has no rows of task {task!r}.")
    columns: dict[str, pd.Series] = {}
    own, change = f".{digits}f", f"+.{digits}f"
    for metric, group in shown.groupby("metric", sort=False):
        rows = group.set_index("run")
        columns[f"{metric}"] = rows.apply(_spelt, axis=1, args=("value", "low", "high", own))
        columns[f"{metric}, difference"] = rows.apply(
            _spelt, axis=1, args=("difference", "difference_low", "difference_high", change)
        )
        columns[f"{metric}, p (Holm)"] = rows["p_holm"].map(lambda p: f"{p:.3g}").replace("nan", "")
    best = shown[shown["metric"] == shown["metric"].iloc[0]].sort_values(
        "value", ascending=False, kind="stable"
    )
    return pd.DataFrame(columns).reindex(best["run"])


def _spelt(row: pd.Series, value: str, low: str, high: str, form: str) -> str:
    if np.isnan(row[value]):
        return ""
    return f"{row[value]:{form}} [{row[low]:{form}}, {row[high]:{form}}]"


def _words(first: int, after: float) -> str:
    """A slice of numbers of clicks as text: "2", "3–4", "9 and more"."""
    if after == np.inf:
        return f"{first} and more"
    last = int(after) - 1
    return str(first) if first == last else f"{first}–{last}"


def _kind(run: RunDir) -> str:
    return "learned" if learns(run.model_name) else "counting"


def _check_reference(groups: Collection[str], reference: str) -> None:
    require(reference in groups, unknown(reference, groups, "run of this comparison"))
    require(
        len(groups) >= 2, f"There is no other run to hold against {reference!r}; add one at least."
    )
