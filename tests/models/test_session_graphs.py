"""Graphs of a batch against graphs that are built one session at a time, with dicts."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from proxysr.data.batches import batch_of
from proxysr.models.session_graphs import (
    IN,
    IN_OUT,
    NO_EDGE,
    OUT,
    SELF,
    adjacency,
    edge_types,
    session_graphs,
)


def literal_counts(clicks: list[int]) -> Counter[tuple[int, int]]:
    return Counter(pairwise(clicks))


def random_sessions(n_items: int) -> list[list[int]]:
    rng = np.random.default_rng(n_items)
    return [rng.integers(1, n_items + 1, size=rng.integers(1, 9)).tolist() for _ in range(60)]


@pytest.mark.parametrize("n_items", [1, 2, 3, 8, 100])
def test_nodes_edges_and_kinds(n_items: int) -> None:
    sessions = random_sessions(n_items)
    items = batch_of(sessions).items
    graphs = session_graphs(items, torch.float64)
    incoming, outgoing = adjacency(graphs.counts)
    types = edge_types(graphs.counts)
    for row, clicks in enumerate(sessions):
        nodes = graphs.nodes[row].tolist()
        assert sorted(node for node in nodes if node) == sorted(set(clicks))
        assert [nodes[place] for place in graphs.alias[row, -len(clicks) :]] == clicks
        counts = literal_counts(clicks)
        for i, u in enumerate(nodes):
            after = sum(n for (first, _), n in counts.items() if first == u)
            before = sum(n for (_, second), n in counts.items() if second == u)
            for j, v in enumerate(nodes):
                assert graphs.counts[row, i, j] == counts[u, v]
                assert outgoing[row, i, j] == (counts[u, v] / after if after else 0)
                assert incoming[row, i, j] == (counts[v, u] / before if before else 0)
                kind = {
                    (True, False): OUT, (False, True): IN, (True, True): IN_OUT,
                }.get((counts[u, v] > 0, counts[v, u] > 0), NO_EDGE)  # fmt: skip
                assert types[row, i, j] == (SELF if i == j else kind)


def test_clicks_find_their_nodes() -> None:
    items = batch_of([[5, 2, 5, 9], [7], [3, 3]]).items
    graphs = session_graphs(items, torch.float32)
    states = torch.randn(10, 4)[graphs.nodes]
    at_clicks = graphs.at_clicks(states)
    for row, column in (items > 0).nonzero().tolist():
        place = graphs.nodes[row].tolist().index(int(items[row, column]))
        assert torch.equal(at_clicks[row, column], states[row, place])


def test_padding_adds_nothing() -> None:
    sessions = [[5, 2, 5, 9], [7], [3, 3]]
    items = batch_of(sessions).items
    narrow = session_graphs(items, torch.float32)
    wide = session_graphs(torch.nn.functional.pad(items, (3, 0)), torch.float32)
    assert torch.equal(wide.nodes[:, 3:], narrow.nodes)
    assert torch.equal(wide.counts[:, 3:, 3:], narrow.counts)
    assert wide.counts.sum() == narrow.counts.sum() == 4


def test_a_batch_of_no_sessions() -> None:
    graphs = session_graphs(torch.zeros(0, 3, dtype=torch.long), torch.float32)
    assert graphs.counts.shape == (0, 3, 3)
