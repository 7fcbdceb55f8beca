"""Who sessions belong to: a share of the frequent users, or other groups; nothing else moves."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxysr.config import ConfigError
from proxysr.data.known import (
    anonymous,
    check_users,
    dealt_out,
    grouped,
    order_of_users,
    seen_before,
    with_known_users,
)
from proxysr.data.sessions import PARTS, Sessions, SessionSplit

N_USERS = 8


def split_of(train: list[int], valid: list[int], test: list[int]) -> SessionSplit:
    """Sessions of two clicks by these users."""

    def part(users: list[int]) -> Sessions:
        return Sessions.from_lists([[1, 2]] * len(users), user_index=users)

    return SessionSplit(
        part(train), part(valid), part(test),
        items=pd.DataFrame({"item_id": ["a", "b"]}),
        users=pd.DataFrame({"user_id": [f"u{u}" for u in range(N_USERS)]}),
        provenance={"source": {"name": "by hand"}},
    )  # fmt: skip


USERS = st.lists(st.integers(-1, N_USERS - 1), max_size=40)
SPLIT = split_of([0] * 3 + [1] * 2 + [2] * 3 + [3] * 4 + [-1] * 9, [0, 1, 5, -1], [2, 3, 6, -1])


@settings(max_examples=40)
@given(USERS, USERS, USERS, st.integers(1, 4), st.floats(0, 1), st.floats(0, 1), st.integers(0, 9))
def test_as_one_would_do_it_by_hand(
    train: list[int],
    valid: list[int],
    test: list[int],
    min_sessions: int,
    share: float,
    more: float,
    seed: int,
) -> None:
    split = split_of(train, valid, test)
    frequent = {u for u in range(N_USERS) if train.count(u) >= min_sessions}
    order = order_of_users(split, min_sessions=min_sessions, seed=seed).tolist()
    assert sorted(order) == sorted(frequent)
    small, large = sorted([share, more])
    if round(large * len(frequent)) == 0:
        large = 0.0
    if round(small * len(frequent)) == 0:
        small = 0.0
    known = {}
    for one in (small, large):
        partly_known = with_known_users(split, one, min_sessions=min_sessions, seed=seed)
        known[one] = partly_known.users["user_id"].tolist()
        assert known[one] == [f"u{u}" for u in order[: round(one * len(frequent))]]
        for name, before in zip(PARTS, (train, valid, test), strict=True):
            names = [f"u{user}" for user in before]
            expected = [known[one].index(who) if who in known[one] else -1 for who in names]
            assert partly_known.part(name).user_index.tolist() == expected
    assert known[large][: len(known[small])] == known[small], "who is known stays known"


def test_all_else_is_as_it_was() -> None:
    partly_known = with_known_users(SPLIT, 0.5, min_sessions=3)
    for name in PARTS:
        before, after = SPLIT.part(name), partly_known.part(name)
        for field in ("items", "offsets", "session_ids", "started_at"):
            assert getattr(after, field) is getattr(before, field)
        assert after.user_index.dtype == np.int32
    assert partly_known.items is SPLIT.items
    assert SPLIT.provenance == {"source": {"name": "by hand"}}, "the given one is left alone"
    assert SPLIT.train.user_index.max() == 3


def test_it_says_where_it_came_from_and_survives_saving(tmp_path: Path) -> None:
    for share, known in [(0, 0), (0.3, 1), (1, 3)]:
        partly_known = with_known_users(SPLIT, share, min_sessions=3, seed=4)
        assert partly_known.provenance == {
            "source": {"name": "by hand"},
            "known_users": {
                "share": share, "min_sessions": 3, "seed": 4, "of_users": 3, "known": known,
                "of_data": SPLIT.fingerprint(),
            },
        }  # fmt: skip
        assert partly_known.n_users == known
        again = SessionSplit.load(partly_known.save(tmp_path / str(share)))
        assert again.fingerprint() == partly_known.fingerprint()
        assert again.provenance == partly_known.provenance


def test_who_is_known_depends_on_the_seed() -> None:
    orders = {tuple(order_of_users(SPLIT, min_sessions=1, seed=seed)) for seed in range(9)}
    assert len(orders) > 3


def test_nobody_is_known_in_anonymous_sessions() -> None:
    assert anonymous(SPLIT.train).user_index.tolist() == [-1] * len(SPLIT.train)
    assert anonymous(SPLIT.train).items is SPLIT.train.items


@pytest.mark.parametrize(
    ("share", "options", "message"),
    [
        (1.5, {}, "share is from 0 to 1; received 1.5"),
        (0.5, {"min_sessions": 0}, "min_sessions is at least 1; received 0"),
        (0.5, {"seed": -1}, "seed is not negative; received -1"),
        (0.5, {"min_sessions": 10},
         "50% of the 0 users with at least 10 .* is nobody; no user has more than 4"),
        (0.1, {"min_sessions": 3}, "10% of the 3 users with at least 3 .* Take a larger share"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(share: float, options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_known_users(SPLIT, share, **options)


def test_a_log_without_users_is_told() -> None:
    nobody = split_of([-1] * 6, [-1], [-1])
    nobody = replace(nobody, users=nobody.users.head(0))
    with pytest.raises(ConfigError, match=r"No session has a user, so none can be known.*--user"):
        with_known_users(nobody, 0.5)
    assert with_known_users(nobody, 0).n_users == 0


def test_users_to_learn_of_have_to_be_there() -> None:
    check_users(SPLIT, 0)
    check_users(SPLIT, 2)
    with pytest.raises(ConfigError, match="n_users is 9, but the data know 8 users. Make it small"):
        check_users(SPLIT, 9)
    nobody = replace(SPLIT, train=anonymous(SPLIT.train))
    check_users(nobody, 0)
    with pytest.raises(ConfigError, match="no training session is of one of the first 2 of the da"):
        check_users(nobody, 2)
    none = with_known_users(SPLIT, 0)
    with pytest.raises(ConfigError, match="the data know 0 users. .*prepare the data with their"):
        check_users(none, 1)


# -- other groups --------------------------------------------------------------------------


def test_only_the_groups_change(tiny_split: SessionSplit, tmp_path: Path) -> None:
    codes = {"train": [2, 0, -1, 2, 1], "valid": [0, -1], "test": [3, 2]}
    made = grouped(tiny_split, {name: np.array(groups) for name, groups in codes.items()}, "proxy")
    made = SessionSplit.load(made.save(tmp_path / "grouped"))
    for name in PARTS:
        assert made.part(name).user_index.tolist() == codes[name]
        assert made.part(name).items.tolist() == tiny_split.part(name).items.tolist()
        assert made.part(name).session_ids.tolist() == tiny_split.part(name).session_ids.tolist()
    assert made.users["user_id"].tolist() == ["proxy 0", "proxy 1", "proxy 2", "proxy 3"]
    expected = {"by": "proxy", "fingerprint": tiny_split.fingerprint()}
    assert made.provenance["grouped"] == expected
    assert made.fingerprint() != tiny_split.fingerprint()


def test_no_groups(tiny_split: SessionSplit) -> None:
    made = grouped(tiny_split, None, "no user")
    assert all((made.part(name).user_index == -1).all() for name in PARTS)
    assert made.n_users == 0


def test_groups_are_one_a_session(tiny_split: SessionSplit) -> None:
    short = {"train": np.zeros(4, int), "valid": np.zeros(2, int), "test": np.zeros(2, int)}
    with pytest.raises(ConfigError, match="received 4 for the 5 of train"):
        grouped(tiny_split, short, "x")
    with pytest.raises(ConfigError, match="needed for train, valid, test; received train"):
        grouped(tiny_split, {"train": np.zeros(5, int)}, "x")


def test_dealt_out_groups_keep_their_sizes() -> None:
    groups = np.repeat([4, 0, -1, 9], [5, 40, 3, 12])
    dealt = dealt_out(groups, seed=1)
    assert Counter(dealt.tolist()) == Counter(groups.tolist())
    assert not np.array_equal(dealt, groups)
    assert np.array_equal(dealt, dealt_out(groups, seed=1))


def test_seen_before_is_there_or_earlier_in_the_part() -> None:
    sessions = Sessions.from_lists([[1]] * 6, user_index=[4, 7, -1, 7, -1, 2])
    earlier = Sessions.from_lists([[1]] * 3, user_index=[2, -1, 9])
    assert seen_before(sessions, []).tolist() == [False, False, False, True, False, False]
    assert seen_before(sessions, [earlier]).tolist() == [False, False, False, True, False, True]
