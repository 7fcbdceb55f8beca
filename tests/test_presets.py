"""Presets fit their models and say where they come from."""

from __future__ import annotations

import pytest

from proxysr.config import ConfigError
from proxysr.models import MODELS, LearnedModel
from proxysr.presets import ABLATIONS, PRESETS, preset
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
        if third and found.model not in ("latent_proxy", "core"):
            assert "trained on unseen targets" in found.source


def test_ablations_change_the_small_proxysr() -> None:
    whole = MODELS["proxysr"].Config.from_dict(preset("proxysr-small").model_config)
    changed = [whole.replace(**changes) for changes in ABLATIONS.values()]
    assert len({str(config) for config in [whole, *changed]}) == len(ABLATIONS) + 1


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match="'narm-smal' is not a known preset. .*'narm-small'"):
        preset("narm-smal")
