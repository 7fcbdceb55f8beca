"""The fast mean encoder against a loop over clicks."""

from __future__ import annotations

import torch
from torch import Tensor

from proxysr.models import MeanEncoder
from tests.parity.literal_softmax import N_ITEMS, assert_twins


def test_mean_encoder() -> None:
    torch.manual_seed(7)
    model = MeanEncoder(N_ITEMS, MeanEncoder.Config(embedding_dim=6, init_std=0.7)).double()

    def encode(clicks: list[int]) -> Tensor:
        return sum(model.items[item] for item in clicks) / len(clicks)

    assert_twins(model, encode)
