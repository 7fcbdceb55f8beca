"""Is a difference between runs more than luck? Intervals and p-values, paired by session.

All runs ranked the same targets, so each target is its own control. Targets of a session are not
independent: sessions, not targets, are drawn with replacement for the intervals (paired bootstrap,
percentiles), and whole sessions change sides for the p-values (paired permutation test,
two-sided). With several comparisons, some p-value is small by chance; Holm's
correction keeps the chance of any false alarm among all of them at the level of one.

B. Efron, R. Tibshirani: An introduction to the bootstrap. 1993.
S. Holm: A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6, 1979.

>>> holm(np.array([0.01, 0.04, 0.03]))
array([0.03, 0.06, 0.06])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.config import Count, Settings, Whole, require
from proxysr.data.sessions import Task
from proxysr.evaluation import values_of
from proxysr.run import RunDir

Floats = npt.NDArray[np.float64]
MEMORY = 2**22
TARGET = ["session_id", "position", "target"]


class CompareConfig(Settings):
    """What to compare and how closely to look."""

    metrics: tuple[str, ...] = ("R@20", "MRR@20")
    """Metrics to compare, recall or reciprocal rank at any length of the list."""
    resamples: Count = 10_000
    """Draws of sessions for the intervals, and permutations for the p-values."""
    confidence: float = 0.95
    """How often the interval of a difference holds the true one."""
    seed: Whole = 0
    """Seed of draws and permutations."""

    def check(self) -> None:
        """Check ranges."""
        require(len(self.metrics) > 0, "metrics names at least one metric; received none.")
        require(
            0 < self.confidence < 1, f"confidence is between 0 and 1; received {self.confidence}."
        )


class Contender(NamedTuple):
    """One side of a comparison: the ranks of a run, or of runs that differ only in their seed."""

    name: str
    ranks: Sequence[pd.DataFrame]


@dataclass(frozen=True, eq=False)
class Comparison:
    """How runs differ from the first one.

    Attributes
    ----------
    metrics : DataFrame
        One row a contender: ``run`` and its metrics.
    differences : DataFrame
        One row for each further contender and metric: ``run``, ``metric``, ``difference`` to the
        first, ``low`` and ``high`` of its interval, ``p_value``, and ``p_holm``, corrected for
        the number of rows.
    n_targets, n_sessions : int
    """

    metrics: pd.DataFrame
    differences: pd.DataFrame
    n_targets: int
    n_sessions: int


def compare(contenders: Sequence[Contender], config: CompareConfig | None = None) -> Comparison:
    """Compare ranks of the same targets; the first contender is the reference.

    Parameters
    ----------
    contenders : sequence of Contender
        Ranks are frames as in :attr:`proxysr.evaluation.EvalResult.ranks`.
    config : CompareConfig, optional

    Raises
    ------
    ConfigError
        If there are fewer than two contenders or sessions, or a metric is unknown.
    ValueError
        If the targets are not the same.
    """
    config = CompareConfig() if config is None else config
    require(
        len(contenders) >= 2, f"A comparison needs at least two runs; received {len(contenders)}."
    )
    values, session = values_by_target(contenders, config.metrics)
    n_sessions = int(session.max(initial=-1)) + 1
    require(n_sessions >= 2, f"A comparison needs at least two sessions; received {n_sessions}.")
    metrics = pd.DataFrame(values.mean(axis=0), columns=list(config.metrics))
    metrics.insert(0, "run", [name for name, _ in contenders])
    difference = (values[:, 1:] - values[:, :1]).reshape(len(values), -1)
    sums = sums_by_session(difference, session)
    intervals = bootstrap(sums, np.bincount(session), config)
    p_values = permutation(sums, config)
    differences = pd.DataFrame(
        {
            "run": np.repeat([name for name, _ in contenders[1:]], len(config.metrics)),
            "metric": list(config.metrics) * (len(contenders) - 1),
            "difference": difference.mean(axis=0),
            "low": intervals[0],
            "high": intervals[1],
            "p_value": p_values,
            "p_holm": holm(p_values),
        }
    )
    return Comparison(metrics, differences, len(values), n_sessions)


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
    for name, frames in contenders:
        for frame in frames:
            if not frame[TARGET].equals(first[TARGET]):
                raise ValueError(
                    f"The ranks of {name} and of {contenders[0].name} are not of the same targets. "
                    "Evaluate both again on the same data."
                )
    values = [
        np.mean([values_of(frame["rank"].to_numpy(), metric) for frame in frames], axis=0)
        for _, frames in contenders
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
    """Two-sided p-values (C,) of differences that, by chance alone, could have either sign.

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
    """Rows of ``width`` numbers that fit into memory together; they add up to ``n``."""
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
) -> tuple[Comparison, dict[str, Any]]:
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
    Comparison
    dict
        ``part``, ``task`` and ``min_prefix`` of all evaluations, and ``runs``: the folders, the
        model and the seeds of each row of :attr:`Comparison.metrics`.

    Raises
    ------
    ValueError
        If runs differ in their data or evaluation; the message names a command that mends it.
    """
    runs = [RunDir(path) for path in run_dirs]
    require(len(runs) >= 2, f"A comparison needs at least two runs; received {len(runs)}.")
    task = runs[0].train_config.valid_task if task is None else task
    groups = _by_settings(runs) if group_seeds else [[run] for run in runs]
    names = [
        str(members[0].path) + (f" ({len(members)} seeds)" if len(members) > 1 else "")
        for members in groups
    ]
    contenders, min_prefix = contenders_of(list(zip(names, groups, strict=True)), part, task)
    facts = [
        {
            "run_dirs": [str(run.path) for run in members],
            "model": members[0].model_name,
            "seeds": [run.train_config.seed for run in members],
        }
        for members in groups
    ]
    found = compare(contenders, config)
    return found, {"part": part, "task": task, "min_prefix": min_prefix, "runs": facts}


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
    contenders = [Contender(name, [run.ranks(part, task) for run in runs]) for name, runs in groups]
    return contenders, _agreed([run for _, runs in groups for run in runs], part, task)


def _agreed(runs: Sequence[RunDir], part: str, task: Task) -> int:
    """The ``min_prefix`` that all evaluations have; else, and for other data, an error."""
    first = runs[0]
    entries = [run.evaluation(part, task) for run in runs]
    wanted = entries[0]["min_prefix"]
    for run, entry in zip(runs, entries, strict=True):
        again = f"`proxysr evaluate {run.path} --split {part} --task {task}"
        if _sessions_of(run) != _sessions_of(first):
            raise ValueError(
                f"{run.path} was trained on other data ({run.data['data_dir']}) than {first.path} "
                f"({first.data['data_dir']}). Train it there: `proxysr train "
                f"{first.data['data_dir']} NEW_RUN_DIR --model {run.model_name}`."
            )
        if entry["min_prefix"] != wanted:
            raise ValueError(
                f"{run.path} was evaluated after at least {entry['min_prefix']} click(s), "
                f"{first.path} after at least {wanted}. Evaluate it again: "
                f"{again} --min-prefix {wanted}`."
            )
    return int(wanted)


def _sessions_of(run: RunDir) -> str:
    """Fingerprint of a run's data; that of the original data if these were only grouped anew."""
    grouped = run.data.get("provenance", {}).get("grouped", {})
    return str(grouped.get("fingerprint", run.data["fingerprint"]))


def _by_settings(runs: Sequence[RunDir]) -> list[list[RunDir]]:
    """Runs that differ only in seed and device, in order of appearance."""
    groups: dict[str, list[RunDir]] = {}
    for run in runs:
        config = {**run.train_config.to_dict(), "seed": None, "device": None}
        groups.setdefault(str((run.model_name, run.model_config, config)), []).append(run)
    for members in groups.values():
        seeds = [run.train_config.seed for run in members]
        require(
            len(set(seeds)) == len(seeds),
            f"{', '.join(str(run.path) for run in members)} have equal settings and seeds "
            f"({', '.join(map(str, seeds))}): they cannot count as different seeds of one run.",
        )
    return list(groups.values())
