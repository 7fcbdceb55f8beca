"""Does a user's history help? Earlier sessions as a prior, without retraining.

A model that ``uses_history`` reads the earlier sessions of a session's user as weights of the
proxies before the first click (:mod:`proxysr.priors`). The targets are those of users who were
seen before, separately for first and for later clicks. If the history of another user helped as
much, the effect would not be due to the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.significance import Contender
from proxysr.config import require
from proxysr.data.known import dealt_out
from proxysr.data.sessions import PARTS, Sessions, Task
from proxysr.evaluation import evaluate
from proxysr.run import RunDir

NOBODY, OWN, ANOTHER = "no history", "own history", "another user's history"
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
        Of a model that ``uses_history`` and ``starts_sessions``, such as ``latent_proxy``; they
        differ only in their seeds.
    part : {"valid", "test"}
        Part of the sessions; all earlier sessions are history.
    task : {"unseen", "repeat"}
    seed : int
        Seed of the shuffled users.

    Returns
    -------
    dict
        "first click" and "later clicks" (of the same sessions) to contenders, for
        :func:`proxysr.analysis.comparison.compare_by`: "no history", "own history", and "another
        user's history": users are dealt out at random among these sessions. Ranks are among all
        items, after no click at all for the first one.

    Raises
    ------
    ConfigError
        If fewer than two sessions are of users seen before, or the model does not use history.
    """
    require(len(runs) > 0, "At least one run is needed; received none.")
    frames: dict[str, list[pd.DataFrame]] = {NOBODY: [], OWN: [], ANOTHER: []}
    for run in runs:
        model, split = run.model("best", device), run.split()
        earlier = [split.part(name) for name in PARTS[: PARTS.index(part)]]
        sessions = split.part(part)
        has_history = seen_before(sessions, earlier)
        require(
            has_history.sum() >= 2,
            f"{has_history.sum()} of {len(sessions)} sessions of {part} are of a user who was seen "
            "before; at least two are needed to tell what history gives.",
        )
        users = np.array(sessions.user_index)
        users[has_history] = dealt_out(users[has_history], seed)
        readings: dict[str, tuple[Sessions, Sequence[Sessions]]] = {
            NOBODY: (sessions, ()),
            OWN: (sessions, earlier),
            ANOTHER: (replace(sessions, user_index=users), earlier),
        }
        for name, (read_sessions, history) in readings.items():
            ranks = evaluate(model, read_sessions, task=task, min_prefix=0, history=history).ranks
            is_asked = ranks["session_id"].isin(sessions.session_ids[has_history])
            frames[name].append(ranks[is_asked])
    seeds = [run.train_config.seed for run in runs]
    return {
        kind: [
            Contender(name, [_at(ranks, kind == FIRST) for ranks in read_sessions], seeds)
            for name, read_sessions in frames.items()
        ]
        for kind in (FIRST, LATER)
    }


def seen_before(sessions: Sessions, earlier: Sequence[Sessions]) -> npt.NDArray[np.bool_]:
    """Whether the user of each session (S,) has an earlier one, there or among ``sessions``."""
    earlier_users = np.concatenate([np.empty(0, np.int64), *(part.user_index for part in earlier)])
    users = pd.Series(np.asarray(sessions.user_index))
    repeated = users.duplicated().to_numpy() | users.isin(earlier_users).to_numpy()
    return np.asarray((users >= 0).to_numpy() & repeated)


def _at(ranks: pd.DataFrame, first: bool) -> pd.DataFrame:
    return ranks[(ranks["position"] == 0) == first].reset_index(drop=True)


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
