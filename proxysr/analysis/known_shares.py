"""What changes if more users are known: Table 4 of the ProxySR paper, taken apart.

Handed in are runs by share: percentages of users that are known (see :mod:`proxysr.data.known`) to
runs, one for each seed, with 0 among them. All have the same sessions, so what a share gives is
held against 0 % target by target: over all sessions, over those of the users that are known at
this share, and over the others, who stay anonymous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.assignments import assignments_from_model
from proxysr.analysis.comparison import estimates, range_of_seeds
from proxysr.analysis.known_users import rows_of_known_users, strata_of
from proxysr.analysis.significance import CompareConfig, Contender, holm
from proxysr.analysis.users import user_agreement
from proxysr.config import require
from proxysr.data.known import anonymous
from proxysr.data.sessions import Sessions, Task
from proxysr.run import RunDir

Shares = Mapping[int, Sequence[RunDir]]

ALL, KNOWN, OTHERS = "all", "known users", "others"
WITH, WITHOUT, NOBODY = "with bias", "bias left out", "0 % known"


def effects(
    runs: Shares,
    *,
    part: str = "test",
    task: Task = "unseen",
    config: CompareConfig | None = None,
) -> pd.DataFrame:
    """Metrics at each share, and how they differ from those of 0 % on the same sessions.

    Parameters
    ----------
    runs : mapping
        Share to evaluated runs.
    part : {"train", "valid", "test"}
    task : {"unseen", "repeat"}
    config : CompareConfig, optional

    Returns
    -------
    DataFrame
        One row for each share, kind of sessions and metric: ``share``; ``sessions`` ("all", "known
        users": known at this share, "others"); ``n_users`` (known, with one of these sessions),
        ``n_sessions``, ``n_targets``, ``seeds``; ``metric``, ``value`` with ``low`` and ``high``;
        ``reference``, the value of 0 % on the same sessions; ``difference`` to it,
        ``difference_low``, ``difference_high``; ``least`` and ``most``, the smallest and
        largest difference of two runs of one seed; ``p_value``, and ``p_holm``, corrected for
        all rows. Values are means over the seeds;
        intervals are those of another draw of sessions. Kinds with fewer than two sessions have
        no row.

    Raises
    ------
    ConfigError
        If there is nothing to hold against 0 %, or seeds differ between the shares.
    ValueError
        If runs were not evaluated, or not on the same targets.
    """
    config = CompareConfig() if config is None else config
    _check(runs)
    ranks = {share: [run.ranks(part, task) for run in members] for share, members in runs.items()}
    tables: list[pd.DataFrame] = []
    for share in sorted(set(runs) - {0}):
        sessions = runs[share][0].split().part(part)
        ids = np.asarray(sessions.session_ids)
        is_known = np.asarray(sessions.user_index) >= 0
        for kind, chosen in [(ALL, ids), (KNOWN, ids[is_known]), (OTHERS, ids[~is_known])]:
            before, after = (_of_sessions(ranks[one], chosen) for one in (0, share))
            n_sessions = before[0]["session_id"].nunique()
            if n_sessions < 2:
                continue
            found = estimates([Contender("0", before), Contender("share", after)], config)
            base, own = (found[found["run"] == name] for name in ("0", "share"))
            facts: dict[str, Any] = {
                "sessions": kind,
                "n_sessions": n_sessions,
                "n_targets": len(before[0]),
            }
            facts["seeds"] = len(after)
            if not tables:
                tables.append(base.assign(share=0, n_users=0, reference=base["value"], **facts))
            least, most = range_of_seeds(before, after, config.metrics)
            more: dict[str, Any] = {
                "reference": base["value"].to_numpy(),
                "least": least,
                "most": most,
            }
            n_users = len(np.unique(sessions.user_index[is_known]))
            tables.append(own.assign(share=share, n_users=n_users, **facts, **more))
    table = pd.concat(tables, ignore_index=True)
    tested = table["p_value"].notna()
    table.loc[tested, "p_holm"] = holm(table.loc[tested, "p_value"].to_numpy())
    columns = ["share", "sessions", "n_users", "n_sessions", "n_targets", "seeds", "metric",
               "value", "low", "high", "reference", "difference", "difference_low",
               "difference_high", "least", "most", "p_value", "p_holm"]  # fmt: skip
    return table[columns]


def effects_as_read(table: pd.DataFrame, *, digits: int = 4) -> pd.DataFrame:
    """:func:`effects` for reading: a row a kind of sessions and share, columns a metric each."""
    rows = table[table["share"] > 0]
    keys = ["sessions", "share", "n_users", "n_targets"]
    own, change = f".{digits}f", f"+.{digits}f"
    shown = rows[keys].drop_duplicates().set_index(keys[:2])
    for metric, group in rows.groupby("metric", sort=False):
        found = group.set_index(keys[:2])
        shown[f"{metric} at 0 %"] = found["reference"].map(lambda v: f"{v:{own}}")
        shown[f"{metric}, difference"] = [
            f"{row.difference:{change}} [{row.difference_low:{change}}, "
            f"{row.difference_high:{change}}]"
            for row in found.itertuples()
        ]
        shown[f"{metric}, seeds"] = [
            f"{row.least:{change}} to {row.most:{change}}" for row in found.itertuples()
        ]
        shown[f"{metric}, p (Holm)"] = found["p_holm"].map(lambda p: f"{p:.3g}")
    order = [kind for kind in (ALL, KNOWN, OTHERS) if kind in shown.index]
    return shown.loc[order]


def choices_of_shares(runs: Shares, *, part: str = "test", device: str = "cpu") -> pd.DataFrame:
    """The proxy that each session chooses at each share, with its user's bias and without.

    Without means: the same weights, but the model is not told the user.

    Returns
    -------
    DataFrame
        One row for each share, seed, session and choice: ``share``, ``seed``, ``session_id``,
        ``known`` (whether its user is, at this share), ``choice`` ("with bias" or "bias left
        out"; at 0 % only the latter), ``proxy``, ``probability`` (its weight) and ``entropy``.
    """
    _check(runs)
    tables = []
    for share in sorted(runs):
        for run in runs[share]:
            model = run.model("best", device)
            sessions = run.split().part(part)
            known = np.asarray(sessions.user_index)[sessions.lengths > 0] >= 0
            asked = {WITH: sessions} if share else {}
            for choice, told in (asked | {WITHOUT: anonymous(sessions)}).items():
                found = assignments_from_model(model, told)
                facts: dict[str, Any] = {
                    "share": share,
                    "seed": run.train_config.seed,
                    "choice": choice,
                }
                found = found[["session_id", "proxy", "probability", "entropy"]]
                tables.append(found.assign(known=known, **facts))
    return pd.concat(tables, ignore_index=True)


def sharpness(choices: pd.DataFrame) -> pd.DataFrame:
    """How decided sessions of known users are, with their bias, without it, and if none is known.

    Parameters
    ----------
    choices : DataFrame
        Of :func:`choices_of_shares`.

    Returns
    -------
    DataFrame
        One row for each share, seed and choice ("with bias", "bias left out" and "0 % known": by
        the model of 0 %), each over the sessions of users that are known at the share:
        ``n_sessions``, ``mean_max_pi``, ``entropy`` (nats), and ``moved``: the share of sessions
        that choose another proxy than with the bias left out (NaN for the model of 0 %, whose
        proxies are others).
    """
    rows: list[dict[str, Any]] = []
    for share, seed, frames in _by_run(choices):
        inside = frames[WITH]["known"].to_numpy()
        for choice in (WITH, WITHOUT, NOBODY):
            own, plain = frames[choice][inside], frames[WITHOUT][inside]
            if not len(own):
                continue
            moved = float((own["proxy"].to_numpy() != plain["proxy"].to_numpy()).mean())
            rows.append(
                {
                    "share": share,
                    "seed": seed,
                    "choice": choice,
                    "n_sessions": len(own),
                    "mean_max_pi": own["probability"].mean(),
                    "entropy": own["entropy"].mean(),
                    "moved": np.nan if choice == NOBODY else moved,
                }
            )
    return pd.DataFrame(rows, columns=["share", "seed", "choice", "n_sessions", "mean_max_pi",
                                       "entropy", "moved"])  # fmt: skip


def agreement_of_shares(
    choices: pd.DataFrame,
    sessions: Sessions,
    *,
    min_sessions: int = 2,
    n_permutations: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """How well proxies agree with the true users, those of known users and of the others apart.

    Parameters
    ----------
    choices : DataFrame
        Of :func:`choices_of_shares`.
    sessions : Sessions
        Those that chose, with all their users, told to the model or not.
    min_sessions : int
        Fewest sessions of a user; sessions of others are left out.
    n_permutations, seed : int
        See :func:`proxysr.analysis.users.user_agreement`; chance exchanges users among sessions
        of about the same length and time.

    Returns
    -------
    DataFrame
        One row for each share, seed, kind of ``sessions`` ("known users", "others") and choice
        (see :func:`sharpness`; for the others a bias changes nothing, so there is no row without):
        ``n_sessions``, ``n_users``, ``ami``, ``null_low``, ``null_high``, ``p_value``. Kinds with
        fewer than two users have no row.
    """
    clicked = sessions.select(sessions.lengths > 0)
    users = np.asarray(clicked.user_index)
    strata = strata_of(clicked.lengths, clicked.started_at)
    rows: list[dict[str, Any]] = []
    for share, run_seed, frames in _by_run(choices):
        require(
            np.array_equal(frames[WITH]["session_id"], clicked.session_ids),
            "The choices are not those of these sessions, one by one.",
        )
        known = frames[WITH]["known"].to_numpy()
        for kind, inside in [(KNOWN, known), (OTHERS, ~known)]:
            enough = _rows_of_users(np.where(inside, users, -1), min_sessions)
            if not len(enough):
                continue
            names = (WITH, WITHOUT, NOBODY) if kind == KNOWN else (WITH, NOBODY)
            table = user_agreement(
                {name: frames[name]["proxy"].to_numpy()[enough] for name in names},
                users[enough],
                strata=strata[enough],
                n_permutations=n_permutations,
                seed=seed,
            )
            table = table[table["metric"] == "AMI"].rename(
                columns={"labels": "choice", "value": "ami"}
            )
            facts = {"share": share, "seed": run_seed, "sessions": kind}
            facts |= {"n_sessions": len(enough), "n_users": len(np.unique(users[enough]))}
            kept = table[["choice", "ami", "null_low", "null_high", "p_value"]]
            columns = [str(name) for name in kept]
            rows += [
                facts | dict(zip(columns, row, strict=True)) for row in kept.itertuples(index=False)
            ]
    return pd.DataFrame(rows)


def _rows_of_users(users: npt.NDArray[np.integer[Any]], n: int) -> npt.NDArray[np.int64]:
    counts = np.bincount(users[users >= 0], minlength=1)
    return rows_of_known_users(users, n) if (counts >= n).sum() >= 2 else np.empty(0, np.int64)


def _by_run(choices: pd.DataFrame) -> list[tuple[int, int, dict[str, pd.DataFrame]]]:
    """Share above 0, seed, and name of a choice to its rows, all in the order of the sessions."""
    found: dict[Any, pd.DataFrame] = {
        key: rows.reset_index(drop=True)
        for key, rows in choices.groupby(["share", "seed", "choice"], sort=False)
    }
    return [
        (
            share,
            seed,
            {WITH: rows, WITHOUT: found[share, seed, WITHOUT], NOBODY: found[0, seed, WITHOUT]},
        )
        for (share, seed, choice), rows in found.items()
        if choice == WITH
    ]


def _check(runs: Shares) -> None:
    require(
        0 in runs and len(runs) > 1,
        "Shares of known users are held against 0 %: runs of 0 and of at least one more are "
        f"needed; received {', '.join(f'{share} %' for share in runs) or 'none'}.",
    )
    seeds = {share: [run.train_config.seed for run in runs[share]] for share in runs}
    require(
        all(some == seeds[0] and some for some in seeds.values()),
        f"Every share needs runs with the same seeds, in the same order; received {seeds}.",
    )


def _of_sessions(frames: Sequence[pd.DataFrame], ids: npt.NDArray[Any]) -> list[pd.DataFrame]:
    return [frame[frame["session_id"].isin(ids)].reset_index(drop=True) for frame in frames]
