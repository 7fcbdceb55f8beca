"""Pictures of shares of known users show the numbers of their tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from proxysr.analysis.published import published_shares
from proxysr.config import ConfigError
from proxysr.plots.known_users import share_effects, share_lines


def table() -> pd.DataFrame:
    rows = [{"share": 0, "sessions": "all", "value": 0.2}]
    rows += [
        {"share": share, "sessions": kind, "value": 0.2 + share / 1000, "difference": share / 1000}
        for share in (10, 30)
        for kind in ("all", "known users", "others")
    ]
    frame = pd.DataFrame(rows).assign(metric="R@20", n_targets=50)
    for name in ("value", "difference"):
        prefix = "" if name == "value" else "difference_"
        frame[f"{prefix}low"], frame[f"{prefix}high"] = frame[name] - 0.02, frame[name] + 0.01
    return frame.assign(least=frame["difference"] - 0.001, most=frame["difference"] + 0.001)


def test_effects_stand_beside_the_published_ones() -> None:
    fig = share_effects(table(), "R@20", published=published_shares())
    whole = fig.data[0]
    assert list(whole.x) == [0, 1, 2]
    assert np.allclose(whole.y, [0.2, 0.21, 0.23])
    assert np.allclose(whole.error_y.arrayminus, 0.02)
    names = [trace.name for trace in fig.data if trace.name]
    assert names == ["all sessions", "sessions of known users", "sessions of others",
                     "published (LastFM, all)"]  # fmt: skip
    published = fig.data[-1]
    assert np.allclose(published.y, [0.0043, 0.0083])
    assert list(fig.layout.xaxis.ticktext) == ["0 %", "10 %", "30 %"]
    assert [(line.yref, line.y0, line.y1) for line in fig.layout.shapes] == [("y2", 0, 0)]
    with pytest.raises(ConfigError, match="no rows of metric 'R@3'"):
        share_effects(table(), "R@3")


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
