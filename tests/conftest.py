"""Fixtures for all tests: no network, no machine-wide folders, one thread."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# before numpy or torch are imported: several threads on a shared two-core machine cost time
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, settings

from proxysr.data.sessions import Sessions, SessionSplit

settings.register_profile(
    "proxysr", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("proxysr")
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep downloads and runs of tests away from the user's own."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROXYSR_CACHE", str(folder / "cache"))
        patch.setenv("PROXYSR_RUNS", str(folder / "runs"))
        for name in ("PROXYSR_DATA", "PROXYSR_FIGURES", "PROXYSR_COMMAND"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def tiny_split() -> SessionSplit:
    """Six items, nine sessions, two users, with titles; small enough to check by hand."""
    train = Sessions.from_lists(
        [[1, 2, 3], [2, 3, 4, 2], [5, 6], [4, 5, 6, 1], [3, 3, 1]],
        session_ids=["a", "b", "c", "d", "e"],
        user_index=[0, 1, 0, -1, -1],
        started_at=[0.0, 10.0, 20.0, 30.0, 40.0],
    )
    valid = Sessions.from_lists(
        [[1, 2, 3, 4], [6, 1]], session_ids=["f", "g"], user_index=[0, -1], started_at=[50.0, 60.0]
    )
    test = Sessions.from_lists(
        [[2, 3, 2, 4], [5, 6, 1]],
        session_ids=["h", "i"],
        user_index=[1, -1],
        started_at=[70.0, 80.0],
    )
    items = pd.DataFrame(
        {
            "item_id": [f"sku-{i}" for i in range(1, 7)],
            "count": [3, 3, 4, 2, 2, 2],
            "title": ["Tea", "Cup", "Spoon", "Sugar", "Lamp", "Bulb"],
        }
    )
    steps = [{"step": "rows read", "interactions": 28, "items": 6, "sessions": 9, "users": 2}]
    return SessionSplit(
        train,
        valid,
        test,
        items=items,
        users=pd.DataFrame({"user_id": ["u0", "u1"]}),
        session_info=pd.DataFrame({"session_id": ["a", "b"], "planted_interest": [0, 1]}),
        provenance={"source": {"name": "by hand"}, "options": {}, "steps": steps},
    )
