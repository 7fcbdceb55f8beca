"""Table 4: the effect of knowing more users.

A share (percent) of the frequent users is known (see :mod:`proxysr.data.known`); 0 is among the
shares. Each share has a data folder with the same sessions, so it is compared with 0 % target by
target: over all sessions, over those of users known at this share, and over the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.alike import Trained
from proxysr.analysis.assignments import assignments_from_model
from proxysr.analysis.comparison import as_read
from proxysr.analysis.known_users import rows_of_known_users, strata_of
from proxysr.analysis.significance import CompareConfig, Contender, compare, holm
from proxysr.analysis.users import user_agreement
from proxysr.config import require
from proxysr.data.known import anonymous, with_known_users
from proxysr.data.sessions import Sessions, SessionSplit, Task
from proxysr.experiments.spec import Spec, Variant
from proxysr.models import model_class
from proxysr.paper.evidence import Evidence
from proxysr.run import RunDir

Shares = Mapping[int, Sequence[RunDir]]
"""Share to its runs, one for each seed."""

SHARES = (0, 10, 30, 50)
ALL, KNOWN, OTHERS = "all", "known users", "others"
WITH, WITHOUT, NOBODY = "with bias", "bias left out", "0 % known"


def data_of_shares(
    data_dir: str | Path,
    shares: Sequence[int],
    folder: str | Path,
    *,
    min_sessions: int = 10,
    seed: int = 0,
) -> dict[int, Path]:
    """A folder with the prepared data for each share of known users.

    Parameters
    ----------
    data_dir : str or Path
        What ``proxysr prepare`` wrote, with users.
    shares : sequence of int
        Percentages of the users with at least ``min_sessions`` training sessions, 0 among them.
    folder : str or Path
        Where the folders are made.
    min_sessions, seed
        See :func:`proxysr.data.known.with_known_users`.

    Returns
    -------
    dict
        Percentage, ascending, to folder.

    Raises
    ------
    ConfigError
        If 0 is not among the shares, one is out of range, or there are no users to be known.
    """
    require(
        0 in shares and len(set(shares)) > 1,
        "Shares are compared with 0 %, so 0 and at least one more are needed; received "
        f"{', '.join(map(str, shares)) or 'none'}.",
    )
    split = SessionSplit.load(data_dir)
    folders: dict[int, Path] = {}
    for share in sorted(set(shares)):
        prepared = with_known_users(split, share / 100, min_sessions=min_sessions, seed=seed)
        folders[share] = prepared.save(Path(folder) / f"data-{prepared.fingerprint()[:8]}")
    return folders


def known_table(data: Mapping[int, Path]) -> pd.DataFrame:
    """How much is known at each share.

    Returns
    -------
    DataFrame
        Indexed by share (percent): ``known_users``, ``of_users`` (with enough training sessions);
        ``train_sessions`` and ``test_sessions`` of known users, and each as a share of all.
    """
    rows = []
    for share, folder in data.items():
        split = SessionSplit.load(folder)
        row = {"share": share, "known_users": split.n_users}
        row["of_users"] = split.provenance["known_users"]["of_users"]
        for part in ("train", "test"):
            has_user = np.asarray(split.part(part).user_index) >= 0
            row |= {f"{part}_sessions": has_user.sum(), f"of_{part}": has_user.mean()}
        rows.append(row)
    return pd.DataFrame(rows).set_index("share")


def share_specs(variant: Variant, data: Mapping[int, Path], **fields: Any) -> list[Spec]:
    """A variant on the data of each share, with a bias for each of its known users.

    Parameters
    ----------
    variant : Variant
        Of a model with ``n_users``: ProxySR.
    data : mapping
        Share to folder, see :func:`data_of_shares`.
    **fields
        Further fields of the specs.

    Raises
    ------
    ConfigError
        If the model knows no users by name.
    """
    require(
        "n_users" in model_class(variant.model).Config.model_fields,
        f"Only ProxySR has a bias of known users; {variant.name!r} is a {variant.model}.",
    )
    return [
        Spec(
            {f"{share} % known": folder},
            [variant.changed(f"{share} % known", n_users=SessionSplit.load(folder).n_users)],
            **fields,
        )
        for share, folder in data.items()
    ]


def effects(
    runs: Shares, *, task: Task = "unseen", config: CompareConfig | None = None
) -> pd.DataFrame:
    """:func:`effects_of` the evidence of runs, share to one run for each seed."""
    _check(runs)
    evidence = {share: [Evidence.of_run(run) for run in members] for share, members in runs.items()}
    return effects_of(evidence, task=task, config=config)


def effects_of(
    runs: Mapping[int, Sequence[Evidence]],
    *,
    task: Task = "unseen",
    config: CompareConfig | None = None,
) -> pd.DataFrame:
    """Metrics at each share, and how they differ from those of 0 % on the same sessions.

    Parameters
    ----------
    runs : mapping
        Share to evidence of evaluated runs, one for each seed.
    task : {"unseen", "repeat"}
    config : CompareConfig, optional

    Returns
    -------
    DataFrame
        For each share, kind of ``sessions`` ("all", "known users": known at this share, "others")
        and metric: ``share``, ``sessions``, ``n_users`` (known, with one of these sessions), and
        what :func:`proxysr.analysis.significance.compare` says of the run "10 % known" and so on,
        compared with "0 % known". The
        first rows are those of 0 % itself. P-values are corrected for all rows. Kinds with fewer
        than two sessions have no row.

    Raises
    ------
    ConfigError
        If there is nothing to compare with 0 %, or seeds differ between the shares.
    ValueError
        If runs were not evaluated, or not on the same targets.
    """
    seeds = _check(runs)
    tables: list[pd.DataFrame] = []
    for share in sorted(set(runs) - {0}):
        one = runs[share][0]
        known = one.ranked[task].known
        for kind, of_known in ((ALL, None), (KNOWN, True), (OTHERS, False)):
            pair = [
                Contender(
                    f"{percent} % known",
                    [replace(run.ranked[task], known=known).frame(of_known) for run in members],
                    seeds,
                )
                for percent, members in ((0, runs[0]), (share, runs[share]))
            ]
            if pair[0].ranks[0]["session_id"].nunique() < 2:
                continue
            n_users = 0 if kind == OTHERS else one.n_known
            table_of_kind = compare(pair, config).assign(
                share=share, sessions=kind, n_users=n_users
            )
            if not tables:
                tables.append(
                    table_of_kind[table_of_kind["run"] == NOBODY].assign(share=0, n_users=0)
                )
            tables.append(table_of_kind[table_of_kind["run"] != NOBODY])
    table = pd.concat(tables, ignore_index=True)
    tested = table["p_value"].notna()
    table.loc[tested, "p_holm"] = holm(table.loc[tested, "p_value"].to_numpy())
    return table[["share", "sessions", "n_users", *table.columns[:-3]]]


def effects_as_read(table: pd.DataFrame, *, digits: int = 4) -> pd.DataFrame:
    """:func:`effects` for reading: a row a kind of sessions and share."""
    place = {kind: place for place, kind in enumerate((ALL, KNOWN, OTHERS))}
    rows = table[table["share"] > 0]
    rows = rows.sort_values("sessions", key=lambda column: column.map(place), kind="stable")
    return as_read(rows, by=("sessions", "share", "n_users", "n_targets"), digits=digits)


def choices_of_shares(runs: Shares, *, part: str = "test", device: str = "cpu") -> pd.DataFrame:
    """The proxy that each session chooses at each share, with its user's bias and without.

    Without means: the same weights, with an anonymous session.

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
            readings = {WITH: sessions} if share else {}
            for choice, read_sessions in (readings | {WITHOUT: anonymous(sessions)}).items():
                assignments = assignments_from_model(model, read_sessions)
                columns: dict[str, Any] = {
                    "share": share,
                    "seed": run.train_config.seed,
                    "choice": choice,
                }
                assignments = assignments[["session_id", "proxy", "probability", "entropy"]]
                tables.append(assignments.assign(known=known, **columns))
    return pd.concat(tables, ignore_index=True)


def sharpness(choices: pd.DataFrame) -> pd.DataFrame:
    """How peaked the choices of sessions of known users are: with bias, without it, at 0 %.

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
        is_known = frames[WITH]["known"].to_numpy()
        for choice in (WITH, WITHOUT, NOBODY):
            of_choice, without_bias = frames[choice][is_known], frames[WITHOUT][is_known]
            if not len(of_choice):
                continue
            moved = float(
                (of_choice["proxy"].to_numpy() != without_bias["proxy"].to_numpy()).mean()
            )
            rows.append(
                {
                    "share": share,
                    "seed": seed,
                    "choice": choice,
                    "n_sessions": len(of_choice),
                    "mean_max_pi": of_choice["probability"].mean(),
                    "entropy": of_choice["entropy"].mean(),
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
    tables: list[pd.DataFrame] = []
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
            tables.append(
                table[["choice", "ami", "null_low", "null_high", "p_value"]].assign(
                    share=share, seed=run_seed, sessions=kind, n_sessions=len(enough),
                    n_users=len(np.unique(users[enough])),
                )
            )  # fmt: skip
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _rows_of_users(users: npt.NDArray[np.integer[Any]], n: int) -> npt.NDArray[np.int64]:
    counts = np.bincount(users[users >= 0], minlength=1)
    return rows_of_known_users(users, n) if (counts >= n).sum() >= 2 else np.empty(0, np.int64)


def _by_run(choices: pd.DataFrame) -> list[tuple[int, int, dict[str, pd.DataFrame]]]:
    """Share above 0, seed, and name of a choice to its rows, all in the order of the sessions."""
    by_key: dict[Any, pd.DataFrame] = {
        key: rows.reset_index(drop=True)
        for key, rows in choices.groupby(["share", "seed", "choice"], sort=False)
    }
    return [
        (
            share,
            seed,
            {WITH: rows, WITHOUT: by_key[share, seed, WITHOUT], NOBODY: by_key[0, seed, WITHOUT]},
        )
        for (share, seed, choice), rows in by_key.items()
        if choice == WITH
    ]


def _check(runs: Mapping[int, Sequence[Trained]]) -> list[int]:
    """The seeds of every share."""
    require(
        0 in runs and len(runs) > 1,
        "Shares of known users are compared with 0 %: runs of 0 and of at least one more are "
        f"needed; received {', '.join(f'{share} %' for share in runs) or 'none'}.",
    )
    seeds = {share: [run.train_config.seed for run in runs[share]] for share in runs}
    require(
        all(listed == seeds[0] and listed for listed in seeds.values()),
        f"Every share needs runs with the same seeds, in the same order; received {seeds}.",
    )
    return seeds[0]
