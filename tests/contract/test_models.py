"""Every model and variant keeps the contract that proxysr.testing ships, and some promises more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from proxysr.config import ConfigError
from proxysr.models import MODELS, LearnedModel, SessionModel, create
from proxysr.models.proxysr import ProxySR as PaperProxySR
from proxysr.testing import Check, checks_of
from proxysr.testing.scores import tiles_are_the_scores
from tests.contract.small import NAMES, SMALL, case, small

CHECKS = [
    pytest.param(name, check, id=f"{name}-{check.__name__}")
    for name in NAMES
    for check in checks_of(case(name))
]


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_contract(name: str, check: Check) -> None:
    check(case(name))


def subclasses(cls: type) -> Iterator[type]:
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)


def test_no_model_dodges_the_contract() -> None:
    concrete = {
        c for c in subclasses(SessionModel)
        if not getattr(c, "__abstractmethods__", None) and c.__module__.startswith("proxysr.")
    }  # fmt: skip
    assert concrete - {PaperProxySR} == set(MODELS.values())  # the one there has variants, too
    assert set(SMALL) <= set(MODELS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [2, 5])
def test_narrow_tiles_are_the_scores(
    name: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxysr.kernels.sizes.TILE", width)
    tiles_are_the_scores(case(name))


def test_building_leaves_the_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    small("proxysr")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("name", NAMES)
def test_no_parameter_is_frozen_unseen(name: str) -> None:
    """Nobody would miss the gradient of a parameter that is frozen by mistake."""
    model = small(name)
    if isinstance(model, LearnedModel):
        frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
        assert all(parameter.startswith("grouping.") for parameter in frozen), frozen


@pytest.mark.parametrize("name", MODELS)
def test_default_config(name: str) -> None:
    assert MODELS[name](5).config == MODELS[name].Config()


@pytest.mark.parametrize("name", MODELS)
def test_bad_arguments_are_refused_in_words(name: str) -> None:
    with pytest.raises(TypeError, match="takes a .*Config; received a dict"):
        MODELS[name](5, {"embedding_dim": 3})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one item; received n_items = 0"):
        create(name, 0)


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'proxsr' is not a known model. Did you mean 'proxysr'"):
        create("proxsr", 5)
