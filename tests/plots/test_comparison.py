"""Pictures of comparisons show every run with its interval, and only what they were given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.plots.comparison import (
    KIND_COLOURS,
    difference_dots,
    metric_dots,
    share_lines,
    slice_lines,
    study_line,
)
from proxysr.plots.theme import COLOURS

TABLE = pd.DataFrame(
    [
        ("a", "learned", "unseen", "R@20", 0.3, 0.28, 0.33),
        ("<b>", "counting", "unseen", "R@20", 0.4, 0.38, 0.41),
        ("c", "learned", "unseen", "R@20", 0.2, 0.18, 0.21),
        ("a", "learned", "repeat", "R@20", 0.5, 0.48, 0.51),
        ("<b>", "counting", "repeat", "R@20", 0.6, 0.58, 0.61),
        ("c", "learned", "repeat", "R@20", 0.7, 0.68, 0.71),
        ("a", "learned", "unseen", "MRR@20", 0.1, 0.08, 0.11),
    ],
    columns=["run", "kind", "task", "metric", "value", "low", "high"],
)


def test_a_dot_and_an_interval_for_each_run_and_task() -> None:
    fig = metric_dots(TABLE, "R@20")
    dots = [(d.name, list(d.y), list(d.x), d.showlegend) for d in fig.data]
    assert dots == [
        ("learned", ["a", "c"], [0.3, 0.2], True),
        ("counting", ["&lt;b&gt;"], [0.4], True),
        ("learned", ["a", "c"], [0.5, 0.7], False),
        ("counting", ["&lt;b&gt;"], [0.6], False),
    ]
    assert list(fig.data[0].error_x.array) == pytest.approx([0.03, 0.01])
    assert list(fig.data[0].error_x.arrayminus) == pytest.approx([0.02, 0.02])
    assert fig.data[1].marker.color == KIND_COLOURS["counting"]
    assert fig.layout.title.text == "Which model has the highest R@20?"


def test_runs_are_sorted_by_the_first_task() -> None:
    fig = metric_dots(TABLE, "R@20")
    for axis in (fig.layout.yaxis, fig.layout.yaxis2):
        assert list(axis.categoryarray) == ["c", "a", "&lt;b&gt;"]  # the last is on top


def test_published_values_are_hollow_markers_where_there_are_any() -> None:
    table = TABLE.assign(published=[0.35, None, None, None, None, None, 0.2])
    published = [d for d in metric_dots(table, "R@20").data if d.name == "published"]
    assert [(list(d.y), list(d.x)) for d in published] == [(["a"], [0.35])]
    assert published[0].marker.symbol.endswith("-open")
    none = TABLE.assign(published=float("nan"))
    assert not [d for d in metric_dots(none, "R@20").data if d.name == "published"]


SLICES = pd.DataFrame(
    {
        "run": ["a"] * 2 + ["b"] * 2,
        "clicks": ["1", "2 and more"] * 2,
        "n_targets": [1200, 300] * 2,
        "value": [0.1, 0.2, 0.3, 0.4],
        "low": [0.05, 0.1, 0.2, float("nan")],
        "high": [0.2, 0.3, 0.4, float("nan")],
    }
)


def test_a_line_for_each_run_over_the_slices() -> None:
    fig = slice_lines(SLICES, "R@20")
    assert [(line.name, list(line.y)) for line in fig.data] == [
        ("a", [0.1, 0.2]),
        ("b", [0.3, 0.4]),
    ]
    assert [round(float(x)) for x in fig.data[1].x] == [0, 1]
    assert list(fig.layout.xaxis.ticktext) == ["1<br>(1,200)", "2 and more<br>(300)"]
    assert len({line.marker.symbol for line in fig.data}) == 2
    assert not fig.layout.shapes
    assert fig.layout.yaxis.title.text == "R@20"


def test_differences_have_the_reference_as_their_zero() -> None:
    fig = slice_lines(SLICES, "R@20", differences_to="pairs")
    assert fig.layout.shapes[0].y0 == fig.layout.shapes[0].y1 == 0
    assert fig.layout.yaxis.title.text == "R@20 less that of pairs"


def test_a_study_is_a_line_over_the_setting() -> None:
    points = pd.DataFrame({"x": [30, 3], "value": [0.4, 0.3], "low": [0.3, 0.2], "high": [0.5] * 2})
    fig = study_line(points, "K", "R@20")
    assert list(fig.data[0].x) == [3, 30]
    assert list(fig.data[0].y) == [0.3, 0.4]
    assert list(fig.data[0].error_y.array) == pytest.approx([0.2, 0.1])
    assert fig.layout.xaxis.type == "log"
    assert list(fig.layout.xaxis.tickvals) == [3, 30]


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ConfigError, match="no rows of metric 'NDCG@5'"):
        metric_dots(TABLE, "NDCG@5")
    many = pd.concat([SLICES.assign(run=str(i)) for i in range(len(COLOURS) + 1)])
    with pytest.raises(ConfigError, match="Lines of 1 to 7 runs .*received 8"):
        slice_lines(many, "R@20")
    with pytest.raises(ConfigError, match="no value of K to show"):
        study_line(SLICES[:0], "K", "R@20")


def differences() -> pd.DataFrame:
    rows = [
        {"task": task, "run": run, "metric": metric, "value": 0.4, "difference": change,
         "difference_low": change - 0.02, "difference_high": change + 0.01,
         "least": change - spread, "most": change + spread}
        for task, spread in (("unseen", 0.005), ("repeat", 0.0))
        for metric in ("R@20", "MRR@20")
        for run, change in (("<b>", 0.1), ("null", -0.1))
    ]  # fmt: skip
    base = {"task": "unseen", "run": "base", "metric": "R@20", "value": 0.3}
    return pd.DataFrame([base, *rows])


def test_differences_have_a_panel_a_metric_and_a_colour_a_task() -> None:
    fig = difference_dots(differences(), "base", "Is it?")
    dots = [trace for trace in fig.data if trace.name]
    assert [(d.name, d.xaxis, d.showlegend) for d in dots] == [
        ("next unseen item", "x", True), ("with repeats", "x", True),
        ("next unseen item", "x2", False), ("with repeats", "x2", False),
    ]  # fmt: skip
    assert list(fig.layout.yaxis.ticktext) == ["null", "&lt;b&gt;"]  # the last is on top
    assert [round(y) for y in dots[0].y] == [1, 0]
    assert list(dots[0].x) == [0.1, -0.1]
    assert list(dots[0].error_x.array) == pytest.approx([0.01, 0.01])
    assert list(dots[0].error_x.arrayminus) == pytest.approx([0.02, 0.02])
    seeds = [trace for trace in fig.data if not trace.name]
    assert sorted(seeds[0].x) == pytest.approx([-0.105, -0.095, 0.095, 0.105])
    assert len(seeds[1].x) == 0, "one seed has no range"
    assert [(line.xref, line.x0, line.x1) for line in fig.layout.shapes] == [
        ("x", 0, 0),
        ("x2", 0, 0),
    ]
    assert fig.layout.xaxis.title.text == "R@20 less that of “base”"
    by_kind = difference_dots(
        differences().rename(columns={"task": "k"}), "base", "Is it?", kind="k"
    )
    assert by_kind.data[0].name == "next unseen item"
    with pytest.raises(ConfigError, match="no differences to 'base'"):
        difference_dots(differences()[:1], "base", "Is it?")


def test_lines_are_means_over_seeds_and_seeds_are_dots() -> None:
    rows = pd.DataFrame({
        "share": [10, 10, 30, 30], "seed": [0, 1, 0, 1], "choice": "with <b>",
        "sessions": "known users", "ami": [0.1, 0.3, 0.4, 0.4],
    })  # fmt: skip
    fig = share_lines(rows, "ami", "AMI", "Is it?", panels="sessions")
    assert np.allclose(fig.data[0].y, [0.2, 0.4])
    assert np.allclose(fig.data[1].y, [0.1, 0.3, 0.4, 0.4])
    assert fig.data[0].name == "with &lt;b&gt;"
    assert fig.layout.annotations[0].text == "sessions of known users"
    with pytest.raises(ConfigError, match="no AMI to show"):
        share_lines(rows[:0], "ami", "AMI", "Is it?")
