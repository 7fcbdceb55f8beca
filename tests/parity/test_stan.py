"""STAN and VSTAN by comparing each session with one training session after the other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from proxysr.config import ConfigError
from proxysr.data.batches import batch_of
from proxysr.data.sessions import Sessions
from proxysr.models import STAN, VSTAN, counting
from tests.parity.literal_counting import ASKED, N_ITEMS, TRAIN, differences

OPTIONS: list[dict[str, Any]] = [
    {},
    {"n_neighbours": 3, "sample_size": 7},
    {"n_neighbours": 1, "sample_size": 1},
    {"n_neighbours": 6, "lambda_click": 0.7, "lambda_age": 0.05, "lambda_item": 1.1},
    {"n_neighbours": 6, "lambda_click": 50.0, "lambda_age": 3.0, "max_length": 4},
]
STARTS = np.cumsum(np.random.default_rng(4).exponential(size=len(TRAIN))).tolist()


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def prepared(model: STAN, starts: list[float] | None = None) -> STAN:
    model.prepare(Sessions.from_lists(TRAIN, started_at=STARTS if starts is None else starts))
    return model


def expected(model: STAN, starts: list[float]) -> list[dict[int, float]]:
    c, answers = model.config, []
    for session in ASKED:
        clicks = session[-c.max_length :]
        n = len(clicks)
        weight = {item: math.exp((j - n) / c.lambda_click) for j, item in enumerate(clicks, 1)}
        norm = math.sqrt(sum(w * w for w in weight.values()))
        sample = [
            row for row in reversed(range(len(TRAIN))) if set(TRAIN[row]) & set(clicks)
        ][: c.sample_size]  # fmt: skip
        similarity = {}
        for row in sample:
            shared = sum(weight[item] for item in set(TRAIN[row]) & set(clicks))
            age = (starts[-1] - starts[row]) / (starts[-1] - starts[0])
            cosine = shared / (norm * math.sqrt(len(set(TRAIN[row]))))
            similarity[row] = cosine * math.exp(-age / c.lambda_age)
        sample.sort(key=lambda row: (-round(math.log(similarity[row] * norm), 5), -row))
        neighbours = sample[: c.n_neighbours]
        largest = max(similarity[row] for row in neighbours)
        scores: dict[int, float] = defaultdict(float)
        for row in neighbours:
            place = {item: j for j, item in enumerate(TRAIN[row])}
            common = max(place[item] for item in place if item in weight)
            for item in place:
                near = math.exp(-abs(place[item] - common) / c.lambda_item)
                worth = similarity[row] / largest * near
                if isinstance(model, VSTAN):
                    sessions_with = sum(item in other for other in TRAIN)
                    idf = math.log(len(TRAIN) / sessions_with)
                    worth *= 1 + model.config.idf_weight * idf
                    latest = max(j for j, click in enumerate(clicks, 1) if click in place)
                    worth *= math.exp((latest - n) / model.config.lambda_neighbour)
                scores[item] += worth
        answers.append(scores)
    return answers


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_stan(options: dict[str, Any]) -> None:
    model = prepared(STAN(N_ITEMS, STAN.Config(**options)))
    assert differences(model, expected(model, STARTS)) < 1e-9


@pytest.mark.parametrize("options", [*OPTIONS, {"idf_weight": 0, "lambda_neighbour": 0.8}], ids=str)
def test_vstan(options: dict[str, Any]) -> None:
    model = prepared(VSTAN(N_ITEMS, VSTAN.Config(**options)))
    assert differences(model, expected(model, STARTS)) < 1e-9


def test_where_starts_are_unknown_the_order_is_the_time() -> None:
    model = prepared(STAN(N_ITEMS), [math.nan] * len(TRAIN))
    assert differences(model, expected(model, list(range(len(TRAIN))))) < 1e-9


def test_memory_budgets_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "ENTRIES", 3)
    model = prepared(VSTAN(N_ITEMS, VSTAN.Config(n_neighbours=4)))
    assert differences(model, expected(model, STARTS)) < 1e-9


def test_old_neighbours_are_told_apart() -> None:
    """However small the weight of their age, the younger of two is the nearer."""
    model = STAN(4, STAN.Config(lambda_age=1e-4))
    lists = [[1, 2], [1, 3], [4, 4]]
    model.prepare(Sessions.from_lists(lists, started_at=[0.0, 1.0, 100.0]))
    scores = model.score(batch_of([[1]]))[0]
    assert scores[3] > scores[2]
    assert scores[3] > 0


def test_without_training_sessions_nothing_is_similar() -> None:
    assert differences(VSTAN(N_ITEMS), [{}] * len(ASKED)) == 0


@pytest.mark.parametrize("name", ["lambda_click", "lambda_age", "lambda_item", "lambda_neighbour"])
def test_settings_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is positive; received 0"):
        VSTAN.Config(**{name: 0})


def test_a_negative_weight_of_rare_items_is_refused() -> None:
    with pytest.raises(ConfigError, match="idf_weight is not negative; received -1"):
        VSTAN.Config(idf_weight=-1)
