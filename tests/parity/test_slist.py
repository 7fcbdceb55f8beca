"""SLIST by dense matrices, one session and one click at a time, in float64."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from proxysr.data.batches import batch_of
from proxysr.data.sessions import Sessions
from proxysr.models import SLIST, counting, slist
from tests.parity.literal_counting import ASKED, N_ITEMS, TRAIN, differences

OPTIONS: list[dict[str, Any]] = [
    {},
    {"alpha": 1.0},
    {"alpha": 0.0},
    {"past": "clicks", "lambda_step": 0.6, "penalty": 0.5},
    {"past": "clicks", "alpha": 0.0, "max_length": 4},
    {"lambda_age": 0.2, "lambda_click": 0.5, "penalty": 2.0},
]
STARTS = np.cumsum(np.random.default_rng(4).exponential(size=len(TRAIN))).tolist()


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def prepared(**options: Any) -> SLIST:
    model = SLIST(N_ITEMS, SLIST.Config(**options))
    model.prepare(Sessions.from_lists(TRAIN, started_at=STARTS))
    return model


def vector(weights: dict[int, float]) -> np.ndarray[Any, Any]:
    return np.array([weights.get(item, 0.0) for item in range(1, N_ITEMS + 1)])


def matrix(c: slist.SLISTConfig) -> np.ndarray[Any, Any]:
    left, right = c.penalty * np.eye(N_ITEMS), np.zeros((N_ITEMS, N_ITEMS))

    def add(weight: float, inputs: dict[int, float], outputs: dict[int, float]) -> None:
        x, y = vector(inputs), vector(outputs)
        x = x / x.sum()
        left[:] += weight * np.outer(x, x)
        right[:] += weight * np.outer(x, y)

    for start, whole in zip(STARTS, TRAIN, strict=True):
        session = whole[-c.max_length :]
        worth = math.exp(-(STARTS[-1] - start) / (STARTS[-1] - STARTS[0]) / c.lambda_age)
        ones = dict.fromkeys(session, 1.0)
        add(c.alpha * worth, ones, ones)
        for t in range(len(session) - 1):
            past: dict[int, float] = defaultdict(float)
            future: dict[int, float] = defaultdict(float)
            for j, item in enumerate(session):
                if j == t or (j < t and c.past == "clicks"):
                    past[item] += math.exp(-(t - j) / c.lambda_step)
                if j > t:
                    future[item] += math.exp(-(j - t - 1) / c.lambda_step)
            add((1 - c.alpha) * worth, past, future)
    solution: np.ndarray[Any, Any] = np.linalg.solve(left, right)
    return solution


def expected(c: slist.SLISTConfig) -> list[dict[int, float]]:
    b, answers = matrix(c), []
    for session in ASKED:
        scores = np.zeros(N_ITEMS)
        for recency, item in enumerate(reversed(session[-c.max_length :])):
            scores += math.exp(-recency / c.lambda_click) * b[item - 1]
        answers.append(dict(enumerate(scores.tolist(), start=1)))
    return answers


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_scores(options: dict[str, Any]) -> None:
    model = prepared(**options)
    assert differences(model, expected(model.config)) < 1e-9


def test_a_memory_budget_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "ENTRIES", 30)
    model = prepared(past="clicks")
    assert differences(model, expected(model.config)) < 1e-9


def test_without_training_sessions_all_scores_are_zero() -> None:
    model = SLIST(N_ITEMS)
    model.prepare(Sessions.from_lists([]))
    assert differences(model, [{}] * len(ASKED)) == 0


def test_the_largest_entries_of_each_row_are_kept() -> None:
    model, whole = prepared(n_kept=4), matrix(SLIST.Config())
    for item in range(1, N_ITEMS + 1):
        got = model.score(batch_of([[item]]))[0, 1:].numpy()
        row = whole[item - 1]
        wanted = np.where(row >= np.sort(row)[-4], row, 0)
        np.testing.assert_allclose(got, wanted, atol=1e-9)


def test_too_many_items_are_told_with_the_memory_they_take() -> None:
    model = SLIST(500_000)
    message = (
        "inverts a matrix of 500,000 x 500,000 items, which needs at least 3,725.29 GiB of "
        r"memory, and .* GiB are there\. memory_gb allows 10\. Prepare the data without rare items "
        r"\([0-9,]+ would fit\), raise memory_gb where the machine has more, or count pairs with "
        "cooccurrence"
    )
    with pytest.raises(ValueError, match=message):
        model.prepare(Sessions.from_lists(TRAIN))
