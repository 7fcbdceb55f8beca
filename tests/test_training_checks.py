"""What training needs at the end of an epoch is asked for before the first."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from proxysr import running
from proxysr.config import ConfigError
from proxysr.data import prepare
from proxysr.data.preparation import prepare_parts
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.evaluation import evaluate
from proxysr.models import create
from proxysr.training import TrainConfig, fit


@pytest.mark.parametrize("model", ["cooccurrence", "latent-proxy"])
def test_training_needs_validation_sessions(
    tiny_split: SessionSplit, tmp_path: Path, model: str
) -> None:
    model = model.replace("-", "_")
    split = dataclasses.replace(tiny_split, valid=Sessions.from_lists([]))
    split.save(tmp_path / "data")
    with pytest.raises(ConfigError, match="The validation part is empty; training chooses its"):
        running.train_run(tmp_path / "data", tmp_path / "run", model=model, progress=False)
    assert not (tmp_path / "run").exists()
    network = create(model, split.n_items, None, seed=0)
    with pytest.raises(ConfigError, match="--valid-fraction 0.1"):
        fit(network, split, TrainConfig())
    with pytest.raises(ConfigError, match="None of the 2 validation sessions has a target of task"):
        fit(network, tiny_split, TrainConfig(valid_min_prefix=50))


def test_what_is_no_split_or_settings_is_told(tiny_split: SessionSplit) -> None:
    model = create("mean", tiny_split.n_items, None, seed=0)
    with pytest.raises(ConfigError, match="split is of SessionSplit, .*; received one of Sessions"):
        fit(model, tiny_split.test)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"such as TrainConfig\(.*; received one of dict"):
        fit(model, tiny_split, {"epochs": 1})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"such as PrepareConfig\(.*; received one of dict"):
        prepare(pd.DataFrame(), {"min_item_count": 5})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"such as PrepareConfig\(.*; received one of dict"):
        prepare_parts(*[pd.DataFrame()] * 3, {"drop_repeats": True})  # type: ignore[arg-type]


@pytest.mark.parametrize(("model", "n"), [("latent_proxy", 3), ("popularity", 300)])
def test_a_model_is_trained_on_as_many_items_as_it_is_for(
    tiny_split: SessionSplit, model: str, n: int
) -> None:
    needed = f"for {n} items, and the data have {tiny_split.n_items}. Make it with n_items="
    with pytest.raises(ConfigError, match=needed):
        fit(create(model, n), tiny_split, TrainConfig(epochs=1))


def test_a_part_without_sessions_is_said_to_be_one(tiny_split: SessionSplit) -> None:
    network = create("popularity", tiny_split.n_items, None, seed=0)
    network.prepare(tiny_split.train)
    with pytest.raises(ConfigError, match="this part of the data has no sessions. Prepare the"):
        evaluate(network, Sessions.from_lists([]), task="unseen", ks=(20,))
