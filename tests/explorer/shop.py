"""A small shop whose sessions follow planted interests, and its run as the page shows it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from proxysr.analysis.map_quality import MapQuality
from proxysr.analysis.projection import MapConfig, Projection, ProjectionPair
from proxysr.analysis.run_view import RunView
from proxysr.data.preparation import PrepareConfig, prepare
from proxysr.data.synthetic import SyntheticConfig, synthetic_events
from proxysr.explorer.scene import Scene
from proxysr.run import RunDir
from proxysr.running import evaluate_run, train_run
from proxysr.training import TrainConfig

MADE_UP = SyntheticConfig(
    n_sessions=1200, n_items=150, n_users=60, n_interests=5, days=90, follow=0.1, loyalty=0.7
)


class Shop(NamedTuple):
    """A run, another one of the same data, and what the page shows of them."""

    run: RunDir
    other: RunDir
    scene: Scene


def shop_of(folder: Path) -> Shop:
    """Made and trained in a few seconds."""
    events, items, _ = synthetic_events(MADE_UP)
    data = prepare(events, PrepareConfig(), items=items).save(folder / "data")
    latent = {"embedding_dim": 16, "n_proxies": 8, "temperature": 1.0, "attention": False}
    train = TrainConfig(epochs=8, patience=8, learning_rate=5e-3)
    run = train_run(
        data, folder / "shop", model="latent_proxy", model_config=latent, train=train,
        progress=False,
    )  # fmt: skip
    other = train_run(data, folder / "counting", model="cooccurrence", progress=False)
    for one in (run, other):
        evaluate_run(one.path, part="train", progress=False)
    return Shop(run, other, Scene(around(RunView.of(run, part="train")), compare=other))


def around(view: RunView) -> RunView:
    """Give a view a map on which the sessions of an interest lie around it, in a circle of them."""

    def placed(proxy: np.ndarray[tuple[int], np.dtype[np.int64]], seed: int) -> Projection:
        turn = 2 * np.pi * np.arange(view.n_proxies) / view.n_proxies
        centres = 10 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        noise = np.random.default_rng(seed).normal(scale=1.2, size=(len(proxy), 2))
        own = centres if view.model.represents_by_proxies else centres[:0]
        positions = np.concatenate([centres[proxy] + noise, own]).astype(np.float32)
        quality = MapQuality(0.5, 0.5, 0.5, 10)
        return Projection(positions, quality, MapConfig(), positions)

    assert view.half_table is not None
    half, full = (table["proxy"].to_numpy()[view.drawn] for table in (view.half_table, view.table))
    view.__dict__["layout"] = ProjectionPair(placed(half, 1), placed(full, 2), 0.1, 0.5, 0.2)
    return view
