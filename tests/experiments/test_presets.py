"""Presets fit their models and say where they come from."""

from __future__ import annotations

from typing import Any

import pytest

from proxysr.config import ConfigError
from proxysr.experiments.presets import ABLATIONS, PRESETS, preset
from proxysr.models import MODELS, LearnedModel
from proxysr.training import TrainConfig


@pytest.mark.parametrize("name", PRESETS)
def test_settings_are_known_in_range_and_sourced(name: str) -> None:
    found = preset(name)
    assert name.startswith(f"{found.model}-")
    MODELS[found.model].Config.from_dict(found.model_config)
    TrainConfig.from_dict(found.train)
    assert found.description.endswith(".")
    assert found.source.endswith(".")


def test_every_model_that_learns_has_small_settings() -> None:
    learned = [name for name, model in MODELS.items() if issubclass(model, LearnedModel)]
    assert {f"{name}-small" for name in learned} <= set(PRESETS)


def test_all_train_on_every_click_and_diginetica_is_validated_after_three() -> None:
    for name, found in PRESETS.items():
        train = TrainConfig.from_dict(found.train)
        assert (train.task, train.min_prefix, train.valid_task) == ("repeat", 1, "unseen")
        third = name.endswith("-third") and issubclass(MODELS[found.model], LearnedModel)
        assert train.valid_min_prefix == (3 if third or name.endswith("-diginetica") else 1)
        if third:
            assert "benchmarks.tune_models" in found.source


OF_THE_PROGRAM = {
    "embedding_dim": 128, "n_proxies": 300, "margin": 0.1, "lambda_dist": 0.2,
    "lambda_orthog": 0.0, "temperature_start": 3.0, "temperature_end": 0.01, "anneal_epochs": 10,
    "dropout": 0.0, "max_length": 50, "n_users": 0, "expressed_by": "both",
    "proxy_by": "selection", "projection": True, "similarity": "distance",
    "negatives": "hardest", "n_negatives": 100, "target_is_negative": True, "reduction": "mean",
    "proxy_from": "inputs", "proxy_positions": "end", "short_term_positions": "start",
    "constraints": "project", "init_std": 0.01, "init_std_selector": 1.0, "sampled_negatives": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "train"),
    [
        ("proxysr-diginetica", {}, (64, 2e-4, 50, 10)),
        ("proxysr-third", {"embedding_dim": 64, "n_proxies": 100, "anneal_epochs": 5},
         (32, 5e-4, 20, 2)),
        ("proxysr-online-retail",
         {"embedding_dim": 64, "n_proxies": 60, "n_negatives": 1000, "margin": 0.5,
          "lambda_dist": 0.0, "anneal_epochs": 6, "init_std": 0.1},
         (64, 2e-3, 12, 3)),
        ("proxysr-small",
         {"embedding_dim": 32, "n_proxies": 30, "n_negatives": 50, "margin": 0.5, "init_std": 0.1},
         (64, 5e-3, 20, 10)),
    ],
)  # fmt: skip
def test_presets_of_proxysr_are_their_own_whatever_the_defaults(
    name: str, changes: dict[str, Any], train: tuple[float, ...]
) -> None:
    """The paper's settings, which are no defaults, and what was found here on top of them."""
    found = preset(name)
    settings = MODELS["proxysr"].Config.from_dict(found.model_config).to_dict()
    assert OF_THE_PROGRAM | changes == {key: settings[key] for key in OF_THE_PROGRAM}
    config = TrainConfig.from_dict(found.train)
    assert train == (config.batch_size, config.learning_rate, config.epochs, config.patience)


def test_ablations_change_the_small_proxysr() -> None:
    whole = MODELS["proxysr"].Config.from_dict(preset("proxysr-small").model_config)
    changed = [whole.replace(**changes) for changes in ABLATIONS.values()]
    assert len({str(config) for config in [whole, *changed]}) == len(ABLATIONS) + 1


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match="'narm-smal' is not a known preset. .*'narm-small'"):
        preset("narm-smal")
