"""Pictures of a data set show every count that was handed in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.data.preparation import provenance_table
from proxysr.data.sessions import SessionSplit
from proxysr.plots import data
from proxysr.plots.theme import GREY, PART_COLOURS, VERMILION


def test_lengths_are_shares_of_each_part() -> None:
    fig = data.session_lengths({"train": np.array([2, 2, 2, 5]), "test": np.array([3])})
    train, test = fig.data
    assert list(train.x) == [2, 5]
    assert list(train.y) == [0.75, 0.25]
    assert list(train.customdata) == [3, 1]
    assert train.name == "train (mean 2.8)"
    assert train.line.color == PART_COLOURS["train"]
    assert (list(test.x), list(test.y)) == ([3], [1.0])
    assert fig.layout.xaxis.type is None


def test_a_long_tail_of_lengths_gets_a_logarithmic_axis() -> None:
    assert data.session_lengths({"train": np.array([2, 500])}).layout.xaxis.type == "log"


def test_popularity_falls_by_rank_and_names_the_share_of_the_top() -> None:
    fig = data.item_popularity(np.array([1, 50, 0, 9, 8, 7, 6, 5, 4, 3, 7]))
    assert list(fig.data[0].x) == list(range(1, 11))
    assert list(fig.data[0].y) == [50, 9, 8, 7, 7, 6, 5, 4, 3, 1]
    assert "tenth of 10 items<br>takes 50% of the clicks" in fig.layout.annotations[0].text


def test_popularity_of_many_items_needs_few_points_and_keeps_both_ends() -> None:
    counts = np.random.default_rng(0).zipf(1.5, 200_000).clip(max=10**6)
    line = data.item_popularity(counts).data[0]
    assert len(line.x) <= data.MOST_POINTS
    assert (line.x[0], line.x[-1]) == (1, len(counts))
    assert (line.y[0], line.y[-1]) == (counts.max(), counts.min())


@pytest.mark.parametrize(
    ("days", "unit", "bars"), [(10, "day", 11), (300, "week", 44), (3000, "30 days", 101)]
)
def test_sessions_are_counted_a_day_a_week_or_a_month(days: int, unit: str, bars: int) -> None:
    start = 1_600_000_000.0
    train = np.linspace(start, start + days * 86_400, 1000)
    fig = data.sessions_over_time({"train": train, "test": np.array([np.nan, train[-1]])})
    assert sum(fig.data[0].y) == 1000
    assert sum(fig.data[1].y) == 1  # the one without a time is left out
    assert fig.layout.yaxis.title.text == f"sessions a {unit}"
    assert len(fig.data[0].x) == pytest.approx(bars, abs=1)


def test_running_numbers_are_not_taken_for_dates() -> None:
    fig = data.sessions_over_time({"train": np.arange(120.0)})
    assert fig.layout.xaxis.title.text == "first click, in order"
    assert sum(fig.data[0].y) == 120
    assert np.issubdtype(np.asarray(fig.data[0].x).dtype, np.floating)


def test_steps_keep_their_order_and_leave_gaps_where_counts_are_unknown() -> None:
    table = pd.DataFrame(
        {
            "step": ["rows read", "<b>items</b>", "train", "published (paper, Table 1)"],
            "interactions": pd.array([100, 90, 70, 80], "Int64"),
            "sessions": pd.array([None, 30, 20, 25], "Int64"),
            "users": pd.array([None] * 4, "Int64"),
        }
    )
    fig = data.provenance_steps(table)
    interactions, sessions = fig.data  # no panel for users: nothing is known of them
    assert list(interactions.x) == [100, 90, 70, 80]
    assert list(sessions.x) == [None, 30, 20, 25]
    assert list(sessions.text) == ["", "30", "20", "25"]
    assert fig.layout.yaxis.ticktext[1] == "&lt;b&gt;items&lt;/b&gt;"
    colours = [GREY, GREY, PART_COLOURS["train"], VERMILION]
    assert list(interactions.marker.color) == colours


def test_steps_of_a_real_split(tiny_split: SessionSplit) -> None:
    fig = data.provenance_steps(provenance_table(tiny_split))
    assert [bar.x[0] for bar in fig.data] == [28, 9, 6, 2]


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(ConfigError, match="no sessions to show the lengths of"):
        data.session_lengths({"train": np.array([])})
    with pytest.raises(ConfigError, match="no clicks to show the popularity of"):
        data.item_popularity(np.zeros(3))
    with pytest.raises(ConfigError, match="No session has a time to show"):
        data.sessions_over_time({"train": np.array([np.nan])})
    with pytest.raises(ConfigError, match="no step or no counts"):
        data.provenance_steps(pd.DataFrame({"step": ["a"]}))
