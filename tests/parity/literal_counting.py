"""Sessions of random clicks for the counting models, and one loop they all need."""

from __future__ import annotations

import numpy as np

from proxysr.data.batches import batch_of
from proxysr.data.sessions import Sessions
from proxysr.models import SessionModel

N_ITEMS = 12


def random_lists(n: int, seed: int, longest: int = 9) -> list[list[int]]:
    """Sessions of 1 to ``longest`` clicks on few items, so that repeats are common."""
    random = np.random.default_rng(seed)
    return [
        random.integers(1, N_ITEMS + 1, random.integers(1, longest + 1)).tolist() for _ in range(n)
    ]


TRAIN = random_lists(60, seed=1)
ASKED = [*random_lists(20, seed=2), [5], [3, 3], list(range(1, N_ITEMS + 1)) * 2]


def prepared(model: SessionModel) -> SessionModel:
    model.prepare(Sessions.from_lists(TRAIN))
    return model


def differences(model: SessionModel, expected: list[dict[int, float]]) -> float:
    """Largest difference of scores from the expected ones, {item: score} for each of ``ASKED``."""
    scores = model.score(batch_of(ASKED))
    return max(
        abs(float(row[item]) - wanted.get(item, 0.0))
        for row, wanted in zip(scores, expected, strict=True)
        for item in range(1, N_ITEMS + 1)
    )
