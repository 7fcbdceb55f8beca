"""Planted structure is learnt, its absence is not, and training order is exactly repeatable."""

from __future__ import annotations

import pytest

from proxysr.data.sessions import SessionSplit
from proxysr.evaluation import EvalResult, evaluate
from proxysr.training import TrainConfig, fit
from tests.contract.small import (
    BARS,
    N_ITEMS,
    NAMES,
    ORDERLESS,
    POPULARITY,
    cycles,
    small,
    split_of,
)


def train_and_test(name: str, split: SessionSplit) -> EvalResult:
    model = small(name, seed=1)
    config = TrainConfig(
        epochs=12, learning_rate=1e-2, batch_size=32, task="repeat", device="cpu", seed=1
    )
    history = fit(model, split, config, progress=False)
    # not the best epoch: among 40 items, recall at 20 is perfect before the order is known
    model.load_state_dict(history.snapshots[len(history.rows) - 1])
    return evaluate(model, split.test, task="repeat", ks=(5, 10))


def planted_split() -> SessionSplit:
    return split_of(cycles(600, seed=1), cycles(80, seed=2), cycles(150, seed=3))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in POPULARITY])
def test_planted_order_is_learnt_and_noise_is_not(name: str) -> None:
    planted = planted_split()
    null = split_of(
        cycles(600, seed=1, shuffled=True), cycles(80, seed=2), cycles(150, seed=3, shuffled=True)
    )
    k = 10 if name in ORDERLESS else 5  # a cycle has ten items
    learnt = train_and_test(name, planted).metrics[f"R@{k}"]
    chance = train_and_test(name, null).metrics[f"R@{k}"]
    assert learnt > BARS.get(name, 0.85), f"{name} finds {learnt:.2f} of the planted targets"
    assert chance < 1.6 * k / N_ITEMS, f"{name} finds {chance:.2f} where there is nothing to find"


@pytest.mark.parametrize("name", POPULARITY)
def test_popularity_cannot_find_an_order(name: str) -> None:
    """All items are equally popular, so a rank that beats chance would be a leak."""
    found = train_and_test(name, planted_split()).metrics["R@5"]
    assert found < 1.6 * 5 / N_ITEMS, f"{name} finds {found:.2f} of what popularity does not tell"
