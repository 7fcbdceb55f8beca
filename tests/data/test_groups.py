"""Other groups, the same sessions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from proxysr.config import ConfigError
from proxysr.data.groups import dealt_out, grouped
from proxysr.data.sessions import PARTS, SessionSplit


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
