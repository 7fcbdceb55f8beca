"""One state, changed by actions; everybody who follows is told once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxysr.analysis.run_view import RunView
from proxysr.config import ConfigError
from proxysr.explorer.scene import Scene
from proxysr.explorer.state import NONE, Edit, State, Store


@pytest.fixture(scope="module")
def scene(view: object) -> Scene:
    return Scene(view)  # type: ignore[arg-type]


def test_at_first_all_sessions_are_listed(scene: Scene) -> None:
    state = Store(scene).state
    assert state.listed.tolist() == list(range(len(scene.table)))
    assert (state.proxy, state.session, state.chosen) == (NONE, NONE, None)


def test_a_proxy_lists_the_sessions_that_chose_it(scene: Scene) -> None:
    store = Store(scene)
    for proxy in range(scene.n_proxies):
        store.choose_proxy(proxy)
        expected = [row for row, p in enumerate(scene.table["proxy"]) if p == proxy]
        assert store.state.listed.tolist() == expected
    store.choose_proxy(scene.n_proxies)
    assert (store.state.proxy, store.state.chosen) == (NONE, None)


def test_filters_are_met_together_and_ends_count(scene: Scene) -> None:
    store = Store(scene)
    clicks, probability = scene.table["n_clicks"], scene.table["probability"]
    low = float(probability.median())
    store.filter("n_clicks", 3, 4)
    store.filter("probability", low, 1)
    expected = clicks.between(3, 4) & (probability >= low)
    assert store.state.shown.tolist() == expected.tolist()
    store.choose_rows([0, 1, 2, 3, 4, 5], "are a few")
    assert store.state.listed.tolist() == [r for r in range(6) if expected[r]]
    store.filter("n_clicks", 100, 200)
    assert len(store.state.listed) == 0


def test_an_action_is_told_once_and_only_to_who_follows_it(scene: Scene) -> None:
    store = Store(scene)
    told: dict[str, list[State]] = {"both": [], "theme": []}
    store.follow(told["both"].append, "proxy", "listed", "session")
    store.follow(told["theme"].append, "theme")
    assert [len(calls) for calls in told.values()] == [1, 1]
    store.choose_proxy(int(scene.by_size[0]))
    assert [len(calls) for calls in told.values()] == [2, 1]
    store.change(theme="dark")
    store.change(theme="dark")
    assert [len(calls) for calls in told.values()] == [2, 2]
    same = (2, 5)
    store.filter("n_clicks", *same)
    n = len(told["both"])
    store.filter("n_clicks", *same)
    assert len(told["both"]) == n


def test_a_session_brings_its_clicks_to_be_edited(scene: Scene) -> None:
    store = Store(scene)
    store.choose_session(3)
    assert store.state.edit == Edit(tuple(scene.clicks(3).tolist()))
    store.choose_session(10**6)
    assert store.state.session == NONE
    assert store.state.edit == Edit()


def test_clicks_are_added_replaced_moved_and_dropped(scene: Scene) -> None:
    store = Store(scene)
    store.choose_session(0)
    first = list(scene.clicks(0))
    store.take(12)
    assert store.state.edit.clicks == (*first, 12)
    store.edit(replacing=0)
    store.take(11)
    assert store.state.edit.clicks == (11, *first[1:], 12)
    assert store.state.edit.replacing == NONE
    store.move(0, 1)
    assert store.state.edit.clicks[:2] == (first[1], 11)
    store.drop(0)
    assert store.state.edit.clicks == (11, *first[2:], 12)
    store.reset()
    assert store.state.edit.clicks == tuple(first)
    with pytest.raises(ConfigError, match="There is no item of index 49"):
        store.take(49)


@given(st.lists(st.tuples(st.sampled_from(["drop", "move", "take"]), st.integers(-2, 9))))
def test_no_edit_goes_out_of_bounds(scene: Scene, edits: list[tuple[str, int]]) -> None:
    store = Store(scene)
    store.choose_session(1)
    for kind, at in edits:
        clicks = store.state.edit.clicks
        if kind == "take":
            store.take(at % 12 + 1)
            assert len(store.state.edit.clicks) == len(clicks) + 1
        elif kind == "move":
            store.move(at, 1)
            assert sorted(store.state.edit.clicks) == sorted(clicks)
        else:
            store.drop(at)
            lost = 0 <= at < len(clicks)
            assert len(store.state.edit.clicks) == len(clicks) - lost


def test_a_search_finds_by_title_id_and_proxy(scene: Scene) -> None:
    assert scene.session(str(scene.table["session_id"].iloc[2])) == 2
    assert scene.session("nobody") is None
    assert (scene.proxy("proxy 3"), scene.proxy("3"), scene.proxy("proxy 99")) == (3, 3, None)
    assert scene.items_like("LAMP 21").tolist() == [21]
    assert scene.items_like("sku-12").tolist() == [12]
    assert len(scene.items_like("lamp", 5)) == 5
    assert len(scene.items_like("  ")) == 0
    found = scene.found("lamp 23")
    expected = [row for row in range(len(scene.table)) if 23 in scene.clicks(row)]
    assert expected
    assert found.rows.tolist() == expected


def test_searching_is_the_slow_way_made_fast(scene: Scene) -> None:
    for items in ([1], [2, 9], list(range(1, 49)), []):
        slow = [r for r in range(len(scene.table)) if set(items) & set(scene.clicks(r).tolist())]
        assert scene.sessions_with(np.array(items, dtype=np.int64)).tolist() == slow


def test_a_range_of_all_values_hides_no_session_of_unknown_value(view: RunView) -> None:
    scene = Scene(view)
    scene.table = scene.table.copy()
    scene.table.loc[2, "started_at"] = pd.NaT
    values = scene.values("started_at")
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    store = Store(scene)
    store.filter("started_at", low, high - 1)
    assert not store.state.shown[2]
    store.filter("started_at", low, high)
    assert store.state.shown.all()
    assert store.state.filters == ()
