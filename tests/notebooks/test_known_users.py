"""Shares of known users are asked for in a way that can be answered, or refused readably."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxysr.config import ConfigError
from proxysr.data.sessions import SessionSplit
from proxysr.notebooks.known_users import data_of_shares, known_table, preset_variant
from proxysr.presets import preset


def test_shares_are_held_against_nobody(tiny_split: SessionSplit, tmp_path: Path) -> None:
    data = tiny_split.save(tmp_path / "data")
    with pytest.raises(ConfigError, match="0 and at least one more are needed; received 10, 30"):
        data_of_shares(data, [10, 30], "test")
    with pytest.raises(ConfigError, match="received none"):
        data_of_shares(data, [], "test")
    with pytest.raises(ConfigError, match="0 users with at least 10 training sessions"):
        data_of_shares(data, [0, 50], "test")
    found = data_of_shares(data, [50, 0, 100], "test", min_sessions=1)
    assert list(found) == [0, 50, 100]
    assert known_table(found)["known_users"].tolist() == [0, 1, 2]
    assert data_of_shares(data, [0, 50, 100], "test", min_sessions=1) == found


def test_the_model_is_that_of_a_preset() -> None:
    variant = preset_variant("proxysr-small", epochs=5)
    assert variant.model_config == preset("proxysr-small").model_config | {"anneal_epochs": 3}
    assert preset_variant("proxysr-small", epochs=50).model_config["anneal_epochs"] == 10
    assert preset_variant("proxysr-small", epochs=5, negatives="all").model_config["negatives"] == (
        "all"
    )
    with pytest.raises(ConfigError, match="Only ProxySR .*; preset 'mean-small' is of mean"):
        preset_variant("mean-small", epochs=5)
