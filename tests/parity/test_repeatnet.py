"""RepeatNet against its equations, one session and one item at a time, to 1e-9 in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.data.batches import SessionBatch, batch_of
from proxysr.models import RepeatNet
from proxysr.models.repeatnet import Attention
from tests.parity.literal_gru import all_states
from tests.parity.literal_softmax import assert_loss

N_ITEMS = 13


def build(n_items: int = N_ITEMS, **options: Any) -> RepeatNet:
    torch.manual_seed(5)
    settings = {"embedding_dim": 5, "max_length": 7, "init_std": 0.8, "dropout": 0.0} | options
    return RepeatNet(n_items, RepeatNet.Config(**settings)).double()


def batch() -> SessionBatch:
    """Targets that repeat an item once or twice clicked, and others."""
    items = torch.tensor([[0, 0, 3, 8], [5, 2, 5, 5], [0, 1, 12, 13], [0, 0, 0, 4]])
    targets = torch.tensor([[0, 0, 8, 3], [0, 5, 5, 11], [0, 12, 0, 7], [0, 0, 0, 4]])
    return SessionBatch(items, (items > 0).sum(1), targets)


def shares(attention: Attention, states: list[Tensor]) -> list[Tensor]:
    exponentials = [
        torch.exp(
            attention.out.weight[0]
            @ torch.tanh(attention.latest.weight @ states[-1] + attention.each.weight @ h)
        )
        for h in states
    ]
    return [e / sum(exponentials) for e in exponentials]


def probabilities(model: RepeatNet, clicks: list[int]) -> tuple[list[Tensor], Tensor]:
    """P(i) of items 1..n_items, and P(repeat)."""
    states = all_states(model.encoder, [model.items[item] for item in clicks])
    c = sum(a * h for a, h in zip(shares(model.mode_attention, states), states, strict=True))
    repeat, explore = torch.softmax(model.mode.weight @ c, dim=0)
    c = sum(a * h for a, h in zip(shares(model.explore_attention, states), states, strict=True))
    vector = torch.cat([states[-1], c])
    outside = [item for item in range(1, model.n_items + 1) if item not in clicks]
    f = {item: torch.exp(model.explore.weight[item] @ vector) for item in outside}
    attended = shares(model.repeat_attention, states)
    result = []
    for item in range(1, model.n_items + 1):
        if item in clicks:
            result.append(
                repeat * sum(a for a, i in zip(attended, clicks, strict=True) if i == item)
            )
        else:
            result.append(explore * f[item] / sum(f.values()))
    return result, repeat


@pytest.mark.parametrize("lambda_mode", [0.0, 0.7])
def test_loss_and_gradient(lambda_mode: float) -> None:
    model = build(lambda_mode=lambda_mode)
    items, modes = [], []
    for row, session in enumerate(batch().items.tolist()):
        for column in range(4):
            target = int(batch().targets[row, column])
            if target:
                clicks = [item for item in session[: column + 1] if item]
                p, repeat = probabilities(model, clicks)
                items.append(-torch.log(p[target - 1]))
                modes.append(-torch.log(repeat if target in clicks else 1 - repeat))
    item, mode = sum(items) / len(items), sum(modes) / len(modes)
    expected, got = item + lambda_mode * mode, model.loss(batch())
    assert abs((got.parts["item"] - item).item()) < 1e-9
    assert abs((got.parts["mode"] - mode).item()) < 1e-9
    assert_loss(model, got.total, expected)


def test_scores_are_the_logarithms_of_probabilities() -> None:
    model = build().eval()
    sessions = [[4, 2, 7], [9], [3, 3, 5, 1, 6, 3, 3], [1, 2, 3, 3, 5, 1, 6, 3, 3]]
    scores = model.score(batch_of(sessions))
    torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(4, dtype=torch.float64))
    for row, clicks in enumerate(sessions):
        p, _ = probabilities(model, clicks[-7:])
        assert (scores[row, 1:] - torch.stack(p).log()).abs().max() < 1e-9
    torch.testing.assert_close(scores[2], scores[3])


def test_a_prefix_of_all_items_leaves_everything_finite() -> None:
    model = build(n_items=3)
    b = SessionBatch(torch.tensor([[1, 3, 2]]), torch.tensor([3]), torch.tensor([[3, 2, 1]]))
    model.loss(b).total.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert model.score(b)[:, 1:].isfinite().all()


def test_a_certain_attention_leaves_everything_finite() -> None:
    model = build()
    with torch.no_grad():
        model.repeat_attention.out.weight.mul_(1e4)
    b = batch()
    model.loss(b).total.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert model.score(b)[:, 1:].isfinite().all()


def test_without_repeated_targets_the_repeat_decoder_is_not_trained() -> None:
    """As under the unseen task."""
    model = build()
    items, targets = torch.tensor([[3, 8, 3]]), torch.tensor([[8, 0, 4]])
    model.loss(SessionBatch(items, torch.tensor([3]), targets)).total.backward()
    assert all((p.grad == 0).all() for p in model.repeat_attention.parameters())
    assert (model.explore.weight.grad != 0).any()
