"""Is a difference between runs more than chance? Intervals and p-values, paired by session.

All runs ranked the same targets, so each target is its own control. Targets of a session are not
independent: sessions, not targets, are drawn with replacement for the intervals (paired bootstrap,
percentiles), and the values of a session are exchanged for the p-values (paired permutation
test, two-sided). With several comparisons, some p-value is small by chance; Holm's
correction keeps the chance of any false alarm among all of them at the level of one.

B. Efron, R. Tibshirani: An introduction to the bootstrap. 1993.
S. Holm: A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6, 1979.

>>> holm(np.array([0.01, 0.04, 0.03]))
array([0.03, 0.06, 0.06])
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.alike import by_settings, sessions_of
from proxysr.analysis.seeds import Floats, Seeds, deviation, means_of_seeds, range_of_differences
from proxysr.config import Count, Settings, Whole, require, unknown
from proxysr.data.sessions import Task
from proxysr.evaluation import values_of
from proxysr.models import learns
from proxysr.run import RunDir

MEMORY = 2**22
TARGET = ["session_id", "position", "target"]


class CompareConfig(Settings):
    """Metrics, resamples and confidence of a comparison."""

    metrics: tuple[str, ...] = ("R@20", "MRR@20")
    """Metrics to compare, recall or reciprocal rank at any length of the list."""
    resamples: Count = 10_000
    """Draws of sessions for the intervals, and permutations for the p-values."""
    confidence: float = 0.95
    """Confidence level of the intervals."""
    seed: Whole = 0
    """Seed of draws and permutations."""

    def check(self) -> None:
        """Check ranges."""
        require(len(self.metrics) > 0, "metrics names at least one metric; received none.")
        twice = sorted({name for name in self.metrics if self.metrics.count(name) > 1})
        require(not twice, f"metrics names each metric once; received twice: {', '.join(twice)}.")
        require(
            0 < self.confidence < 1, f"confidence is between 0 and 1; received {self.confidence}."
        )


class Contender(NamedTuple):
    """One side of a comparison: the ranks of a run, or of runs that differ only in their seed."""

    name: str
    ranks: Sequence[pd.DataFrame]
    seeds: Seeds = ()
    """If left out: 0, 1, … in their order, or no seed if there is one run alone."""

    @property
    def paired_by(self) -> Seeds:
        """The seed of each run."""
        n = len(self.ranks)
        return self.seeds or (range(n) if n > 1 else [None])


def compare(
    contenders: Sequence[Contender],
    config: CompareConfig | None = None,
    *,
    reference: str | None = None,
) -> pd.DataFrame:
    """Every metric of ranks of the same targets with its interval, and its difference to one.

    Parameters
    ----------
    contenders : sequence of Contender
        Ranks are frames as in :attr:`proxysr.evaluation.EvalResult.ranks`.
    config : CompareConfig, optional
    reference : str, optional
        The name that the others are compared with; the first one if left out.

    Returns
    -------
    DataFrame
        One row for each contender and metric, the reference first: ``run`` (its name), ``seeds``,
        ``n_sessions``, ``n_targets``, ``metric``; ``value``, the mean over seeds, its ``sd`` over
        seeds (NaN of one seed), and its interval ``low`` to ``high``; ``difference`` to the
        reference with ``difference_low`` and ``difference_high``, ``least`` and ``most``, the
        smallest and largest difference of two runs of one seed, ``p_value``, and ``p_holm``,
        corrected for all rows (NaN in the rows of the reference; ``least`` and ``most`` also where
        no seed is in both).

    Raises
    ------
    ConfigError
        If there are fewer than two contenders or sessions, a name is there twice, or a name or
        metric is unknown.
    ValueError
        If the targets are not the same.
    """
    config = CompareConfig() if config is None else config
    names = [contender.name for contender in contenders]
    _check_once(names)
    reference = next(iter(names), None) if reference is None else reference
    if reference is not None:
        require(reference in names, unknown(reference, names, "run of this comparison"))
    require(
        len(names) >= 2,
        f"A comparison needs at least two runs; received {len(names)}. Add one to compare with "
        f"{reference!r}.",
    )
    contenders = sorted(contenders, key=lambda contender: contender.name != reference)
    by_target, session = values_by_target(contenders, config.metrics)
    counts = np.bincount(session)
    require(len(counts) >= 2, f"A comparison needs at least two sessions; received {len(counts)}.")
    means = [means_of_seeds(contender.ranks, config.metrics) for contender in contenders]
    rows = pd.DataFrame(
        [
            {
                "run": contender.name, "seeds": len(of_seeds), "n_sessions": len(counts),
                "n_targets": len(session), "metric": metric, "sd": sd,
            }
            for contender, of_seeds in zip(contenders, means, strict=True)
            for metric, sd in zip(config.metrics, deviation(of_seeds), strict=True)
        ]
    )  # fmt: skip
    values = by_target.reshape(len(session), -1)
    changes = (by_target[:, 1:] - by_target[:, :1]).reshape(len(session), -1)
    sums = sums_by_session(changes, session)
    p_values = permutation(sums, config)
    n = len(config.metrics)

    def of_others(values: Floats) -> Floats:
        return np.concatenate([np.full(n, np.nan), values])

    rows["value"] = values.mean(axis=0)
    rows["low"], rows["high"] = bootstrap(sums_by_session(values, session), counts, config)
    rows["difference"] = of_others(changes.mean(axis=0))
    low, high = bootstrap(sums, counts, config)
    rows["difference_low"], rows["difference_high"] = of_others(low), of_others(high)
    seeds = [contender.paired_by for contender in contenders]
    least, most = np.hstack(
        [range_of_differences(seeds[0], means[0], *other)
         for other in zip(seeds[1:], means[1:], strict=True)]
    )  # fmt: skip
    rows["least"], rows["most"] = of_others(least), of_others(most)
    rows["p_value"], rows["p_holm"] = of_others(p_values), of_others(holm(p_values))
    return rows[COLUMNS]


COLUMNS = [
    "run", "seeds", "n_sessions", "n_targets", "metric", "value", "sd", "low", "high",
    "difference", "difference_low", "difference_high", "least", "most", "p_value", "p_holm",
]  # fmt: skip


def _check_once(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"{', '.join(twice)} is named twice. Name every run once.")


def values_by_target(
    contenders: Sequence[Contender], metrics: Sequence[str]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """What each target adds to each metric, and the sessions of the targets.

    Returns
    -------
    (T, C, M)
        T targets, C contenders (means over their seeds), M metrics.
    (T,)
        Session of each target, numbered from 0 on.

    Raises
    ------
    ValueError
        If the contenders ranked other targets.
    """
    first = contenders[0].ranks[0]
    for name, frames, _ in contenders:
        for frame in frames:
            if not frame[TARGET].equals(first[TARGET]):
                raise ValueError(
                    f"The ranks of {name} and of {contenders[0].name} are not of the same targets. "
                    "Evaluate both again on the same data."
                )
    values = [
        np.mean([values_of(frame["rank"].to_numpy(), metric) for frame in frames], axis=0)
        for _, frames, _ in contenders
        for metric in metrics
    ]
    shape = len(first), len(contenders), len(metrics)
    return np.stack(values, axis=1).reshape(shape), pd.factorize(first["session_id"])[0]


def sums_by_session(values: Floats, session: npt.NDArray[np.int64]) -> Floats:
    """Sums (S, C) over the targets of each session; values are (T, C), sessions (T,)."""
    sums = np.zeros((int(session.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(sums, session, values)
    return sums


def bootstrap(sums: Floats, counts: npt.NDArray[np.int64], config: CompareConfig) -> Floats:
    """Lower and upper end (2, C) of the intervals of C differences.

    Parameters
    ----------
    sums : (S, C)
        Differences, summed over the targets of each session.
    counts : (S,)
        Targets of each session.
    config : CompareConfig
    """
    random = np.random.default_rng([config.seed, 0])
    n = len(sums)
    drawn = []
    for rows in _portions(config.resamples, n):
        which = random.integers(n, size=(rows, n)) + n * np.arange(rows)[:, None]
        times = np.bincount(which.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)
        drawn.append((times @ sums) / (times @ counts)[:, None])
    outside = (1 - config.confidence) / 2
    return np.quantile(np.concatenate(drawn), [outside, 1 - outside], axis=0)


def permutation(sums: Floats, config: CompareConfig) -> Floats:
    """Two-sided p-values (C,) of differences, under random signs of the sessions' sums.

    Parameters
    ----------
    sums : (S, C)
        See :func:`bootstrap`.
    config : CompareConfig
    """
    random = np.random.default_rng([config.seed, 1])
    observed = np.abs(sums.sum(axis=0)) - 1e-9  # sums in another order differ by rounding
    as_large = np.zeros(sums.shape[1])
    for rows in _portions(config.resamples, len(sums)):
        signs = random.integers(2, size=(rows, len(sums)), dtype=np.int8) * 2.0 - 1
        as_large += (np.abs(signs @ sums) >= observed).sum(axis=0)
    return np.asarray((1 + as_large) / (1 + config.resamples))


def holm(p_values: Floats) -> Floats:
    """Holm's correction: the i-th smallest of n p-values times n + 1 - i, made to ascend."""
    order = np.argsort(p_values, kind="stable")
    scaled = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return corrected


def _portions(n: int, width: int) -> list[int]:
    """Numbers of rows of ``width`` values that fit into memory; they sum to ``n``."""
    rows = max(1, MEMORY // width)
    return [min(rows, n - start) for start in range(0, n, rows)]


# -- runs ----------------------------------------------------------------------------------


def compare_runs(
    run_dirs: Sequence[str | Path],
    *,
    part: str = "test",
    task: Task | None = None,
    group_seeds: bool = False,
    config: CompareConfig | None = None,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Compare runs that were evaluated on the same targets; the first is the reference.

    Parameters
    ----------
    run_dirs : sequence of path
    part : {"train", "valid", "test"}
    task : {"unseen", "repeat"}, optional
        The one that chose the first run's epoch if left out.
    group_seeds : bool
        Runs with equal settings but other seeds count as one: values of each target are averaged.
    config : CompareConfig, optional

    Returns
    -------
    DataFrame
        See :func:`proxysr.analysis.significance.compare`.
    dict
        ``part``, ``task`` and ``min_prefix`` of all evaluations, and ``runs``: the name, folders,
        model and seeds of each contender.

    Raises
    ------
    ValueError
        If runs differ in their data or evaluation; the message names a command that fixes it.
    """
    runs = [RunDir(path) for path in run_dirs]
    as_named: dict[Path, str] = {}  # the same folder may be named in several ways
    _check_once([as_named.setdefault(run.path.resolve(), str(run.path)) for run in runs])
    require(len(runs) >= 2, f"A comparison needs at least two runs; received {len(runs)}.")
    task = runs[0].train_config.valid_task if task is None else task
    groups = by_settings(runs) if group_seeds else [[run] for run in runs]
    names = [
        str(members[0].path) + (f" ({len(members)} seeds)" if len(members) > 1 else "")
        for members in groups
    ]
    contenders, min_prefix = contenders_of(list(zip(names, groups, strict=True)), part, task)
    described = [
        {
            "name": name,
            "run_dirs": [str(run.path) for run in members],
            "model": members[0].model_name,
            "seeds": [run.train_config.seed for run in members],
        }
        for name, members in zip(names, groups, strict=True)
    ]
    table = compare(contenders, config)
    return table, {"part": part, "task": task, "min_prefix": min_prefix, "runs": described}


def contenders_of(
    groups: Sequence[tuple[str, Sequence[RunDir]]], part: str, task: Task
) -> tuple[list[Contender], int]:
    """The kept ranks of named runs, and the fewest clicks before their targets.

    Parameters
    ----------
    groups : sequence of (name, runs)
        Runs of one name differ only in their seeds.
    part : {"train", "valid", "test"}
    task : {"unseen", "repeat"}

    Raises
    ------
    ValueError
        See :func:`compare_runs`.
    """
    contenders = [contender_of(name, runs, part, task) for name, runs in groups]
    return contenders, _agreed([run for _, runs in groups for run in runs], part, task)


def contender_of(name: str, runs: Sequence[RunDir], part: str, task: Task) -> Contender:
    """Runs that differ only in their seeds, with their kept ranks."""
    seeds = [run.train_config.seed if learns(run.model_name) else None for run in runs]
    return Contender(name, [run.ranks(part, task) for run in runs], seeds)


def _agreed(runs: Sequence[RunDir], part: str, task: Task) -> int:
    """The common ``min_prefix`` of the evaluations; an error if it or the data differ."""
    first = runs[0]
    entries = [run.evaluation(part, task) for run in runs]
    expected = entries[0]["min_prefix"]
    for run, entry in zip(runs, entries, strict=True):
        again = f"`proxysr evaluate {run.path} --split {part} --task {task}"
        if sessions_of(run) != sessions_of(first):
            raise ValueError(
                f"{run.path} was trained on other data ({run.data['data_dir']}) than {first.path} "
                f"({first.data['data_dir']}). Train it there: `proxysr train "
                f"{first.data['data_dir']} NEW_RUN_DIR --model {run.model_name}`."
            )
        if entry["min_prefix"] != expected:
            raise ValueError(
                f"{run.path} was evaluated after at least {entry['min_prefix']} click(s), "
                f"{first.path} after at least {expected}. Evaluate it again: "
                f"{again} --min-prefix {expected}`."
            )
    return int(expected)
