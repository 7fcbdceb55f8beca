"""The fast GCE-GNN against one written item by item, edge by edge, in float64."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from proxysr.data.batches import batch_of
from proxysr.data.sessions import Sessions
from proxysr.models.gcegnn import GCEGNN
from proxysr.models.session_graphs import IN, IN_OUT, KINDS, OUT, SELF, global_graph
from tests.parity.literal_softmax import assert_twins

SESSIONS = [[4, 2, 7], [9], [3, 8, 3, 5, 1, 6], [12, 12], [5, 5, 5, 2, 5, 2, 9, 11]]
N_ITEMS = 14  # of which 13 and 14 have no global neighbours


def train() -> Sessions:
    rng = np.random.default_rng(5)
    lists = [rng.integers(1, 13, size=rng.integers(1, 8)).tolist() for _ in range(12)]
    return Sessions.from_lists([*lists, [13]])


def literal_neighbors(sessions: Sessions, item: int, window: int, n: int) -> list[tuple[int, int]]:
    """Neighbours of an item with their counts, by looking around every click on it."""
    counts: Counter[int] = Counter()
    for row in range(len(sessions)):
        clicks = sessions[row].tolist()
        for i, clicked in enumerate(clicks):
            around = clicks[max(i - window, 0) : i] + clicks[i + 1 : i + 1 + window]
            counts.update(around if clicked == item else [])
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:n]


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def literal_global(model: GCEGNN, item: int, session: Tensor, hop: int) -> Tensor:
    """The vector of an item within a session after ``hop`` hops."""
    if hop == 0:
        return model.items[item]
    c, aggregator = model.config, model.aggregators[hop - 1]
    found = literal_neighbors(train(), item, c.window, c.n_neighbors)
    vectors = [literal_global(model, j, session, hop - 1) for j, _ in found]
    logits = [
        aggregator.q1.weight[0]
        @ leaky(aggregator.w1.weight @ torch.cat([session * h, torch.tensor([float(weight)])]))
        for h, (_, weight) in zip(vectors, found, strict=True)
    ]
    gathered = torch.zeros_like(session)
    for h, logit in zip(vectors, logits, strict=True):
        gathered = gathered + torch.exp(logit) / sum(torch.exp(e) for e in logits) * h
    own = literal_global(model, item, session, hop - 1)
    return torch.relu(aggregator.w2.weight @ torch.cat([own, gathered]))


def literal_session(model: GCEGNN, clicks: list[int]) -> dict[int, Tensor]:
    """Attention along the edges of the session's own graph."""
    steps = set(pairwise(clicks))
    result = {}
    for i in clicks:
        logits = {}
        for j in clicks:
            if i == j:
                kind = SELF
            elif (i, j) in steps and (j, i) in steps:
                kind = IN_OUT
            elif (i, j) in steps:
                kind = OUT
            elif (j, i) in steps:
                kind = IN
            else:
                continue
            weight = model.edge_kinds[KINDS.index(kind)]
            logits[j] = leaky(weight @ (model.items[i] * model.items[j]))
        total = sum(torch.exp(e) for e in logits.values())
        result[i] = sum(torch.exp(e) / total * model.items[j] for j, e in logits.items())
    return result


def mean(vectors: list[Tensor]) -> Tensor:
    return sum(vectors) / len(vectors)


def literal_vector(model: GCEGNN, clicks: list[int]) -> Tensor:
    """The vector of one session."""
    whole = mean([model.items[i] for i in clicks])
    local = literal_session(model, clicks)
    hops = model.config.n_hops
    both = {i: literal_global(model, i, whole, hops) + local[i] for i in dict.fromkeys(clicks)}
    session = mean([both[i] for i in clicks])
    vector = torch.zeros_like(session)
    for t, i in enumerate(clicks):
        position = model.positions[len(clicks) - 1 - t]
        z = torch.tanh(model.w3.weight @ torch.cat([both[i], position]) + model.w3.bias)
        hidden = model.w4.weight @ z + model.w4.bias + model.w5.weight @ session
        vector = vector + (model.q2.weight[0] @ torch.sigmoid(hidden)) * both[i]
    return vector


def build(**options: Any) -> GCEGNN:
    torch.manual_seed(7)
    settings = {"embedding_dim": 6, "max_length": 8, "init_std": 0.5, "dropout": 0.0} | options
    model = GCEGNN(N_ITEMS, GCEGNN.Config(**settings))
    model.prepare(train())
    return model.double()


@pytest.mark.parametrize(
    "options",
    [{}, {"n_hops": 2, "n_neighbors": 3}, {"window": 1, "n_neighbors": 20}],
    ids=str,
)
def test_vectors_scores_loss_and_gradient(options: dict[str, Any]) -> None:
    model = build(max_length=9, **options)
    assert_twins(model, partial(literal_vector, model))


def test_an_item_without_global_neighbors_keeps_its_own_half() -> None:
    model = build()
    aggregator = model.aggregators[0]
    session = torch.ones(1, 6, dtype=torch.float64)
    vector = model.global_level(torch.tensor([14]), torch.tensor([0]), session, 1, model.embed)[0]
    own = aggregator.w2.weight[:, :6] @ model.items[14]
    torch.testing.assert_close(vector, torch.relu(own))


@pytest.mark.parametrize("n_hops", [1, 2])
def test_general_interest_is_the_mean_of_global_level_vectors(n_hops: int) -> None:
    model = build(n_hops=n_hops, n_neighbors=3)
    features = model.general_interest(batch_of([[9] * 3 + SESSIONS[4], *SESSIONS]))
    for feature, clicks in zip(features[1:], SESSIONS, strict=True):
        whole = mean([model.items[i] for i in clicks])
        expected = mean([literal_global(model, i, whole, n_hops) for i in clicks])
        assert (feature - expected).abs().max() < 1e-9
    assert torch.equal(features[0], features[5])  # the latest max_length clicks


@pytest.mark.parametrize("window", [1, 3, 50])
@pytest.mark.parametrize("n_neighbors", [1, 4, 40])
def test_global_graph(window: int, n_neighbors: int) -> None:
    neighbors, counts = global_graph(train(), N_ITEMS, window=window, n_neighbors=n_neighbors)
    assert neighbors.shape == counts.shape == (N_ITEMS + 1, n_neighbors)
    for item in range(N_ITEMS + 1):
        expected = literal_neighbors(train(), item, window, n_neighbors)
        n = len(expected)
        assert list(zip(neighbors[item, :n], counts[item, :n], strict=True)) == expected
        assert not neighbors[item, n:].any()
        assert not counts[item, n:].any()


def test_global_graph_of_no_steps_is_empty() -> None:
    neighbors, counts = global_graph(Sessions.from_lists([[2]]), 3, window=3, n_neighbors=2)
    assert not neighbors.any()
    assert not counts.any()


def test_dropout_acts_on_the_global_level_only_in_training() -> None:
    model = build(dropout=0.9, dropout_aggregator=0.9)
    batch = batch_of(SESSIONS)
    torch.testing.assert_close(model.eval().encode(batch), build().encode(batch))
    assert not torch.allclose(model.train().encode(batch), build().encode(batch))


def test_a_checkpoint_carries_the_global_graph() -> None:
    model = build()
    other = GCEGNN(N_ITEMS, model.config).double()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.neighbors, model.neighbors)
    assert torch.equal(other.score(batch_of(SESSIONS)), model.score(batch_of(SESSIONS)))
