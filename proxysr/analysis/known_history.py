"""Does a user's history help? Earlier sessions as a prior, without retraining.

A model that ``uses_history`` reads the earlier sessions of a session's user as weights of the
proxies before the first click (:mod:`proxysr.priors`). The targets are those of users who were
seen before, separately for first and for later clicks. If the history of another user helped as
much, the effect would not be due to the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from proxysr.analysis.comparison import compare_by
from proxysr.analysis.significance import CompareConfig, Contender
from proxysr.config import require
from proxysr.data.sessions import Task
from proxysr.evaluation import WhoseHistory, evaluate_with_history
from proxysr.run import RunDir

NOBODY, OWN, ANOTHER = "no history", "own history", "another user's history"
NAMES: dict[WhoseHistory, str] = {"none": NOBODY, "own": OWN, "another": ANOTHER}
FIRST, LATER = "first click", "later clicks"
METRIC = "R@20"


def history_ranks(
    runs: Sequence[RunDir],
    *,
    part: str = "test",
    task: Task = "unseen",
    seed: int = 0,
    device: str = "cpu",
) -> dict[str, list[Contender]]:
    """Ranks of the sessions of users seen before, without history, with it, and with another's.

    Parameters
    ----------
    runs : sequence of RunDir
        They differ only in their seeds.
    part, task, seed
        See :func:`proxysr.evaluation.evaluate_with_history`.
    device : {"auto", "cpu", "cuda"}

    Returns
    -------
    dict
        See :func:`by_clicks`.

    Raises
    ------
    ConfigError
        If fewer than two sessions are of users seen before, or the model does not use history.
    """
    require(len(runs) > 0, "At least one run is needed; received none.")
    frames: dict[WhoseHistory, list[pd.DataFrame]] = {history: [] for history in NAMES}
    for run in runs:
        model, split = run.model("best", device), run.split()
        for history, members in frames.items():
            found = evaluate_with_history(model, split, history, part=part, task=task, seed=seed)
            members.append(found.ranks)
    return by_clicks(frames, [run.train_config.seed for run in runs])


def by_clicks(
    frames: Mapping[WhoseHistory, Sequence[pd.DataFrame]], seeds: Sequence[int]
) -> dict[str, list[Contender]]:
    """Ranks from the first click on, for :func:`proxysr.analysis.comparison.compare_by`.

    Parameters
    ----------
    frames : mapping
        Whose history was read to the ranks of each run, as
        :func:`proxysr.evaluation.evaluate_with_history` gives them.
    seeds : sequence of int
        Of the runs.

    Returns
    -------
    dict
        "first click" and "later clicks" (of the same sessions) to contenders: "no history", "own
        history", and "another user's history". Ranks are among all items, after no click at all
        for the first one.
    """
    return {
        kind: [
            Contender(NAMES[history], [_at(ranks, kind == FIRST) for ranks in members], seeds)
            for history, members in frames.items()
        ]
        for kind in (FIRST, LATER)
    }


def gains(
    ranks: Mapping[str, list[Contender]], config: CompareConfig
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ranks of :func:`by_clicks`, compared with no history and with another user's."""
    without, against = (
        compare_by("clicks", ranks, reference=reference, config=config)
        for reference in (NOBODY, ANOTHER)
    )
    return without, against


def _at(ranks: pd.DataFrame, first: bool) -> pd.DataFrame:
    """The first target of each session, which is its first click, or all others."""
    return ranks[~ranks["session_id"].duplicated() == first].reset_index(drop=True)


def helps(table: pd.DataFrame, against: pd.DataFrame, kind: str) -> bool:
    """Whether history helps beyond what another user's gives.

    Both differences of R@20, to no history and to that of another user, have to be above 0 with
    their whole interval.

    Parameters
    ----------
    table, against : DataFrame
        Of :func:`compare_by`, by ``clicks``: compared with no history and with another
        user's.
    kind : {"first click", "later clicks"}
    """
    return all(_row(some, kind, OWN)["difference_low"] > 0 for some in (table, against))


def history_sentences(table: pd.DataFrame, against: pd.DataFrame) -> list[str]:
    """A sentence for first and one for later clicks; parameters are those of :func:`helps`."""
    sentences = []
    for kind in (FIRST, LATER):
        without, with_own, beyond_other = (
            _row(table, kind, NOBODY),
            _row(table, kind, OWN),
            _row(against, kind, OWN),
        )
        verb = "helps" if helps(table, against, kind) else "does not help"
        sentences.append(
            f"At the {kind}, a user's own history {verb} beyond another user's: {METRIC} "
            f"{without['value']:.4f} → {with_own['value']:.4f}, "
            f"{_change(with_own)} to no history and "
            f"{_change(beyond_other)} to another user's ({int(with_own['n_sessions']):,} sessions)."
        )
    return sentences


def _change(row: Mapping[str, float]) -> str:
    low, high = row["difference_low"], row["difference_high"]
    return f"{row['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"


def _row(table: pd.DataFrame, kind: str, name: str) -> dict[Any, Any]:
    rows = table[(table["clicks"] == kind) & (table["run"] == name) & (table["metric"] == METRIC)]
    require(len(rows) == 1, f"The table has no row of {METRIC} with {name} at the {kind}.")
    return dict(rows.iloc[0])
