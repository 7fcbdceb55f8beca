"""What a state lists, and what is no state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxysr.config import ConfigError
from proxysr.explorer.scene import Scene
from proxysr.explorer.state import START, listed, merged


def rows(scene: Scene, **changes: Any) -> list[int]:
    return [int(row) for row in listed(scene.tree, merged(START, changes, scene.tree))]


def test_everything_is_listed_at_first(scene: Scene) -> None:
    assert rows(scene) == list(range(30))


def test_parts_of_a_selection_narrow_it_together(scene: Scene) -> None:
    sessions = scene.tree["sessions"]
    k = int(sessions["proxy"][0])
    own = np.flatnonzero(sessions["proxy"] == k).tolist()
    assert rows(scene, interest=k) == own
    assert rows(scene, interest=k, rows=[0, 1, 2]) == [row for row in own if row < 3]
    assert rows(scene, user=1) == np.flatnonzero(sessions["user"] == 1).tolist()
    long = np.flatnonzero(sessions["n_clicks"] >= 4).tolist()
    assert rows(scene, filters=[{"by": "n_clicks", "low": 4}]) == long
    assert rows(scene, filters=[{"by": "n_clicks", "low": 4, "high": 3}]) == []
    taste = scene.tree["columns"][0]["values"]
    chosen = {"by": "column:taste", "values": [1]}
    assert rows(scene, filters=[chosen]) == np.flatnonzero(taste == 1).tolist()
    ranked = rows(scene, filters=[{"by": "rank", "low": None, "high": None}])
    assert ranked == np.flatnonzero(np.isfinite(sessions["rank"])).tolist()
    assert rows(scene, filters=[{"by": "proxy", "values": [k, 99]}]) == own


def test_merged_interests_are_one(scene: Scene) -> None:
    proxies = [proxy | {"merged_into": -1} for proxy in scene.tree["proxies"]]
    one, two = np.unique(scene.tree["sessions"]["proxy"])[:2].tolist()
    proxies[two]["merged_into"] = one
    tree = scene.tree | {"proxies": proxies}
    of_both = np.flatnonzero(np.isin(tree["sessions"]["proxy"], [one, two])).tolist()
    for k in (one, two):
        state = merged(START, {"interest": k, "merged": True}, tree)
        assert listed(tree, state).tolist() == of_both
        state = merged(START, {"filters": [{"by": "proxy", "values": [k]}], "merged": True}, tree)
        assert listed(tree, state).tolist() == of_both


def test_an_outline_holds_what_lies_in_it_then(scene: Scene) -> None:
    square = [[0.2, 0.2], [0.8, 0.2], [0.8, 0.8], [0.2, 0.8]]
    for name, at in (("xy", 100), ("half_xy", 50)):
        x, y = scene.tree["sessions"][name].T
        inside = (x > 0.2) & (x < 0.8) & (y > 0.2) & (y < 0.8)
        assert rows(scene, lasso=square, lasso_at=at) == np.flatnonzero(inside).tolist()
    assert rows(scene, lasso=[[0, 0], [1, 1]]) == []
    # a star whose arms cross: its middle is outside by the even-odd rule
    angles = 2 * np.pi * 2 * np.arange(5) / 5
    star = np.stack([0.5 + np.cos(angles), 0.5 + np.sin(angles)], axis=1).tolist()
    middle = scene.tree["sessions"] | {
        "xy": np.array([[0.5, 0.5], [0.5 + 0.9, 0.5]]), "half_xy": None, "id": ["a", "b"],
    }  # fmt: skip
    state = START | {"lasso": star}
    assert listed(scene.tree | {"sessions": middle}, state).tolist() == [1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intrest": 1}, "'intrest' is not a known part of the explorer's state. Did you mean 'in"),
        ({"version": 2}, "This state is of version 2; this explorer reads version 1"),
        ({"view": "maps"}, "view is one of map, flow, matrix; received 'maps'"),
        ({"progress": 40}, "progress is a number from 50 to 100; received 40"),
        ({"interest": 6}, "interest is a number from 0 to 5, or None; received 6"),
        ({"session": -1}, "session is a number from 0 to 29, or None; received -1"),
        ({"user": 3}, "user is a number from 0 to 2, or None; received 3"),
        ({"rows": [30]}, r"rows are numbers from 0 to 29, or None; received \[30\]"),
        ({"lasso": [[0, "x"]]}, "lasso is a list of points"),
        ({"merged": 1}, "merged is True or False; received 1"),
        ({"lasso_at": None}, "lasso_at is a number from 50 to 100; received None"),
        ({"progress": 10**400}, "progress is a number from 50 to 100; received 1000"),
        ({"colour": "prxy"}, "'prxy' is not a known colour of sessions. Did you mean 'proxy'"),
        ({"search": 5}, "search is text; received 5"),
        ({"pins": {"c": None}}, r"pins has a and b, .*; received {'c': None}"),
        ({"pins": {"a": {"kind": "interest", "proxy": 6}}}, "pins has a and b"),
        ({"edit": {}}, r"edit is None, or has clicks from 1 to \d+, .*; received {}"),
        ({"edit": {"clicks": [1], "temperature": 0}}, "may have a temperature above 0"),
        ({"filters": {}}, "filters is a list"),
        ({"filters": [{"by": ["rank"]}]}, r"by is the name of a value; received \['rank'\]"),
        ({"filters": [{"by": "rank", "low": 10**400}]}, "low of a filter is a number or None"),
        ({"filters": [{"by": "clicks"}]}, "'clicks' is not a known value of sessions. Did you me"),
        ({"filters": [{"by": "rank", "lower": 1}]}, r"low, high and values; received \['lower'\]"),
        ({"filters": [{"by": "rank", "low": "1"}]}, "low of a filter is a number or None"),
        ({"filters": [{"by": "proxy", "values": 1}]}, "values of a filter are numbers"),
    ],
)
def test_what_is_no_state_is_refused(scene: Scene, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        merged(START, changes, scene.tree)


def test_pins_edits_and_colours_of_the_page_are_taken(scene: Scene) -> None:
    pins = {"a": {"kind": "group", "rows": [0, 2], "why": "x"}, "b": {"kind": "session", "row": 1}}
    changes = {
        "pins": pins, "colour": "column:taste",
        "edit": {"clicks": [1, 2], "temperature": 0.5, "proxy": None},
    }  # fmt: skip
    state = merged(START, changes, scene.tree)
    assert {name: state[name] for name in changes} == changes


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 40) | st.floats() | st.text(max_size=4)
    | st.sampled_from(["proxy", "column:taste"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["by", "low", "high", "values"]), inner),
    max_leaves=6,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(list(START)), anything))
def test_a_state_from_outside_is_taken_or_refused_in_words(
    scene: Scene, changes: dict[str, Any]
) -> None:
    try:
        state = merged(START, changes, scene.tree)
    except ConfigError:
        return
    assert set(listed(scene.tree, state)) <= set(range(30))
