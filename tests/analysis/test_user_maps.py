"""Figure 4: the same sessions by each model at two times, with numbers of their vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from proxysr.analysis.projection import MapConfig
from proxysr.analysis.representations import representations
from proxysr.analysis.users import neighbour_purity, user_maps
from proxysr.data.sessions import SessionSplit
from proxysr.running import train_run
from proxysr.training import TrainConfig


def test_panels_are_the_models_by_the_times(tmp_path: Path, tiny_split: SessionSplit) -> None:
    data = tiny_split.save(tmp_path / "data")
    runs = {
        name: train_run(
            data,
            tmp_path / name,
            model=name,
            model_config={"embedding_dim": 6},
            train=TrainConfig(epochs=2, device="cpu"),
            progress=False,
        )
        for name in ("mean", "gcegnn")
    }
    users = ["u0", "u1", "u0", "u2", "u2"]
    few = MapConfig(perplexity=2, early_iterations=10, iterations=10)
    found = user_maps(runs, tiny_split.train, users, settings=few, n_permutations=9)
    times = ("50 % of training", "100 % of training")
    assert list(found.panels) == [(name, when) for name in runs for when in times]
    assert all(positions.shape == (5, 2) for positions in found.panels.values())
    assert found.purity.index.tolist() == list(found.panels)
    model = runs["gcegnn"].model("best")
    vectors = representations(model, tiny_split.train, general=True)
    assert not np.allclose(vectors, representations(model, tiny_split.train))
    purity = neighbour_purity({"v": vectors}, users, n_permutations=1)["value"][0]
    assert found.purity["value"].loc["gcegnn", times[1]] == pytest.approx(purity)
    assert found.notes["gcegnn", times[1]].startswith(f"purity@10 {purity:.2f}, by chance ")
    assert (tmp_path / "mean/cache").is_dir()
