"""The fast CORE against one written click by click, in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from proxysr.models import CORE
from proxysr.models.core import Layer
from tests.parity.literal_softmax import clicks_until, sessions

N_ITEMS = 23


def build(**options: Any) -> CORE:
    torch.manual_seed(7)
    settings = {
        "embedding_dim": 6, "max_length": 9, "inner_dim": 5, "temperature": 0.3,
        "dropout": 0.0, "dropout_session": 0.0, "dropout_items": 0.0,
    } | options  # fmt: skip
    model = CORE(N_ITEMS, CORE.Config(**settings)).double()
    for name, parameter in model.named_parameters():
        if name != "items":  # from their small start, all clicks weigh about alike
            nn.init.normal_(parameter, mean=float("norm" in name and "weight" in name), std=0.5)
    return model


def norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    mean = sum(x) / len(x)
    variance = sum((x - mean) ** 2) / len(x)
    scaled = layer.weight * (x - mean) / torch.sqrt(variance + layer.eps)
    return scaled if layer.bias is None else scaled + layer.bias


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return layer.weight @ x + (0 if layer.bias is None else layer.bias)


def attended(layer: Layer, states: list[Tensor], t: int) -> Tensor:
    """Click t's mixture of the clicks until then, by several heads."""
    size = len(states[0]) // layer.n_heads
    q, k, v = ([linear(to, x) for x in states] for to in (layer.query, layer.key, layer.value))
    heads = []
    for head in range(layer.n_heads):
        part = slice(head * size, (head + 1) * size)
        logits = [q[t][part] @ k[j][part] / math.sqrt(size) for j in range(t + 1)]
        total = sum(torch.exp(logit) for logit in logits)
        heads.append(sum(torch.exp(logits[j]) / total * v[j][part] for j in range(t + 1)))
    return linear(layer.join, torch.cat(heads))


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def literal_vector(model: CORE, clicks: list[int]) -> Tensor:
    """The unit vector of one session, over the temperature."""
    c = model.config
    embedded = [model.items[item] for item in clicks]
    logits = [torch.zeros((), dtype=torch.float64)] * len(clicks)
    if c.weights == "transformer":
        states = [norm(model.norm, x + model.positions[j]) for j, x in enumerate(embedded)]
        for layer in model.layers:
            after = []
            for t, x in enumerate(states):
                y = norm(layer.attention_norm, x + attended(layer, states, t))
                z = linear(layer.out, gelu(linear(layer.hidden, y)))
                after.append(norm(layer.forward_norm, y + z))
            states = after
        logits = [model.weigh.weight[0] @ x for x in states]
    total = sum(torch.exp(logit) for logit in logits)
    mean = sum(torch.exp(a) / total * x for a, x in zip(logits, embedded, strict=True))
    return mean / mean.norm() / c.temperature


@pytest.mark.parametrize(
    "options", [{}, {"n_layers": 1, "n_heads": 3}, {"weights": "alike"}], ids=str
)
def test_scores_loss_and_gradient(options: dict[str, Any]) -> None:
    model, batch = build(**options), sessions(N_ITEMS)
    units = [model.items[i] / model.items[i].norm() for i in range(1, N_ITEMS + 1)]

    def scores(row: int, column: int) -> Tensor:
        vector = literal_vector(model, clicks_until(batch, row, column))
        return torch.stack([vector @ unit for unit in units])

    whole = torch.stack([scores(row, 99) for row in range(len(batch.items))])
    torch.testing.assert_close(model.score(batch)[:, 1:], whole, rtol=0, atol=1e-9)
    losses = []
    for row, column in (batch.targets > 0).nonzero().tolist():
        logits = scores(row, column)
        target = int(batch.targets[row, column]) - 1
        losses.append(-torch.log(torch.exp(logits[target]) / sum(torch.exp(x) for x in logits)))
    expected = sum(losses) / len(losses)
    wanted = torch.autograd.grad(expected, list(model.parameters()), allow_unused=True)
    got = model.loss(batch).total
    got.backward()
    assert abs((got - expected).item()) < 1e-9
    for (name, parameter), gradient in zip(model.named_parameters(), wanted, strict=True):
        assert gradient is not None, name
        assert parameter.grad is not None, name
        assert (parameter.grad - gradient).abs().max() < 1e-8, name
        assert gradient.abs().max() > 1e-6, f"{name}: nothing is compared"


def test_drawn_items_are_compared_by_direction_too() -> None:
    model = build(sampled_negatives=50)
    long = build(sampled_negatives=50)
    long.items.data *= 3
    losses = []
    for one in (model, long):
        torch.manual_seed(2)
        losses.append(one.cross_entropy(torch.ones(1, 6).double(), torch.tensor([4])))
    torch.testing.assert_close(*losses)
