"""Timing several models compares all of them with the same products."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from proxysr.bench_models import bench_models, format_models, learned_models
from proxysr.config import ConfigError
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.models import MODELS, learns


def test_report_holds_the_ratios_it_prints(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sessions = Sessions.from_lists([rng.integers(1, 31, size=5).tolist() for _ in range(24)])
    items = pd.DataFrame({"item_id": [str(i) for i in range(1, 31)]})
    SessionSplit(sessions, sessions, sessions, items, pd.DataFrame({"user_id": []})).save(
        tmp_path / "data"
    )
    result = bench_models(
        ["srgnn", "mean"], tmp_path / "data", embedding_dim=8, batch_size=4, steps=3,
        progress=False,
    )  # fmt: skip
    assert list(result["models"]) == ["srgnn", "mean"]
    for row in result["models"].values():
        ratio = row["targets_per_second"] / row["products_alone"]
        assert row["share_of_products"] == pytest.approx(ratio)
        assert row["step_ms"] > 0
    json.dumps(result, allow_nan=False)
    text = format_models(result)
    assert "N = 30 items, d = 8, batch 4, 3 steps" in text
    assert f"{result['models']['mean']['share_of_products']:.0%}" in text


def test_all_are_those_that_learn() -> None:
    assert learned_models("all") == [name for name in MODELS if learns(name)]
    assert learned_models("stamp, narm") == ["stamp", "narm"]


@pytest.mark.parametrize(
    ("names", "message"),
    [("vsknn", "Model 'vsknn' only counts"), ("narn", "narm")],
)
def test_models_that_cannot_be_timed_are_refused(names: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bench_models(learned_models(names), "nowhere", progress=False)
