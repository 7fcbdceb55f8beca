"""Co-occurrence by walking through the pairs of clicks of one session after the other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from proxysr.models import Cooccurrence, cooccurrence, counting
from tests.parity.literal_counting import ASKED, N_ITEMS, TRAIN, differences, prepared

OPTIONS: list[dict[str, Any]] = [
    {},
    {"window": 1},
    {"window": 3, "direction": "forward"},
    {"step_weight": "none"},
    {"normalisation": "none"},
    {"recency_weight": "none"},
    {"recency_weight": "linear"},
    {"self_pairs": True},
    {"self_pairs": True, "direction": "forward", "normalisation": "none"},
    {"max_length": 4, "recency_weight": "linear"},
    {"half_life": 0.3},
    {"half_life": 2.0, "step_weight": "none", "direction": "forward"},
]


@pytest.fixture(autouse=True, params=[0, 10**9], ids=["by lists", "by a product"])
def _forms(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxysr.kernels.sizes.ENTRY", request.param)


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def matrix(c: cooccurrence.CooccurrenceConfig) -> dict[int, dict[int, float]]:
    beside: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for row_number, session in enumerate(TRAIN):
        age = 1 - row_number / (len(TRAIN) - 1)  # starts are not known: the order is the time
        worth = 0.5 ** (age / c.half_life) if c.half_life else 1.0
        for i, first in enumerate(session):
            for j, second in enumerate(session):
                step = j - i
                if not 0 < step <= c.window or (first == second and not c.self_pairs):
                    continue
                weight = worth / step if c.step_weight == "reciprocal" else worth
                beside[first][second] += weight
                if c.direction == "both":
                    beside[second][first] += weight
    if c.normalisation == "sqrt":
        for row in beside.values():
            root = math.sqrt(sum(row.values()))
            for item in row:
                row[item] /= root
    return beside


def expected(c: cooccurrence.CooccurrenceConfig) -> list[dict[int, float]]:
    beside, answers = matrix(c), []
    for session in ASKED:
        scores: dict[int, float] = defaultdict(float)
        latest = session[-c.max_length :]
        for recency, item in enumerate(reversed(latest)):
            weight = {
                "reciprocal": 1 / (recency + 1),
                "linear": (len(latest) - recency) / len(latest),
                "none": 1.0,
            }[c.recency_weight]
            for other, count in beside[item].items():
                scores[other] += weight * count
        answers.append(scores)
    return answers


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_scores(options: dict[str, Any]) -> None:
    config = Cooccurrence.Config(**options)
    model = prepared(Cooccurrence(N_ITEMS, config))
    assert differences(model, expected(config)) < 1e-9


def test_memory_budgets_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooccurrence, "PENDING", 3)
    monkeypatch.setattr(counting, "ENTRIES", 3)
    model = prepared(Cooccurrence(N_ITEMS))
    assert differences(model, expected(model.config)) < 1e-9
