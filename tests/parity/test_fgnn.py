"""The fast FGNN against one written session by session, node by node, in float64."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.config import ConfigError
from proxysr.models.fgnn import FGNN
from tests.parity.literal_gru import step
from tests.parity.literal_softmax import assert_twins

CLICKS = [3, 8, 3, 5, 1, 6]


def literal_layer(
    layer: Any, states: dict[int, Tensor], edges: Counter[tuple[int, int]], *, joined: bool
) -> dict[int, Tensor]:
    """Weighted graph attention of all heads for one session."""
    n_heads, dim = layer.shape
    result = {}
    for i in states:
        heads = []
        for k in range(n_heads):
            w = layer.w.weight[k * dim : (k + 1) * dim]
            attention = torch.cat([layer.att_own[k], layer.att_other[k], layer.att_weight[k, None]])
            exponentials = {}
            for j in states:
                if edges[i, j]:
                    weight = torch.tensor([edges[i, j]], dtype=torch.float64)
                    e = attention @ torch.cat([w @ states[i], w @ states[j], weight])
                    exponentials[j] = torch.exp(e if e > 0 else 0.2 * e)
            total = sum(exponentials.values())
            heads.append(sum(x / total * (w @ states[j]) for j, x in exponentials.items()))
        result[i] = (torch.cat(heads) if joined else sum(heads) / n_heads) + layer.bias
    return result


def literal_vector(model: FGNN, clicks: list[int]) -> Tensor:
    """The vector of one session."""
    c = model.config
    edges = Counter(pairwise(clicks))  # from a node to those it attends to
    if c.edges == "before":
        edges = Counter({(after, before): n for (before, after), n in edges.items()})
    for item in set(clicks):
        edges[item, item] = edges[item, item] or 1
    states = {item: model.items[item] for item in dict.fromkeys(clicks)}
    for number, layer in enumerate(model.layers, start=1):
        last = number == c.n_layers
        states = literal_layer(layer, states, edges, joined=not last)
        if not last:
            states = {item: torch.relu(x) for item, x in states.items()}
    q = torch.zeros(c.embedding_dim, dtype=torch.float64)
    both = torch.cat([q, q])
    for _ in range(c.n_questions):
        q = step(model.next_question, both, q)
        total = sum(torch.exp(q @ x) for x in states.values())
        answer = sum(torch.exp(q @ x) / total * x for x in states.values())
        both = torch.cat([q, answer])
    return model.w_out.weight @ both


def build(**options: Any) -> FGNN:
    torch.manual_seed(7)
    settings = {"embedding_dim": 5, "max_length": 9, "n_heads": 3, "init_std": 2.0} | options
    model = FGNN(23, FGNN.Config(**settings)).double()
    for layer in model.layers:
        torch.nn.init.normal_(layer.bias, std=0.1)
        # att_own matters only where it moves some edges of a node across the bend of LeakyReLU
        layer.att_other.data.mul_(5)
    return model


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_layers": 1, "n_questions": 2},
        {"n_layers": 3, "n_heads": 2, "edges": "before"},
        {"n_last_heads": 1},
    ],
    ids=str,
)
def test_vectors_scores_loss_and_gradient(options: dict[str, Any]) -> None:
    model = build(**options)
    assert_twins(model, partial(literal_vector, model))


def test_the_order_of_clicks_counts_where_it_changes_the_graph() -> None:
    model = build()
    there, back = (literal_vector(model, clicks) for clicks in (CLICKS, CLICKS[::-1]))
    assert (there - back).abs().max() > 1e-3
    same_graph = [literal_vector(model, clicks) for clicks in ([1, 2, 1, 3, 1], [1, 3, 1, 2, 1])]
    torch.testing.assert_close(*same_graph)


def test_a_negative_number_of_heads_is_refused() -> None:
    with pytest.raises(ConfigError, match="n_last_heads is not negative; received -1"):
        FGNN.Config(n_last_heads=-1)


@pytest.mark.parametrize("name", ["n_layers", "n_heads", "n_questions"])
def test_settings_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is at least 1; received 0"):
        FGNN.Config(**{name: 0})
