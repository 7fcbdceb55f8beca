"""Who the sessions of a split belong to: only some users known, or other groups in their place.

In Table 4 of the ProxySR paper, a share of the users with at least 10 sessions is known, and all
other sessions are anonymous. Here, these users are put in one seeded order, and a share takes the
first ones: users known at 10 % are also known at 30 %, so that two shares differ only by the
further users.

>>> import pandas as pd
>>> train = Sessions.from_lists([[1, 2]] * 5, user_index=[0, 1, 1, 2, 2])
>>> none = Sessions.from_lists([])
>>> tables = {"items": pd.DataFrame({"item_id": ["a", "b"]}),
...           "users": pd.DataFrame({"user_id": ["ann", "bob", "cleo"]})}
>>> split = with_known_users(SessionSplit(train, none, none, **tables), 0.5, min_sessions=2)
>>> split.users["user_id"].tolist(), split.train.user_index
(['bob'], array([-1,  0,  0, -1, -1], dtype=int32))

In Table 6, groups of sessions replace the users, for models that remember a user's earlier
sessions.

>>> dealt_out(np.array([3, 3, 5, -1]), seed=0)
array([ 5,  3,  3, -1])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.config import require
from proxysr.data.sessions import PARTS, Ints, Sessions, SessionSplit


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
        share == 0 or split.n_users > 0,
        "No session has a user, so none can be known. Prepare the log with its column of users "
        "(user=…, --user).",
    )
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
    users = {name: code[split.part(name).user_index] for name in PARTS}
    table = split.users.iloc[known_users].reset_index(drop=True)
    return _of_users(split, users, table, known_users=description)


def grouped(split: SessionSplit, groups: Mapping[str, Ints] | None, by: str) -> SessionSplit:
    """A copy of the split with other groups in place of users.

    Parameters
    ----------
    split : SessionSplit
    groups : mapping, optional
        Part ("train", "valid", "test") to the group (S,) of each of its sessions, a number from 0
        on or -1 where there is none. If left out, no session belongs to any.
    by : str
        What the groups are: they are named ``BY 0``, ``BY 1`` and so on, and the provenance tells.

    Raises
    ------
    ConfigError
        If a part is missing, or its groups are not one a session.
    """
    if groups is None:
        groups = {name: np.full(len(split.part(name)), -1) for name in PARTS}
    require(
        set(groups) == set(PARTS),
        f"Groups are needed for {', '.join(PARTS)}; received {', '.join(groups) or 'none'}.",
    )
    for name, codes in groups.items():
        n = len(split.part(name))
        require(
            len(codes) == n,
            f"Groups are one a session; received {len(codes)} for the {n} of {name}.",
        )
    n_groups = max(int(np.max(codes, initial=-1)) for codes in groups.values()) + 1
    table = pd.DataFrame({"user_id": [f"{by} {number}" for number in range(n_groups)]})
    description = {"by": by, "fingerprint": split.fingerprint()}
    return _of_users(split, groups, table, grouped=description)


def _of_users(
    split: SessionSplit, users: Mapping[str, Ints], table: pd.DataFrame, **provenance: Any
) -> SessionSplit:
    """The split with other users (S,) in each part, and their table."""
    parts: dict[str, Any] = {
        name: replace(split.part(name), user_index=np.asarray(users[name], np.int32))
        for name in PARTS
    }
    return replace(split, **parts, users=table, provenance={**split.provenance, **provenance})


def dealt_out(groups: Ints, seed: int) -> Ints:
    """The groups (S,) in random order: the same sizes without meaning."""
    return np.asarray(np.random.default_rng(seed).permutation(groups))


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


def seen_before(sessions: Sessions, earlier: Sequence[Sessions]) -> npt.NDArray[np.bool_]:
    """Whether the user of each session (S,) has an earlier one, there or among ``sessions``."""
    earlier_users = np.concatenate([np.empty(0, np.int64), *(part.user_index for part in earlier)])
    users = pd.Series(np.asarray(sessions.user_index))
    repeated = users.duplicated().to_numpy() | users.isin(earlier_users).to_numpy()
    return np.asarray((users >= 0).to_numpy() & repeated)
