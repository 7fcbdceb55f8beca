"""The fast NARM against its equations, state by state."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.config import ConfigError
from proxysr.models import NARM
from tests.parity.literal_gru import all_states
from tests.parity.literal_softmax import N_ITEMS, assert_twins, sessions


def build(**options: Any) -> NARM:
    torch.manual_seed(7)
    small = {"embedding_dim": 6, "hidden_dim": 5, "init_std": 0.7}
    return NARM(N_ITEMS, NARM.Config(**(small | options))).double()


@pytest.mark.parametrize("attention", ["softmax", "plain"])
@pytest.mark.parametrize("encoders", ["one", "two"])
def test_narm(attention: str, encoders: str) -> None:
    options = {"attention": attention, "encoders": encoders}
    model = build(dropout_embedding=0, dropout_session=0, **options)

    def encode(clicks: list[int]) -> Tensor:
        x = [model.items[item] for item in clicks]
        local = all_states(model.local_gru, x)
        whole = local if model.global_gru is None else all_states(model.global_gru, x)
        h_t = local[-1]
        alpha = [
            model.v.weight[0] @ torch.sigmoid(model.a1.weight @ h_t + model.a2.weight @ h_j)
            for h_j in local
        ]
        if attention == "softmax":
            total = sum(torch.exp(a) for a in alpha)
            alpha = [torch.exp(a) / total for a in alpha]
        purpose = sum(a * h_j for a, h_j in zip(alpha, local, strict=True))
        return model.bilinear.weight @ torch.cat([whole[-1], purpose])

    assert_twins(model, encode)


@pytest.mark.parametrize("option", ["dropout_embedding", "dropout_session"])
def test_dropout_is_for_training_only(option: str) -> None:
    model = build(**({"dropout_embedding": 0, "dropout_session": 0} | {option: 0.5}))
    batch = sessions(N_ITEMS)
    assert not torch.equal(model.encode(batch), model.encode(batch))
    model.eval()
    assert torch.equal(model.encode(batch), model.encode(batch))


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError, match="hidden_dim is at least 1; received 0"):
        NARM.Config(hidden_dim=0)
    with pytest.raises(ConfigError, match=r"dropout_session is in \[0, 1\); received -0.1"):
        NARM.Config(dropout_session=-0.1)
    with pytest.raises(ConfigError, match="encoders is one of 'one', 'two'; received 'three'"):
        NARM.Config(encoders="three")  # type: ignore[arg-type]
