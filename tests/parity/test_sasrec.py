"""SASRec against its equations, one session and one click at a time, to 1e-9 in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.config import ConfigError
from proxysr.data.batches import SessionBatch, batch_of
from proxysr.models import SASRec
from tests.parity.literal_softmax import assert_loss

N_ITEMS = 13


def build(**options: Any) -> SASRec:
    torch.manual_seed(5)
    settings = {"embedding_dim": 6, "max_length": 7, "init_std": 0.5, "dropout": 0.0} | options
    model = SASRec(N_ITEMS, SASRec.Config(**settings)).double()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter)
    return model


def batch() -> SessionBatch:
    items = torch.tensor([[0, 0, 3, 8], [5, 2, 5, 5], [0, 1, 12, 13], [0, 0, 0, 4]])
    targets = torch.tensor([[0, 0, 8, 3], [0, 0, 5, 11], [0, 12, 0, 7], [0, 0, 0, 4]])
    return SessionBatch(items, (items > 0).sum(1), targets)


def norm(layer: torch.nn.LayerNorm, x: Tensor) -> Tensor:
    mean = sum(x) / len(x)
    variance = sum((x - mean) ** 2) / len(x)
    return layer.weight * (x - mean) / torch.sqrt(variance + layer.eps) + layer.bias


def literal_vector(model: SASRec, clicks: list[int]) -> Tensor:
    d = model.config.embedding_dim
    x = [model.items[item] + model.positions[j] for j, item in enumerate(clicks)]
    for block in model.blocks:
        z = [norm(block.attention_norm, x_j) for x_j in x]
        after = []
        for i in range(len(clicks)):
            query = block.query.weight @ z[i]
            logits = [query @ (block.key.weight @ z[j]) / math.sqrt(d) for j in range(i + 1)]
            exponentials = [torch.exp(logit) for logit in logits]
            shares = [e / sum(exponentials) for e in exponentials]
            attended = sum(shares[j] * (block.value.weight @ z[j]) for j in range(i + 1))
            y = x[i] + attended
            hidden = block.hidden.weight @ norm(block.forward_norm, y) + block.hidden.bias
            after.append(y + block.out.weight @ hidden.clamp(min=0) + block.out.bias)
        x = after
    return norm(model.norm, x[-1])


def literal_loss(model: SASRec, negatives: dict[tuple[int, int], int] | None) -> Tensor:
    terms = []
    for row, clicks in enumerate(batch().items.tolist()):
        for column in range(4):
            target = int(batch().targets[row, column])
            if target == 0:
                continue
            vector = literal_vector(model, [i for i in clicks[: column + 1] if i])
            scores = [vector @ model.items[item] for item in range(1, N_ITEMS + 1)]
            if negatives is None:
                terms.append(-scores[target - 1] + torch.log(sum(torch.exp(s) for s in scores)))
            else:
                yes = torch.sigmoid(scores[target - 1])
                no = torch.sigmoid(scores[negatives[row, column] - 1])
                terms.append(-torch.log(yes) - torch.log(1 - no))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("n_blocks", [1, 3])
def test_loss_and_gradient(n_blocks: int) -> None:
    model = build(n_blocks=n_blocks)
    assert_loss(model, model.loss(batch()).total, literal_loss(model, None))


def test_binary_loss_and_gradient() -> None:
    model = build(objective="binary")
    where = (batch().targets > 0).nonzero().tolist()
    torch.manual_seed(1)
    drawn = model.negatives(batch().targets[batch().targets > 0]).tolist()
    negatives = {(row, column): n for (row, column), n in zip(where, drawn, strict=True)}
    torch.manual_seed(1)
    assert_loss(model, model.loss(batch()).total, literal_loss(model, negatives))


def test_negatives_are_all_items_but_the_target() -> None:
    model = build(objective="binary")
    targets = torch.arange(1, N_ITEMS + 1).repeat_interleave(4000)
    drawn = model.negatives(targets)
    counts = torch.bincount(targets * 20 + drawn, minlength=20 * 20).reshape(-1, 20)[
        1 : N_ITEMS + 1
    ]
    assert (counts[:, 0] == 0).all()
    assert (counts[:, N_ITEMS + 1 :] == 0).all()
    assert (counts[:, 1 : N_ITEMS + 1].diagonal() == 0).all()
    others = counts[:, 1 : N_ITEMS + 1][~torch.eye(N_ITEMS, dtype=torch.bool)]
    assert (others - 4000 / 12).abs().max() < 100  # more than five standard deviations


def test_scores() -> None:
    model = build()
    sessions = [[4, 2, 7], [9], [3, 3, 5, 1, 6, 3, 3], [1, 2, 3, 3, 5, 1, 6, 3, 3]]
    scores = model.eval().score(batch_of(sessions))
    for row, clicks in enumerate(sessions):
        expected = model.items[1:] @ literal_vector(model, clicks[-7:])
        assert (scores[row, 1:] - expected).abs().max() < 1e-9
    torch.testing.assert_close(scores[2], scores[3])


def test_a_negative_needs_another_item() -> None:
    with pytest.raises(ConfigError, match='with objective="binary" no negative is left'):
        SASRec(1, SASRec.Config(objective="binary"))
