"""V-SKNN by comparing each session with one training session after the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from proxysr.config import ConfigError
from proxysr.models import VSKNN, counting, vsknn
from tests.parity.literal_counting import ASKED, N_ITEMS, TRAIN, differences, prepared

OPTIONS: list[dict[str, Any]] = [
    {},
    {"n_neighbours": 3},
    {"n_neighbours": 3, "sample_size": 7},
    {"n_neighbours": 1, "sample_size": 1},
    {"n_neighbours": 4, "neighbour_weight": "none"},
    {"n_neighbours": 4, "click_weight": "reciprocal", "neighbour_weight": "linear"},
    {"n_neighbours": 4, "click_weight": "none", "max_length": 4},
]


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def weight(kind: str, recency: int, n: int) -> float:
    return {"linear": (n - recency) / n, "reciprocal": 1 / (recency + 1), "none": 1.0}[kind]


def expected(c: vsknn.VSKNNConfig) -> list[dict[int, float]]:
    answers = []
    for session in ASKED:
        clicks = session[-c.max_length :]
        n = len(clicks)
        latest = {item: n - 1 - position for position, item in enumerate(clicks)}
        sample = [
            row for row in reversed(range(len(TRAIN))) if set(TRAIN[row]) & set(clicks)
        ][: c.sample_size]  # fmt: skip
        similarity = {}
        for row in sample:
            shared = set(TRAIN[row]) & set(clicks)
            similarity[row] = sum(weight(c.click_weight, latest[item], n) for item in shared)
        sample.sort(key=lambda row: (-round(similarity[row], 5), -row))
        neighbours = sample[: c.n_neighbours]
        scores: dict[int, float] = defaultdict(float)
        for row in neighbours:
            recency = min(latest[item] for item in TRAIN[row] if item in latest)
            for item in set(TRAIN[row]):
                scores[item] += similarity[row] * weight(c.neighbour_weight, recency, n)
        answers.append(scores)
    return answers


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_scores(options: dict[str, Any]) -> None:
    config = VSKNN.Config(**options)
    model = prepared(VSKNN(N_ITEMS, config))
    assert differences(model, expected(config)) < 1e-9


def test_memory_budgets_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "ENTRIES", 3)
    config = VSKNN.Config(n_neighbours=4)
    assert differences(prepared(VSKNN(N_ITEMS, config)), expected(config)) < 1e-9


def test_without_training_sessions_nothing_is_similar() -> None:
    assert differences(VSKNN(N_ITEMS), [{}] * len(ASKED)) == 0


@pytest.mark.parametrize("name", ["n_neighbours", "sample_size", "max_length"])
def test_settings_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is at least 1; received 0"):
        VSKNN.Config(**{name: 0})
