"""Items of a selection: counts by loops, chances by the definition, corrections by hand."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from proxysr.analysis.items import ItemCounts, adjusted, at_least, top_items, wilson_low
from proxysr.config import ConfigError
from proxysr.data.sessions import Sessions

N_ITEMS = 7
ITEMS = pd.DataFrame(
    {"item_id": [f"sku-{i}" for i in range(1, N_ITEMS + 1)], "title": list("ABCDEFG")}
)


@st.composite
def selections(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    """Sessions of items 1..7, some of them empty or with repeats, and rows of some."""
    session = st.lists(st.integers(1, N_ITEMS), max_size=6)
    clicks = draw(st.lists(session, min_size=1, max_size=12))
    rows = draw(st.lists(st.integers(0, len(clicks) - 1), unique=True))
    return clicks, rows


def chance(count: int, n_all: int, total: int, n: int) -> Fraction:
    """The definition: drawings of n among ``n_all`` that have ``count`` or more of ``total``."""
    ways = sum(comb(total, i) * comb(n_all - total, n - i) for i in range(count, n + 1))
    return Fraction(ways, comb(n_all, n))


def corrected(p_values: list[float]) -> list[float]:
    """Benjamini and Hochberg: the least of ``p m / rank`` over this and all larger p-values."""
    m, ordered = len(p_values), sorted(p_values)
    scaled = [p * m / (i + 1) for i, p in enumerate(ordered)]
    return [min([1.0, *scaled[ordered.index(p) :]]) for p in p_values]


@given(selections())
def test_items_are_counted_as_by_loops(drawn: tuple[list[list[int]], list[int]]) -> None:
    clicks, rows = drawn
    table = top_items(Sessions.from_lists(clicks), rows, ITEMS, k=100).set_index("item")
    present = {i for row in rows for i in clicks[row]}
    assert set(table.index) == present
    every = sorted({i for session in clicks for i in session})
    p_values = []
    for item in every:
        count = sum(item in clicks[row] for row in rows)
        total = sum(item in session for session in clicks)
        p_values.append(float(chance(count, len(clicks), total, len(rows))))
        if item not in present:
            assert p_values[-1] == 1
            continue
        found = table.loc[item]
        assert found["item_id"] == f"sku-{item}"
        assert found["title"] == "ABCDEFG"[item - 1]
        assert found["count"] == count
        assert found["share"] == pytest.approx(count / len(rows), rel=1e-12)
        assert found["expected"] == pytest.approx(len(rows) * total / len(clicks), rel=1e-12)
        lift = (count / len(rows)) / (total / len(clicks))
        assert found["lift"] == pytest.approx(lift, rel=1e-12)
        assert 0 <= found["lift_low"] < lift
        assert found["p_value"] == pytest.approx(p_values[-1], rel=1e-9)
    for item, p in zip(every, corrected(p_values), strict=True):
        if item in present:
            assert table.loc[item, "p_adjusted"] == pytest.approx(p, rel=1e-9)
    assert table["lift_low"].is_monotonic_decreasing


def test_chances_on_a_table_worked_by_hand() -> None:
    """Of 10 sessions 4 have the item; 3 are drawn. At least 2: (6 * 6 + 4) / 120 = 1 / 3."""
    assert chance(2, 10, 4, 3) == Fraction(1, 3)
    found = at_least(np.array([0, 1, 2, 3]), 10, np.array([4, 4, 4, 4]), 3)
    assert found == pytest.approx([1, 100 / 120, 40 / 120, 4 / 120], rel=1e-12)


def test_very_small_chances_are_not_rounded_to_nothing() -> None:
    found = at_least(np.array([60]), 50_000, np.array([80]), 150)
    assert found[0] == pytest.approx(float(chance(60, 50_000, 80, 150)), rel=1e-6)
    assert 0 < found[0] < 1e-100


@given(n_all=st.integers(1, 3000), data=st.data())
def test_chances_are_those_of_scipy(n_all: int, data: st.DataObject) -> None:
    n, total = data.draw(st.integers(0, n_all)), data.draw(st.integers(0, n_all))
    count = data.draw(st.integers(0, min(n, total)))
    found = at_least(np.array([count]), n_all, np.array([total]), n)
    assert found[0] == pytest.approx(hypergeom.sf(count - 1, n_all, total, n), rel=1e-8)


def test_a_correction_worked_by_hand() -> None:
    """Five tests of p = 0.01, 0.02, 0.03, 1, 1: all three become 0.05."""
    assert adjusted(np.array([0.01, 0.02, 0.03]), 5) == pytest.approx([0.05, 0.05, 0.05])
    assert adjusted(np.array([0.01, 0.5]), 4) == pytest.approx([0.04, 1.0])
    assert len(adjusted(np.array([]), 3)) == 0


@given(n=st.integers(1, 200), data=st.data())
def test_the_interval_holds_shares_that_are_near_enough(n: int, data: st.DataObject) -> None:
    """Wilson: at its lower end, the share is 1.96 standard deviations above."""
    count = data.draw(st.integers(0, n))
    low = wilson_low(np.array([count]), n)[0]
    if count == 0:
        assert low == pytest.approx(0, abs=1e-12)
    else:
        assert (count / n - low) / np.sqrt(low * (1 - low) / n) == pytest.approx(1.95996, abs=1e-4)


def test_many_sessions_weigh_more_than_a_high_lift() -> None:
    """Item 2 is in 2 sessions, both selected; item 1 in 41 of which 40 are selected."""
    clicks = [[1]] * 40 + [[2]] * 2 + [[1]] + [[3]] * 900
    table = top_items(Sessions.from_lists(clicks), range(42), ITEMS)
    assert table["item"].tolist() == [1, 2]
    assert table["lift"][1] > table["lift"][0]


def test_planted_items_are_significant_and_others_are_not() -> None:
    random = np.random.default_rng(0)
    clicks = [[int(i) for i in random.integers(1, N_ITEMS, size=3)] for _ in range(400)]
    for row in range(60):
        clicks[row][0] = N_ITEMS
    table = top_items(Sessions.from_lists(clicks), range(100), ITEMS)
    assert table["item"][0] == N_ITEMS
    assert table["p_adjusted"][0] < 1e-30
    assert (table["p_adjusted"][1:] > 0.05).all()


def test_all_sessions_have_nothing_that_sets_them_apart() -> None:
    clicks = [[1, 2], [2, 3], [2], [4, 4]]
    table = top_items(Sessions.from_lists(clicks), range(4), ITEMS)
    assert table["lift"].to_list() == pytest.approx([1] * 4)
    assert table["p_value"].to_list() == pytest.approx([1] * 4)
    assert table["item"].tolist() == [2, 1, 3, 4]  # the most frequent first, then by number


def test_counts_made_before_give_the_same_table() -> None:
    sessions = Sessions.from_lists([[1, 2, 2], [2, 3], [], [5]])
    counts = ItemCounts.of(sessions, N_ITEMS)
    assert counts.n_sessions == 4
    assert counts.total.tolist() == [0, 1, 2, 1, 0, 1, 0, 0]
    assert counts.within([3, 0]).tolist() == [0, 1, 1, 0, 0, 1, 0, 0]
    again = top_items(sessions, [3, 0], ITEMS, counts=counts)
    pd.testing.assert_frame_equal(again, top_items(sessions, [0, 3], ITEMS))


def test_an_empty_selection_has_no_items() -> None:
    sessions = Sessions.from_lists([[1, 2], [2, 3]])
    nothing = top_items(sessions, [], ITEMS)
    assert nothing.empty
    assert list(nothing) == list(top_items(sessions, [0], ITEMS))
    assert top_items(Sessions.from_lists([]), [], ITEMS).empty


def test_ids_stand_alone_where_there_are_no_titles() -> None:
    table = top_items(Sessions.from_lists([[2], [1]]), [0], ITEMS[["item_id"]], k=1)
    assert list(table)[:3] == ["item", "item_id", "count"]


def test_what_cannot_be_counted_is_refused() -> None:
    sessions = Sessions.from_lists([[1, 2], [2, 9]])
    with pytest.raises(ConfigError, match=r"hold item index 9, but there are only 7 items"):
        top_items(sessions, [0], ITEMS)
    sessions = Sessions.from_lists([[1, 2], [2, 3]])
    with pytest.raises(ConfigError, match=r"Rows of these sessions are 0 to 1; received 0 to 2"):
        top_items(sessions, [0, 2], ITEMS)
    with pytest.raises(ConfigError, match=r"Rows of these sessions are 0 to 1; received -1 to 0"):
        top_items(sessions, [-1], ITEMS)
    with pytest.raises(ConfigError, match=r"each session once; named more often: \[1\]"):
        top_items(sessions, [1, 1], ITEMS)
    with pytest.raises(ConfigError, match=r"k is at least 1; received 0"):
        top_items(sessions, [0], ITEMS, k=0)
