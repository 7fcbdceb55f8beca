"""Splits in which only some users are known, as in Table 4 of the ProxySR paper.

There, a share of the users with at least 10 sessions is known, and all other sessions are
anonymous. Here, these users are put in one seeded order, and a share takes the first ones: users
known at 10 % are also known at 30 %, so that two shares differ only by the further users.

>>> import pandas as pd
>>> train = Sessions.from_lists([[1, 2]] * 5, user_index=[0, 1, 1, 2, 2])
>>> none = Sessions.from_lists([])
>>> tables = {"items": pd.DataFrame({"item_id": ["a", "b"]}),
...           "users": pd.DataFrame({"user_id": ["ann", "bob", "cleo"]})}
>>> split = with_known_users(SessionSplit(train, none, none, **tables), 0.5, min_sessions=2)
>>> split.users["user_id"].tolist(), split.train.user_index
(['bob'], array([-1,  0,  0, -1, -1], dtype=int32))
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from proxysr.config import require
from proxysr.data.sessions import Sessions, SessionSplit


def with_known_users(
    split: SessionSplit, share: float, *, min_sessions: int = 10, seed: int = 0
) -> SessionSplit:
    """The same sessions, with a share of their frequent users known and all others anonymous.

    Parameters
    ----------
    split : SessionSplit
    share : float
        Of the users with at least ``min_sessions`` training sessions, in [0, 1]; rounded to whole
        users.
    min_sessions : int
        Other users are never known.
    seed : int
        Seed of the order in which users become known.

    Returns
    -------
    SessionSplit
        ``users`` are the known ones, in that order, and ``user_index`` counts them from 0 on in all
        three parts: a larger share with the same seed only adds users behind. ``provenance`` has
        an entry ``known_users``.

    Raises
    ------
    ConfigError
        If an argument is out of range, or the share is above 0 and no user has enough sessions.
    """
    require(0 <= share <= 1, f"share is from 0 to 1; received {share}.")
    order = order_of_users(split, min_sessions=min_sessions, seed=seed)
    known_users = order[: round(share * len(order))]
    require(
        share == 0 or len(known_users) > 0,
        f"{share:.0%} of the {len(order)} users with at least {min_sessions} training sessions is "
        f"nobody; no user has more than {_sessions_of_users(split).max(initial=0)} of them. Take "
        "a larger share, or lower min_sessions.",
    )
    code = np.full(split.n_users + 1, -1, np.int32)  # the last is for those unknown before: -1
    code[known_users] = np.arange(len(known_users))
    description = {
        "share": share,
        "min_sessions": min_sessions,
        "seed": seed,
        "of_users": len(order),
        "known": len(known_users),
        "of_data": split.fingerprint(),
    }
    return replace(
        split,
        train=replace(split.train, user_index=code[split.train.user_index]),
        valid=replace(split.valid, user_index=code[split.valid.user_index]),
        test=replace(split.test, user_index=code[split.test.user_index]),
        users=split.users.iloc[known_users].reset_index(drop=True),
        provenance={**split.provenance, "known_users": description},
    )


def order_of_users(
    split: SessionSplit, *, min_sessions: int = 10, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Users (n,) with enough training sessions, in the seeded order in which they become known."""
    require(min_sessions >= 1, f"min_sessions is at least 1; received {min_sessions}.")
    require(seed >= 0, f"seed is not negative; received {seed}.")
    frequent = np.flatnonzero(_sessions_of_users(split) >= min_sessions)
    return np.random.default_rng(seed).permutation(frequent)


def anonymous(sessions: Sessions) -> Sessions:
    """The same sessions without users."""
    return replace(sessions, user_index=np.full(len(sessions), -1, np.int32))


def check_users(split: SessionSplit, n_users: int) -> None:
    """Raise ``ConfigError`` if the training sessions do not have the first ``n_users`` users.

    For ``ProxySRConfig.n_users``.
    """
    n_known = split.n_users
    require(
        n_users <= n_known,
        f"n_users is {n_users}, but the data know {n_known} users. Make it smaller"
        + ("." if n_known else ", or prepare the data with their users."),
    )
    users = np.asarray(split.train.user_index)
    require(
        n_users == 0 or bool(((users >= 0) & (users < n_users)).any()),
        f"n_users is {n_users}, but no training session is of one of the first {n_users} of the "
        f"data's {n_known} users: nothing can be learnt of them. Leave it out.",
    )


def _sessions_of_users(split: SessionSplit) -> npt.NDArray[np.int64]:
    """Number of training sessions of each user, (n_users,)."""
    users = np.asarray(split.train.user_index)
    return np.bincount(users[users >= 0], minlength=split.n_users)
