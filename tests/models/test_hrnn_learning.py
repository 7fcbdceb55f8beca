"""What a user likes is planted where no session tells it before the target: only groups can."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from proxysr.data.known import dealt_out, grouped
from proxysr.data.sessions import PARTS, Sessions, SessionSplit
from proxysr.models import create
from proxysr.testing.learning import recall_after
from proxysr.training import TrainConfig

N_USERS, N_TASTES, POOL = 40, 4, 20
N_ITEMS = 1 + N_TASTES * POOL


def sessions(n: int, seed: int) -> Sessions:
    """Each begins at the same item and goes on to one of the pool that its user likes."""
    rng = np.random.default_rng(seed)
    users = rng.integers(N_USERS, size=n)
    clicks = [[1, 2 + (user % N_TASTES) * POOL + int(rng.integers(POOL))] for user in users]
    return Sessions.from_lists(clicks, user_index=users.tolist())


@pytest.fixture(scope="module")
def split() -> SessionSplit:
    items = pd.DataFrame({"item_id": [str(i) for i in range(1, N_ITEMS + 1)]})
    users = pd.DataFrame({"user_id": [str(i) for i in range(N_USERS)]})
    return SessionSplit(sessions(2000, 1), sessions(20, 2), sessions(200, 3), items, users)


def config(epochs: int) -> TrainConfig:
    return TrainConfig(
        epochs=epochs, patience=epochs, learning_rate=3e-2, batch_size=24, device="cpu", seed=1
    )


def recall(split: SessionSplit, variant: str, *, epochs: int = 3) -> float:
    model = create("hrnn", N_ITEMS, {"embedding_dim": 16, "variant": variant}, seed=1)
    return recall_after(model, split, config(epochs), k=POOL, enough=0.8)


@pytest.mark.parametrize("variant", ["init", "all"])
def test_known_users_help_where_sessions_say_nothing(split: SessionSplit, variant: str) -> None:
    known = recall(split, variant, epochs=14)  # in 8, luck decides at this rate
    assert known > 0.8, f"{variant} finds {known:.2f} of what only the user tells"
    alone = recall(grouped(split, None, "no user"), variant)
    assert alone < 1.6 / N_TASTES, f"without users, {variant} finds {alone:.2f}"


def test_groups_at_random_do_not_help(split: SessionSplit) -> None:
    dealt = {name: dealt_out(split.part(name).user_index, 5) for name in PARTS}
    random = recall(grouped(split, dealt, "random"), "init")
    assert random < 1.6 / N_TASTES, f"groups at random find {random:.2f}"
