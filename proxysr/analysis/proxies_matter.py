"""Do the proxies of a model matter? What it loses without them, or with other proxies.

This is tested in two ways. *Without* them: of runs that were trained alike, but with one
proxy. *In their place*: the same runs, but with other weights of the proxies than those from the
clicks. These are nulls: proxies permuted among the sessions, and weights from the clicks of another
session. If proxies carry information on their session, the model loses by them; if they are merely
more parameters, it need not.

The rule, set before anything was trained: proxies matter on a log if R@20 without them is lower by
at least 1 % of what it is with them, and the interval of the difference excludes 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from proxysr.analysis.assignments import assignments_from_model
from proxysr.analysis.representations import whole_sessions, with_proxies
from proxysr.analysis.significance import Contender, contenders_of
from proxysr.config import require
from proxysr.data.known import dealt_out
from proxysr.data.sessions import Prefixes, Sessions, Task
from proxysr.evaluation import evaluate
from proxysr.models import SessionModel
from proxysr.run import RunDir

WITH, WITHOUT = "proxies", "no proxies"
LEADING, RANDOM, OTHER = "leading proxy alone", "random proxy", "another session's clicks"
METRIC, LEAST = "R@20", 0.01
"""The metric of the rule, and the least relative difference that matters."""

Ints = npt.NDArray[np.integer[Any]]


def sides(
    proxies: Sequence[RunDir],
    without: Sequence[RunDir],
    *,
    part: str = "test",
    tasks: Sequence[Task] = ("unseen", "repeat"),
    seed: int = 0,
    device: str = "cpu",
) -> dict[Task, list[Contender]]:
    """Ranks with the proxies, without them, and with others in their place.

    Parameters
    ----------
    proxies, without : sequence of RunDir
        Evaluated runs of one model with K proxies and with one, alike but for that; with the same
        seeds in the same order.
    part : {"train", "valid", "test"}
    tasks : sequence of {"unseen", "repeat"}
    seed : int
        Seed of the nulls.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        Task to contenders, for :func:`proxysr.analysis.comparison.compare_by`: "no proxies",
        "proxies", and those of :func:`replaced_ranks`.

    Raises
    ------
    ConfigError
        If the seeds differ.
    ValueError
        If the runs were not evaluated, or not on the same targets.
    """
    seeds = [[run.train_config.seed for run in runs] for runs in (proxies, without)]
    require(
        seeds[0] == seeds[1] and bool(seeds[0]),
        "Runs with proxies and without are compared seed by seed; received the "
        f"seeds {seeds[0]} and {seeds[1]}.",
    )
    contenders: dict[Task, list[Contender]] = {}
    for task in tasks:
        evaluated, _ = contenders_of([(WITHOUT, without), (WITH, proxies)], part, task)
        nulls = [
            replaced_ranks(run, part=part, task=task, seed=seed, device=device) for run in proxies
        ]
        contenders[task] = evaluated + [
            Contender(name, [ranks[name] for ranks in nulls], seeds[0])
            for name in (LEADING, RANDOM, OTHER)
        ]
    return contenders


def replaced_ranks(
    run: RunDir, *, part: str = "test", task: Task = "unseen", seed: int = 0, device: str = "cpu"
) -> dict[str, pd.DataFrame]:
    """Ranks of an evaluated run with other proxies than those that the clicks weigh.

    Returns
    -------
    dict
        - "leading proxy alone": all weight on the proxy that has most of it (no null: it tells
          what is lost by taking one proxy in place of several),
        - "random proxy": all weight on one proxy a session, with the shares that proxies have
          when sessions are read to their end,
        - "another session's clicks": see :func:`weights_of_others`.
    """
    ranks, min_prefix = run.ranks(part, task), int(run.evaluation(part, task)["min_prefix"])
    model, sessions = with_proxies(run.model("best", device)), run.split().part(part)
    prefixes = sessions.prefixes(task, min_prefix)
    dealt = np.zeros(len(sessions), np.int64)
    dealt[sessions.lengths > 0] = dealt_out(
        assignments_from_model(model, sessions)["proxy"].to_numpy(), seed
    )
    forced = {
        LEADING: torch.tensor(ranks["proxy"].to_numpy()),
        RANDOM: torch.from_numpy(dealt[prefixes.session]),
        OTHER: weights_of_others(model, sessions, prefixes, others(sessions, seed)),
    }
    return {
        name: evaluate(
            model, sessions, task=task, min_prefix=min_prefix, force_proxy=forced_proxy
        ).ranks
        for name, forced_proxy in forced.items()
    }  # fmt: skip


def others(sessions: Sessions, seed: int = 0) -> npt.NDArray[np.int64]:
    """Another session (S,) for each, of the same length or the next one to it, at random."""
    order = np.lexsort((np.random.default_rng(seed).random(len(sessions)), sessions.lengths))
    partner = np.empty(len(sessions), np.int64)
    partner[order] = np.roll(order, 1)
    return partner


@torch.inference_mode()
def weights_of_others(
    model: SessionModel, sessions: Sessions, prefixes: Prefixes, other: Ints
) -> Tensor:
    """Weights of the proxies after as many clicks of another session.

    Parameters
    ----------
    model : SessionModel
        One that chooses proxies, in evaluation mode.
    sessions : Sessions
    prefixes : Prefixes
        T of them, of at least one click.
    other : int (S,)
        Whose clicks to take in place of those of each session.

    Returns
    -------
    (T, K)
        Weights after the first n clicks of the other session, n being the length of the prefix;
        after all of them if it has fewer. Clicks before those that are read don't count.

    Raises
    ------
    ConfigError
        If a prefix or the other session has no click.
    """
    model = with_proxies(model)
    other_rows = np.asarray(other)[prefixes.session]
    n = np.minimum(prefixes.length, np.minimum(sessions.lengths, model.max_length)[other_rows])
    require(bool((n > 0).all()), "Clicks are read of each session, so each needs one at least.")
    weights = torch.empty(len(other_rows), model.n_proxies, device=model.temperature.device)
    for rows, batch in whole_sessions(model, sessions):
        path = model.path(batch)
        first = path.shape[1] - batch.lengths.cpu().numpy()  # column of the first click
        row = np.full(len(sessions), -1)
        row[rows] = np.arange(len(rows))
        row = row[other_rows]
        matched = np.flatnonzero(row >= 0)
        weights[matched] = path[row[matched], first[row[matched]] + n[matched] - 1]
    return weights


@dataclass(frozen=True)
class Verdict:
    """Whether proxies matter on a log, by the rule in the module's docstring.

    Attributes
    ----------
    task : {"unseen", "repeat"}
    cost : float
        By which share of R@20 with proxies it is lower without them.
    low, high : float
        The interval of the difference, as such a share.
    n_sessions, seeds : int
    """

    task: str
    cost: float
    low: float
    high: float
    n_sessions: int
    seeds: int

    @classmethod
    def of(cls, table: pd.DataFrame, task: str) -> Verdict:
        """The verdict that a table of :func:`compare_by`, compared with "no proxies", gives."""
        rows = table[(table["task"] == task) & (table["run"] == WITH) & (table["metric"] == METRIC)]
        require(len(rows) == 1, f"The table has no row of {METRIC} with {WITH} under {task!r}.")
        (row,) = rows.to_dict("records")
        cost, low, high = (
            row[name] / row["value"] if row["value"] > 0 else 0.0
            for name in ("difference", "difference_low", "difference_high")
        )
        return cls(task, cost, low, high, int(row["n_sessions"]), int(row["seeds"]))

    @property
    def matters(self) -> bool:
        """Whether proxies matter by the rule."""
        return self.cost >= LEAST and self.low > 0

    def __str__(self) -> str:
        effect = (
            f"without them, {METRIC} ({self.task}) changes by {-self.cost:+.1%} "
            f"[{-self.high:+.1%}, {-self.low:+.1%}] over {self.n_sessions:,} sessions and "
            f"{self.seeds} seed{'s' * (self.seeds != 1)}"
        )
        rule = f"the rule asks for {-LEAST:.0%} or lower, and an interval below 0"
        if self.matters:
            return f"Proxies matter on this log: {effect} ({rule})."
        return f"Proxies do not matter on this log: {effect} ({rule})."


def null_sentences(table: pd.DataFrame, task: str) -> list[str]:
    """A sentence for each null: whether the clicks choose proxies better than it does.

    Parameters
    ----------
    table : DataFrame
        Of :func:`compare_by`, compared with "proxies".
    task : {"unseen", "repeat"}
    """
    rows = table[(table["task"] == task) & (table["metric"] == METRIC)].set_index("run")
    by_run: dict[Any, dict[Any, float]] = rows.to_dict("index")
    base, sentences = by_run[WITH]["value"] or 1.0, []
    for name in (RANDOM, OTHER):
        columns = ("difference", "difference_low", "difference_high")
        change, low, high = (by_run[name][column] / base for column in columns)
        better = "better" if high < 0 else "no better"
        sentences.append(
            f"The clicks choose proxies {better} than “{name}”: with these, {METRIC} ({task}) "
            f"changes by {change:+.1%} [{low:+.1%}, {high:+.1%}]."
        )
    return sentences
