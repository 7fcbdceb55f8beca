"""Pictures of costs show every size and part, and name the sizes."""

from __future__ import annotations

import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.plots.costs import predicted_measured, step_bars

NAN = float("nan")
TABLE = pd.DataFrame(
    [
        (n, 8, 4, 2, part, predicted * n, measured * n, floor * n)
        for n in (1000, 3000)
        for part, predicted, measured, floor in [
            ("training step", 3.0, 4.0, 1.0),
            ("forward", 2.0, 2.5, NAN),
            ("<b>", 1.0, 1.5, NAN),
            ("one session", 0.1, 0.2, 0.05),
        ]
    ],
    columns=["n_items", "embedding_dim", "n_proxies", "batch_size",
             "part", "predicted_ms", "measured_ms", "floor_ms"],
)  # fmt: skip


def test_a_mark_for_each_part_and_size_beside_the_line_of_equals() -> None:
    line, *marks = predicted_measured(TABLE).data
    assert list(line.x) == list(line.y)
    assert line.x[0] < 100
    assert line.x[1] > 12_000
    assert [mark.name for mark in marks] == ["training step", "forward", "&lt;b&gt;", "one session"]
    assert list(marks[0].x) == [3000, 9000]
    assert list(marks[0].y) == [4000, 12_000]
    assert marks[0].customdata[1] == "N = 3,000, d = 8, K = 4, B = 2"
    assert len({mark.marker.color for mark in marks}) == 4
    assert len({mark.marker.symbol for mark in marks}) == 4


def test_both_axes_are_logarithmic() -> None:
    fig = predicted_measured(TABLE)
    assert fig.layout.xaxis.type == fig.layout.yaxis.type == "log"


def test_the_bars_of_a_step_are_its_parts_and_the_floor() -> None:
    fig = step_bars(TABLE)
    bars = [(bar.name, list(bar.x), list(bar.y)) for bar in fig.data]
    both = ["predicted", "measured"]
    assert bars == [
        ("forward", both, [2000, 2500]),
        ("&lt;b&gt;", both, [1000, 1500]),
        ("products alone", ["floor"], [1000]),
        ("forward", both, [6000, 7500]),
        ("&lt;b&gt;", both, [3000, 4500]),
        ("products alone", ["floor"], [3000]),
    ]
    assert [bar.showlegend for bar in fig.data] == [True] * 3 + [False] * 3
    assert [a.text for a in fig.layout.annotations] == ["N = 1,000", "N = 3,000"]
    assert fig.layout.barmode == "stack"


def test_panels_name_the_sizes_that_differ() -> None:
    other = TABLE.assign(embedding_dim=16)
    fig = step_bars(pd.concat([TABLE, other]).query("n_items == 1000"))
    assert [a.text for a in fig.layout.annotations] == ["d = 8", "d = 16"]
    assert [a.text for a in step_bars(TABLE[:4]).layout.annotations] == ["N = 1,000"]


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 to 7 parts can be distinguished; received 0"):
        predicted_measured(TABLE[:0])
    with pytest.raises(ConfigError, match="1 to 7 parts .*received 8"):
        predicted_measured(pd.concat([TABLE[:1].assign(part=str(i)) for i in range(8)]))
    with pytest.raises(ConfigError, match="There is no training step to show"):
        step_bars(TABLE[TABLE["part"] == "one session"])
