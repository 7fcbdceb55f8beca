"""A small trained run, and its view with a made-up map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from proxysr.analysis.map_quality import MapQuality
from proxysr.analysis.projection import MapConfig, Projection, ProjectionPair
from proxysr.analysis.run_view import RunView
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.run import RunDir
from proxysr.running import train_run
from proxysr.training import TrainConfig

N_ITEMS = 48
HOSTILE = '<img src=x onerror="alert(1)">&amp;'
SETTINGS = {"embedding_dim": 8, "n_proxies": 6, "init_std": 0.3, "n_negatives": 5, "margin": 0.5,
            "anneal_epochs": 3, "lambda_dist": 0.2, "init_std_selector": 1.0}  # fmt: skip


def split_of(n: int = 60, *, known: bool = True) -> SessionSplit:
    """Sessions of two tastes over 48 items; with ``known``, of users, titles, times, countries."""
    random = np.random.default_rng(0)
    clicks = [
        (random.permutation(24)[: random.integers(2, 6)] + 1 + 24 * (s % 2)).tolist()
        for s in range(n)
    ]
    ids = [f"s{s}" for s in range(n)]

    def part(rows: range) -> Sessions:
        return Sessions.from_lists(
            [clicks[r] for r in rows],
            session_ids=[ids[r] for r in rows],
            user_index=[r % 4 - 1 for r in rows] if known else None,
            started_at=[1.6e9 + 5e4 * r for r in rows] if known else None,
        )

    items = pd.DataFrame({"item_id": [f"sku-{i}" for i in range(1, N_ITEMS + 1)], "count": 1})
    if known:
        items["title"] = [HOSTILE, *(f"Lamp {i}" for i in range(2, N_ITEMS + 1))]
    info = pd.DataFrame({"session_id": ids, "taste": [["oak", HOSTILE][s % 2] for s in range(n)]})
    return SessionSplit(
        part(range(0, n // 2)), part(range(n // 2, n // 2 + 6)), part(range(n // 2 + 6, n)),
        items=items,
        users=pd.DataFrame({"user_id": [HOSTILE, "u1", "u2"] if known else []}),
        session_info=info if known else pd.DataFrame(),
    )  # fmt: skip


def run_of(folder: Path, *, epochs: int = 4, known: bool = True, **settings: Any) -> RunDir:
    """A run trained for a moment."""
    data = split_of(known=known).save(folder / "data")
    train = TrainConfig(epochs=epochs, batch_size=8, learning_rate=5e-3, patience=epochs, seed=7)
    return train_run(
        data, folder / "run", model="proxysr", model_config=SETTINGS | settings, train=train,
        progress=False,
    )  # fmt: skip


def view_of(run: RunDir, *, part: str = "train", max_drawn: int = 50_000) -> RunView:
    """Its view, with positions that nobody had to wait for."""
    return made_up_layout(RunView.of(run, part=part, max_drawn=max_drawn))


def made_up_layout(view: RunView) -> RunView:
    """Give a view a map at random."""
    n = len(view.drawn) + view.n_proxies
    random = np.random.default_rng(1)

    def made_up() -> Projection:
        positions = random.normal(size=(n, 2)).astype(np.float32)
        quality = MapQuality(0.5, 0.5, 0.5, 10)
        return Projection(positions, quality, MapConfig(), positions)

    pair = ProjectionPair(made_up(), made_up(), 0.1, 0.5, 0.2)
    view.__dict__["layout"] = pair.full if view.half_model is None else pair
    return view
