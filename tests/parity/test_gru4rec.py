"""The fast GRU4Rec against gates, states and losses written out one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.config import ConfigError
from proxysr.models import GRU4Rec
from proxysr.models.gru4rec import bpr_max, top1_max
from tests.parity.literal_gru import all_states
from tests.parity.literal_softmax import N_ITEMS, assert_twins, cross_entropy_at, sessions

LAMBDA = 0.3


def build(**options: Any) -> GRU4Rec:
    torch.manual_seed(7)
    small = {"embedding_dim": 6, "init_std": 0.7, "lambda_scores": LAMBDA}
    model = GRU4Rec(N_ITEMS, GRU4Rec.Config(**(small | options))).double()
    torch.nn.init.normal_(model.item_bias)
    return model


def shares(scores: Tensor, target: int) -> dict[int, Tensor]:
    """``s_j`` of every negative item."""
    negatives = [j for j in range(1, N_ITEMS + 1) if j != target]
    total = sum(torch.exp(scores[j - 1]) for j in negatives)
    return {j: torch.exp(scores[j - 1]) / total for j in negatives}


def bpr_max_at(scores: Tensor, target: int) -> Tensor:
    share = shares(scores, target)
    r = {j: scores[j - 1] for j in range(1, N_ITEMS + 1)}
    inner = sum(share[j] * torch.sigmoid(r[target] - r[j]) for j in share)
    return -torch.log(inner) + LAMBDA * sum(share[j] * r[j] ** 2 for j in share)


def top1_max_at(scores: Tensor, target: int) -> Tensor:
    share = shares(scores, target)
    r = {j: scores[j - 1] for j in range(1, N_ITEMS + 1)}
    return sum(
        share[j] * (torch.sigmoid(r[j] - r[target]) + torch.sigmoid(r[j] ** 2)) for j in share
    )


LOSSES = {"cross-entropy": cross_entropy_at, "bpr-max": bpr_max_at, "top1-max": top1_max_at}


@pytest.mark.parametrize("objective", LOSSES)
@pytest.mark.parametrize("n_layers", [1, 2])
def test_gru4rec(objective: str, n_layers: int) -> None:
    model = build(objective=objective, n_layers=n_layers)

    def encode(clicks: list[int]) -> Tensor:
        return all_states(model.gru, [model.items[item] for item in clicks])[-1]

    assert_twins(model, encode, loss_at=LOSSES[objective], bias=model.item_bias)


@pytest.mark.parametrize("loss", [lambda r, i: bpr_max(r, i, 0.1), top1_max])
def test_far_scores_keep_losses_and_gradients_finite(loss: Any) -> None:
    scores = torch.tensor([[200.0, 0.0, -200.0], [-200.0, 0.0, 200.0]], requires_grad=True)
    losses = loss(scores, torch.tensor([0, 0]))
    losses.sum().backward()
    assert losses.isfinite().all()
    assert losses[0] < losses[1]
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("objective", ["bpr-max", "top1-max"])
def test_ranking_losses_fall(objective: str) -> None:
    model = build(objective=objective, embedding_dim=24, init_std=0.1, lambda_scores=0.01).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    batch = sessions(N_ITEMS)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = model.loss(batch).total
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_dropout_is_for_training_only() -> None:
    model = build(dropout_embedding=0.5, dropout_hidden=0.5, n_layers=2)
    batch = sessions(N_ITEMS)
    assert not torch.equal(model.encode(batch), model.encode(batch))
    model.eval()
    assert torch.equal(model.encode(batch), model.encode(batch))


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError, match="n_layers is at least 1; received 0"):
        GRU4Rec.Config(n_layers=0)
    with pytest.raises(ConfigError, match=r"dropout_hidden is in \[0, 1\); received 1.0"):
        GRU4Rec.Config(dropout_hidden=1)
    with pytest.raises(ConfigError, match="lambda_scores is not negative; received -1.0"):
        GRU4Rec.Config(lambda_scores=-1)
    with pytest.raises(ConfigError, match="single item there is no negative for 'bpr-max'"):
        GRU4Rec(1, GRU4Rec.Config(objective="bpr-max"))
