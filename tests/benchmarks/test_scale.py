"""Growth is the slope of logarithms, and its picture says so."""

from __future__ import annotations

import pandas as pd
import pytest

from proxysr.notebooks.scaling import growth_exponents
from proxysr.plots.costs import growth_lines


def test_the_exponent_of_a_power_is_found_and_drawn() -> None:
    sizes = [100, 1000, 10_000]
    rows = [{"part": "rank", "n_items": n, "ms": 3 * n**1.5} for n in sizes]
    table = pd.DataFrame([*rows, {"part": "prepare", "n_items": 100, "ms": 7.0}])
    exponents = growth_exponents(table)
    assert exponents == {"rank": pytest.approx(1.5), "prepare": None}
    fig = growth_lines(table, exponents)
    assert [trace.name for trace in fig.data] == ["rank, N^1.50", "prepare"]
    assert list(fig.data[0].x) == sizes
