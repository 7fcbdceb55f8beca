"""The hinge over the closest items is the plain one, with its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize, relu

from proxysr.kernels import sizes
from proxysr.kernels.hinge import (
    Candidates,
    Hinge,
    hardest_negatives,
    hinge_over_all,
    hinge_over_hardest,
)
from proxysr.kernels.hyperplane import ProjectedSearch, Queries, closeness_to_all
from proxysr.kernels.tiles import side_by_side
from proxysr.models.proxysr import distance, project


def case(n_items: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Items, queries, normals, the session and the target of each query; in float64."""
    generator = torch.Generator().manual_seed(n_items)
    items, query, normals = (
        torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (n_items + 1, 7, 3)
    )
    targets = torch.randint(1, n_items + 1, (7,), generator=generator)
    return items, query, normalize(normals, dim=1), torch.tensor([0, 0, 1, 1, 1, 2, 2]), targets


def queries_of(query: Tensor, normals: Tensor, session: Tensor) -> Queries:
    return Queries(project(query, normals[session]), normals, session)


def plain(
    items: Tensor, query: Tensor, normals: Tensor, session: Tensor, targets: Tensor,
    k: int, target_is_negative: bool,
) -> Tensor:  # fmt: skip
    """The lines that the kernel replaces."""
    distances = distance(query[:, None], normals[session][:, None], items)
    terms = relu(2.0 + distances.gather(1, targets[:, None]) - distances)
    left_out = torch.zeros_like(terms, dtype=torch.bool)
    left_out[:, 0] = True
    if not target_is_negative:
        left_out[torch.arange(len(targets)), targets] = True
    return terms.masked_fill(left_out, -1).topk(k).values.clamp(min=0).sum(dim=1)


@pytest.mark.parametrize("dense", [0, 10**6])  # gradients row by row, or as products
@pytest.mark.parametrize("form", ["hardest", "all"])
@pytest.mark.parametrize("target_is_negative", [True, False])
def test_values_and_gradients(
    dense: int, form: str, target_is_negative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "DENSE", dense)
    monkeypatch.setattr(sizes, "TILE", 16)
    *tensors, session, targets = case(40)
    k = 5 if form == "hardest" else 40 - (not target_is_negative)
    weights, results = torch.linspace(1, 2, 7, dtype=torch.float64), []
    for fast in (True, False):
        inputs = [x.clone().requires_grad_() for x in tensors]
        items, query, normals = inputs[0], inputs[1], normalize(inputs[2], dim=1)
        if not fast:
            total = plain(items, query, normals, session, targets, k, target_is_negative)
        else:
            candidates = Candidates(items, targets, len(items))
            queries = queries_of(query, normals, session)
            hinge: Hinge = (
                hinge_over_all(
                    candidates, queries, margin=2.0, target_is_negative=target_is_negative
                )
                if form == "all"
                else hinge_over_hardest(
                    ProjectedSearch(), candidates, queries,
                    k=k, margin=2.0, target_is_negative=target_is_negative,
                )
            )  # fmt: skip
            total = hinge.total
        (total * weights).sum().backward()  # type: ignore[no-untyped-call]
        results.append([total.detach(), *(x.grad for x in inputs)])
    for ours, wanted in zip(*results, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_rows", [3, 7])  # one tile of all items, or several
def test_closeness_is_minus_the_distance_but_for_a_number_of_each_row(
    n_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "TILE", 16)
    items, query, _, _, _ = case(40)
    query = query[:n_rows]
    normals = normalize(torch.randn(n_rows, 4, dtype=torch.float64), dim=1)
    queries = queries_of(query, normals, torch.arange(n_rows))
    closeness = side_by_side(closeness_to_all(items, queries), 41)
    wanted = query.square().sum(1, keepdim=True) - distance(query[:, None], normals[:, None], items)
    torch.testing.assert_close(closeness[:, 1:], wanted[:, 1:], rtol=1e-9, atol=1e-9)
    assert torch.isneginf(closeness[:, 0]).all()


@pytest.mark.parametrize("n_items", [1500, 2047, 2048, 5000, 9000])
@pytest.mark.parametrize("target_is_negative", [True, False])
def test_hardest_negatives_are_those_of_a_full_sort(n_items: int, target_is_negative: bool) -> None:
    """Table sizes around the tile, with few and many lanes."""
    items, query, normals, session, targets = case(n_items)
    negatives = hardest_negatives(
        ProjectedSearch(), Candidates(items, targets, len(items)),
        queries_of(query, normals, session),
        k=50, target_is_negative=target_is_negative, memory=2**30,
    )  # fmt: skip
    for row in range(7):
        distances = distance(query[row], normals[session[row]], items)
        distances[0] = torch.inf
        if not target_is_negative:
            distances[targets[row]] = torch.inf
        expected = distances.argsort()[:50]
        assert set(negatives.columns[row, :-1].tolist()) == set(expected.tolist())
        assert int(negatives.columns[row, -1]) == int(targets[row])
