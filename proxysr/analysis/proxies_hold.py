"""What the proxies of runs stand for, and how stable the choice of proxies is.

The agreement of proxies is measured with the users of sessions, with the season, and with k-means
of item vectors, which needs no proxies. The paper has proxies stand for users; agreement with the
season would show the assortment, and agreement with k-means what the items show by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.analysis.agreement import agreement, entropy_of
from proxysr.analysis.assignments import decisions
from proxysr.analysis.dataset import dates_of
from proxysr.analysis.known_users import baseline_labels, rows_of_known_users, strata_of
from proxysr.analysis.representations import item_vectors
from proxysr.config import ConfigError, require
from proxysr.data.sessions import PARTS, Sessions
from proxysr.run import RunDir

PROXIES, USER, ITEMS = "proxies", "user", "k-means of items"
SHORTEST = 90
"""Shortest log, in days, whose seasons are months; those of shorter logs are weeks."""

Ints = npt.NDArray[np.integer[Any]]


def decisions_of(
    runs: Sequence[RunDir], *, parts: Sequence[str] = PARTS, device: str = "cpu"
) -> pd.DataFrame:
    """:func:`proxysr.analysis.assignments.decisions` of runs, with ``seed`` and ``part``."""
    tables = []
    for run in runs:
        model, split = run.model("best", device), run.split()
        for part in parts:
            table = decisions(model, split.part(part))
            table.insert(0, "seed", run.train_config.seed)
            table.insert(1, "part", part)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def use_by_part(choices: pd.DataFrame) -> pd.DataFrame:
    """How many proxies are in use, and how stable the sessions' choices are.

    Parameters
    ----------
    choices : DataFrame
        Of :func:`decisions_of`.

    Returns
    -------
    DataFrame
        One row a seed and part: ``seed``, ``part``, ``sessions``; of the proxies after the last
        click, ``effective`` (how many of equal size would be as diverse: the exponential of the
        entropy of their shares) and ``largest`` (share of the sessions that have the most common
        one); means of ``n_clicks``, of ``proxies_met`` and of ``decided_after``, the click since
        which the last proxy leads; ``met_one``, the share of the sessions that meet one proxy.
    """
    rows = []
    for (seed, part), sessions in choices.groupby(["seed", "part"], sort=False):
        proxy = sessions["proxy"].to_numpy()
        rows.append(
            {
                "seed": seed,
                "part": part,
                "sessions": len(sessions),
                "effective": np.exp(entropy_of(proxy)),
                "largest": np.bincount(proxy).max() / len(proxy),
                "n_clicks": sessions["n_clicks"].mean(),
                "proxies_met": sessions["proxies_met"].mean(),
                "met_one": (sessions["proxies_met"] == 1).mean(),
                "decided_after": sessions["decided_after"].mean(),
            }
        )
    return pd.DataFrame(rows)


def agreement_by_truth(
    runs: Sequence[RunDir],
    choices: pd.DataFrame,
    *,
    part: str = "train",
    min_sessions: int = 2,
    n_permutations: int = 200,
    seed: int = 0,
) -> tuple[pd.DataFrame, list[str]]:
    """Agreement of proxies with user, season and k-means of item vectors.

    Parameters
    ----------
    runs : sequence of RunDir
    choices : DataFrame
        Of :func:`decisions_of`, with all of ``part``.
    part : {"train", "valid", "test"}
    min_sessions : int
        Fewest sessions of a user; sessions of others are left out.
    n_permutations, seed : int

    Returns
    -------
    DataFrame
        One row for each seed, labels ("proxies", and beside them "k-means of items": of the
        mean item vectors of the sessions, as many clusters as proxies in use) and what they are
        compared with (``truth``: "user", "month" or "week", "k-means of items"): ``seed``,
        ``labels``, ``truth``, ``ami`` (0 by chance, 1 at best), ``null_low`` and ``null_high`` of
        chance, ``p_value``, ``n_sessions``, ``n_labels``, ``n_truths``. Chance exchanges users
        among sessions of about the same length and time, the others among those of about the same
        length.
    list of str
        What is left out, and why.
    """
    rows: list[dict[str, Any]] = []
    notes: dict[str, None] = {}
    for run in runs:
        split, run_seed = run.split(), run.train_config.seed
        all_sessions = split.part(part)
        sessions = all_sessions.select(all_sessions.lengths > 0)
        own_choices = choices[(choices["seed"] == run_seed) & (choices["part"] == part)]
        require(
            np.array_equal(own_choices["session_id"], sessions.session_ids),
            f"The choices are not those of the sessions of {part}, one by one.",
        )
        proxies = own_choices["proxy"].to_numpy()
        clusters = baseline_labels(sessions, proxies, item_vectors(run.model()), seed=seed)[ITEMS]
        truths, left_out = truths_of(sessions, min_sessions)
        notes |= dict.fromkeys(left_out)
        labellings = {PROXIES: proxies, ITEMS: clusters}
        pairs = [(name, truth, *result) for truth, result in truths.items() for name in labellings]
        all_rows = np.arange(len(sessions))
        pairs.append((PROXIES, ITEMS, all_rows, clusters, strata_of(sessions.lengths)))
        for name, truth, inside, labels, strata in pairs:
            result = agreement(
                labellings[name][inside],
                labels,
                strata=strata,
                n_permutations=n_permutations,
                seed=seed,
            )
            rows.append(
                {
                    "seed": run_seed,
                    "labels": name,
                    "truth": truth,
                    "ami": result.ami,
                    "null_low": result.null_low,
                    "null_high": result.null_high,
                    "p_value": result.p_value,
                    "n_sessions": result.n_sessions,
                    "n_labels": result.n_proxies,
                    "n_truths": result.n_truths,
                }
            )
    return pd.DataFrame(rows), list(notes)


def agreement_sentences(table: pd.DataFrame) -> list[str]:
    """A sentence for each truth: whether proxies agree with it beyond chance.

    The table is that of :func:`agreement_by_truth`; means over the seeds are compared with the mean
    of what chance seldom exceeds.
    """
    means = table.groupby(["labels", "truth"], sort=False)[["ami", "null_high"]].mean()
    sentences = []
    for truth in dict.fromkeys(table["truth"]):
        ami, chance = means.loc[(PROXIES, truth)]
        more = "more than" if ami > chance else "no more than"
        words = f"Proxies agree with the {truth} {more} by chance: AMI {ami:.3f} ({chance:.3f})"
        if (ITEMS, truth) in means.index:
            words += f"; {ITEMS}: {means.loc[(ITEMS, truth), 'ami']:.3f}"
        sentences.append(f"{words}.")
    return sentences


def truths_of(
    sessions: Sessions, min_sessions: int = 2
) -> tuple[dict[str, tuple[Ints, Ints, Ints]], list[str]]:
    """Known labels of sessions: rows, labels and strata (n,) by name; and notes on missing ones."""
    truths: dict[str, tuple[Ints, Ints, Ints]] = {}
    notes = []
    try:
        rows = rows_of_known_users(sessions.user_index, min_sessions)
        strata = strata_of(sessions.lengths, sessions.started_at)
        truths[USER] = rows, sessions.user_index[rows], strata[rows]
    except ConfigError as error:
        notes.append(f"Users are left out. {error}")
    try:
        unit, season = season_of(sessions.started_at)
        rows = np.flatnonzero(season >= 0)
        truths[unit] = rows, season[rows], strata_of(sessions.lengths)[rows]
    except ConfigError as error:
        notes.append(f"The season is left out. {error}")
    return truths, notes


def season_of(started_at: npt.NDArray[np.float64]) -> tuple[str, npt.NDArray[np.int64]]:
    """The month in which sessions (S,) began; the week if the log spans less than three months.

    Returns
    -------
    str
        "month" or "week".
    int64 (S,)
        Its number, in the order of appearance; -1 where it is not known.

    Raises
    ------
    ConfigError
        If no time is known, or all sessions began in one month or week.
    """
    dates = dates_of(started_at)
    require(bool(dates.notna().any()), "It is not known when these sessions began.")
    unit = "month" if (dates.max() - dates.min()).days >= SHORTEST else "week"
    codes, seasons = pd.factorize(dates.dt.to_period(unit[0].upper()))
    require(len(seasons) > 1, f"All of these sessions began in one {unit}.")
    return unit, codes.astype(np.int64)
