"""Names of interests: by items that stand out, or by hand for the weights they were given to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from proxysr.analysis.interest_names import FILE, HandNames, name_from_items
from proxysr.analysis.items import top_items
from proxysr.config import ConfigError
from proxysr.data.sessions import Sessions
from proxysr.run import RunDir
from tests.explorer.small import run_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return run_of(tmp_path_factory.mktemp("names"))


@pytest.fixture
def run(trained: RunDir, tmp_path: Path) -> RunDir:
    return RunDir(shutil.copytree(trained.path, tmp_path / "run"))


def top(**columns: Any) -> pd.DataFrame:
    """Items 1, 2 and 3 that stand out, but for some columns."""
    plain = {"item": [1, 2, 3], "count": 9, "lift": 4.0, "p_adjusted": 1e-4}
    return pd.DataFrame(plain | columns)


@pytest.mark.parametrize(
    ("table", "name", "by"),
    [
        (top(), "item 1, item 2", "items"),
        (top(p_adjusted=[0.01, 1e-3, 1e-9]), "item 2, item 3", "items"),
        (top(count=[4, 4, 5]), "item 3", "items"),
        (top(lift=[0.5, 1.0, 1.1]), "item 3", "items"),
        (top(p_adjusted=0.04), "mixed", "mixed"),
        (top(count=4), "mixed", "mixed"),
    ],
)
def test_only_items_that_stand_out_give_a_name(table: pd.DataFrame, name: str, by: str) -> None:
    assert name_from_items(table, 20, "item {}".format) == (name, by)


def test_of_no_session_it_is_empty_and_long_titles_are_cut() -> None:
    assert name_from_items(top().head(0), 0, str) == ("empty", "empty")
    named = name_from_items(top(), 20, lambda item: f"a very long title of item {item}")
    assert named.name == "a very long title of it…, a very long title of it…"


def test_sessions_dealt_out_at_random_are_mixed_and_planted_ones_are_not() -> None:
    random = np.random.default_rng(0)
    taste = np.arange(400) % 4
    clicks = [random.integers(1 + 25 * k, 26 + 25 * k, 5).tolist() for k in taste]
    sessions = Sessions.from_lists(clicks)
    items = pd.DataFrame({"item_id": range(1, 101)})

    def names(groups: np.ndarray) -> list[str]:
        found = []
        for k in range(4):
            rows = np.flatnonzero(groups == k)
            best = top_items(sessions, rows, items, k=12)
            found.append(name_from_items(best, len(rows), str).by)
        return found

    assert names(taste) == ["items"] * 4
    assert names(random.permutation(taste)) == ["mixed"] * 4


def test_names_are_kept_and_taken_back(run: RunDir) -> None:
    names = HandNames(run)
    assert (names.names, names.note) == ({}, None)
    names.give(3, " Desk\tlamps\u202e\n")
    names.give(0, "Ünïcode ☂")
    again = HandNames(run)
    assert again.names == {3: "Desk lamps", 0: "Ünïcode ☂"}
    again.give(3, "  ")
    assert HandNames(run).names == {0: "Ünïcode ☂"}
    assert [p.name for p in run.path.glob(f"*{FILE}*tmp")] == []
    with pytest.raises(ConfigError, match="A name has at most 80 characters; received 81"):
        names.give(1, "x" * 81)


def test_two_who_name_lose_nothing(run: RunDir) -> None:
    one, other = HandNames(run), HandNames(run)
    one.give(1, "one")
    other.give(2, "two")
    assert HandNames(run).names == {1: "one", 2: "two"}


def test_names_of_another_training_are_neither_shown_nor_lost(run: RunDir) -> None:
    HandNames(run).give(1, "mine")
    weights = run.path / f"checkpoints/epoch-{run.best_epoch:04d}.safetensors"
    before = weights.read_bytes()
    shutil.copy(run.path / f"checkpoints/epoch-{run.half_epoch:04d}.safetensors", weights)
    later = HandNames(run)
    assert later.names == {}
    assert "given to another training of this run; they are not shown" in str(later.note)
    later.give(1, "new")
    assert HandNames(run).names == {1: "new"}
    weights.write_bytes(before)
    assert HandNames(run).names == {1: "mine"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged: it is not valid JSON"),
        ("[]", "is damaged: it holds no JSON object"),
        ('{"names": {}}', "was not written by proxysr; it was left as it is"),
        ({"version": 2, "names": {}}, "is of version 2; this proxysr reads version 1"),
        ({"version": 1}, "is damaged: it has no 'names'"),
        ({"version": 1, "names": {"a": ["x"]}}, "names are texts, by number of proxy"),
        ({"version": 1, "names": {"a": {"x": "y"}}}, "names are texts, by number of proxy"),
        ({"version": 1, "names": {"a": {"1": 2}}}, "names are texts, by number of proxy"),
    ],
)
def test_other_files_are_refused_and_left(run: RunDir, text: Any, message: str) -> None:
    if isinstance(text, dict):
        text = json.dumps({"format": "proxysr-interest-names"} | text)
    (run.path / FILE).write_text(text)
    names = HandNames(run)
    assert names.names == {}
    assert message in str(names.note)
    with pytest.raises(ValueError, match=message):
        names.give(0, "x")
    assert (run.path / FILE).read_text() == text
