"""The fast SR-GNN against one written session by session, node by node, in float64."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from proxysr.config import ConfigError
from proxysr.models.srgnn import SRGNN
from tests.parity.literal_softmax import assert_twins

CLICKS = [3, 8, 3, 5, 1, 6]


def literal_vector(model: SRGNN, clicks: list[int]) -> Tensor:
    """Equations 1-7 for one session."""
    nodes = list(dict.fromkeys(clicks))
    steps = list(pairwise(clicks))
    states = {v: model.items[v] for v in nodes}
    for _ in range(model.config.n_steps):
        changed = {}
        for v in nodes:
            came = torch.zeros(model.config.embedding_dim, dtype=torch.float64)
            went = torch.zeros_like(came)
            before = [u for u, w in steps if w == v]
            after = [w for u, w in steps if u == v]
            for u in before:
                came = came + model.h_in.weight @ states[u] / len(before)
            for w in after:
                went = went + model.h_out.weight @ states[w] / len(after)
            a = torch.cat([came, went]) + model.bias
            z = torch.sigmoid(model.w_z.weight @ a + model.u_z.weight @ states[v])
            r = torch.sigmoid(model.w_r.weight @ a + model.u_r.weight @ states[v])
            new = torch.tanh(model.w_o.weight @ a + model.u_o.weight @ (r * states[v]))
            changed[v] = (1 - z) * states[v] + z * new
        states = changed
    latest = states[clicks[-1]]
    whole = torch.zeros_like(latest)
    for v in clicks:
        hidden = model.w1.weight @ latest + model.w2.weight @ states[v] + model.w2.bias
        whole = whole + (model.q.weight[0] @ torch.sigmoid(hidden)) * states[v]
    return model.w3.weight @ torch.cat([latest, whole])


@pytest.mark.parametrize("options", [{}, {"n_steps": 3}], ids=str)
def test_vectors_scores_loss_and_gradient(options: dict[str, Any]) -> None:
    torch.manual_seed(7)
    model = SRGNN(23, SRGNN.Config(embedding_dim=6, max_length=9, **options)).double()
    torch.nn.init.normal_(model.bias)
    assert_twins(model, partial(literal_vector, model))


def test_the_order_of_clicks_counts() -> None:
    torch.manual_seed(7)
    model = SRGNN(23, SRGNN.Config(embedding_dim=6)).double()
    there, back = (literal_vector(model, clicks) for clicks in (CLICKS, CLICKS[::-1]))
    assert (there - back).abs().max() > 1e-3


def test_steps_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="n_steps is at least 1; received 0"):
        SRGNN.Config(n_steps=0)
