"""The fast STAMP against its equations, click by click."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.config import ConfigError
from proxysr.models import STAMP
from tests.parity.literal_softmax import N_ITEMS, assert_twins


def build(**options: Any) -> STAMP:
    torch.manual_seed(7)
    small = {"embedding_dim": 6, "init_std": 0.7, "init_std_weights": 0.5}
    model = STAMP(N_ITEMS, STAMP.Config(**(small | options))).double()
    for layer in (model.w3, model.w_s, model.w_t):
        torch.nn.init.normal_(layer.bias)
    return model


@pytest.mark.parametrize("add_mean", [True, False])
def test_stamp(add_mean: bool) -> None:
    model = build(add_mean=add_mean)
    w0, w1, w2, w3 = (layer.weight for layer in (model.w0, model.w1, model.w2, model.w3))

    def encode(clicks: list[int]) -> Tensor:
        x = [model.items[item] for item in clicks]
        x_t = x[-1]
        m_s = sum(x) / len(x)
        alpha = [
            (w0 @ torch.sigmoid(w1 @ x_i + w2 @ x_t + w3 @ m_s + model.w3.bias))[0] for x_i in x
        ]
        m_a = sum(a * x_i for a, x_i in zip(alpha, x, strict=True))
        if add_mean:
            m_a = m_a + m_s
        h_s = torch.tanh(model.w_s.weight @ m_a + model.w_s.bias)
        h_t = torch.tanh(model.w_t.weight @ x_t + model.w_t.bias)
        return h_s * h_t

    assert_twins(model, encode)


def test_weights_start_as_the_settings_say() -> None:
    model = STAMP(500, STAMP.Config(embedding_dim=60, init_std=0.3, init_std_weights=0.02))
    assert abs(model.items[1:].std().item() - 0.3) < 0.01
    assert abs(model.w1.weight.std().item() - 0.02) < 0.001
    assert (model.w_s.bias == 0).all()


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError, match="init_std_weights is positive; received 0.0"):
        STAMP.Config(init_std_weights=0)
