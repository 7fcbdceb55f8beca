"""A small trained run whose titles, ids and labels are markup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.running import evaluate_run, train_run
from proxysr.training import TrainConfig
from tests.contract.small import SMALL, cycles, split_of

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "<!-- <script>alert(2)",
    "<b>bold</b> & “quoted”\u2028line",
    '"><svg onload=alert(3)>',
    "<a href='https://example.com'>away</a>",
)


def hostile_run(folder: Path) -> Path:
    """A small trained run whose titles, ids and labels are markup, evaluated on one task."""
    random = np.random.default_rng(0)

    def dressed(sessions: Sessions, part: str) -> Sessions:
        n = len(sessions)
        return replace(
            sessions,
            session_ids=np.array([f"{part}{row} {HOSTILE[row % 5]}" for row in range(n)]),
            user_index=random.integers(-1, 6, n).astype(np.int32),
            started_at=1.6e9 + 3600.0 * np.arange(n),
        )

    split = split_of(cycles(100, seed=1), cycles(30, seed=2), cycles(40, seed=3))
    test = dressed(split.test, "t")
    titles = [f"{HOSTILE[row % 5]} {row}" for row in range(split.n_items)]
    info = pd.DataFrame(
        {
            "session_id": test.session_ids,
            "<i>country</i>": [HOSTILE[row % 3] for row in range(len(test))],
            "spent": np.arange(len(test)) / 4,
        }
    )
    dressed_split = SessionSplit(
        dressed(split.train, "a"),
        dressed(split.valid, "v"),
        test,
        items=split.items.assign(title=titles),
        users=pd.DataFrame({"user_id": [f"u{user} {HOSTILE[user % 5]}" for user in range(6)]}),
        session_info=info,
        provenance={"source": {"name": HOSTILE[0]}, "options": {}, "steps": []},
    )
    data = dressed_split.save(folder / "data")
    run = folder / "run <b>&"
    settings = SMALL["proxysr"] | {
        "temperature_start": 1.0, "anneal_epochs": 30, "init_std": 0.3, "init_std_selector": 10.0,
    }  # under which sessions choose two proxies  # fmt: skip
    config = TrainConfig(epochs=4, learning_rate=1e-3, batch_size=16, device="cpu")
    train_run(data, run, model="proxysr", model_config=settings, train=config, progress=False)
    evaluate_run(run, progress=False)
    return run
