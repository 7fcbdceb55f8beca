"""What was tried is shown by setting, and by how it ended."""

from __future__ import annotations

import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.plots.tuning import tried_settings

TRIALS = pd.DataFrame(
    {
        "trial": [0, 1, 2, 3, 5],
        "state": ["complete", "pruned", "complete", "stopped", "running"],
        "R@20": [0.2, 0.1, 0.4, None, 0.3],
        "stopped": [None, None, None, "not finite", None],
        "learning_rate": [0.01, 0.0001, 0.001, 0.1, 0.02],
        "<b>": ["x", "y", "<i>", "x", "x"],
        "same": [1, 1, 1, 1, 1],
    }
)


def test_every_setting_that_varied_is_a_panel() -> None:
    fig = tried_settings(TRIALS)
    assert [a.text for a in fig.layout.annotations] == ["learning_rate", "&lt;b&gt;"]
    points = [(p.name, list(p.x), list(p.y), list(p.customdata)) for p in fig.data]
    assert points == [
        ("complete", ["0.01", "0.001"], [0.2, 0.4], [0, 2]),
        ("pruned", ["0.0001"], [0.1], [1]),
        ("best", ["0.001"], [0.4], [2]),
        ("complete", ["x", "&lt;i&gt;"], [0.2, 0.4], [0, 2]),
        ("pruned", ["y"], [0.1], [1]),
        ("best", ["&lt;i&gt;"], [0.4], [2]),
    ]
    assert list(fig.layout.xaxis.categoryarray) == ["0.0001", "0.001", "0.01"]
    assert [p.showlegend for p in fig.data] == [True] * 3 + [False] * 3


def test_settings_can_be_named() -> None:
    fig = tried_settings(TRIALS, ["same"])
    assert {p.hovertemplate.split(":")[1].split(" ")[1] for p in fig.data} == {"same"}


def test_a_study_without_results_is_told() -> None:
    with pytest.raises(ConfigError, match="No trial was completed or pruned yet"):
        tried_settings(TRIALS[3:])
