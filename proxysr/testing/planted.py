"""Sessions with a planted order, and the same without it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from proxysr.data.sessions import Sessions, SessionSplit

N_ITEMS = 40
SESSIONS = [[4, 2, 7], [9], [3, 3, 5, 1, 6, 8, 40], [12, 13]]
"""Prefixes of different lengths, one of them with a repeat."""


def cycles(n_sessions: int, seed: int, *, shuffled: bool = False) -> Sessions:
    """Sessions that walk forward along one of four cycles of ten items.

    Now and then a step is skipped. The walk is asymmetric: after i comes i + 1, never i - 1.
    ``shuffled`` keeps the item counts and lengths but draws every click at random.
    """
    rng = np.random.default_rng(seed)
    lists = []
    for _ in range(n_sessions):
        length, cycle, start = rng.integers(4, 9), rng.integers(4), rng.integers(10)
        steps = np.cumsum(rng.choice([1, 2], size=length, p=[0.9, 0.1])) + start
        lists.append((1 + cycle * 10 + steps % 10).tolist())
    if shuffled:
        flat = rng.permutation([item for clicks in lists for item in clicks])
        bounds = np.cumsum([len(clicks) for clicks in lists])[:-1]
        lists = [part.tolist() for part in np.split(flat, bounds)]
    return Sessions.from_lists(lists)


def split_of(train: Sessions, valid: Sessions, test: Sessions) -> SessionSplit:
    """A split over the 40 items, and the users of its training sessions."""
    items = pd.DataFrame({"item_id": [f"item {i}" for i in range(1, N_ITEMS + 1)]})
    n_users = int(train.user_index.max(initial=-1)) + 1
    users = pd.DataFrame({"user_id": [f"user {i}" for i in range(n_users)]})
    return SessionSplit(train, valid, test, items, users)


def planted_split(*, shuffled: bool = False) -> SessionSplit:
    """A split to learn the order from, or to find nothing in."""
    test = cycles(80, seed=3, shuffled=shuffled)
    return split_of(cycles(600, seed=1, shuffled=shuffled), cycles(20, seed=2), test)


_walks = cycles(32, seed=2)
TRAINING = Sessions.from_lists(
    [*(_walks[row].tolist() for row in range(32)), [4, 2, 4, 7, 7]], user_index=list(range(33))
)
"""A few walks and a session that comes back to its items, each of another user."""
