"""What the analyses make of every model with proxies; the models keep the contract's promises."""

from __future__ import annotations

import pytest

from proxysr.analysis.attribution import smallest_flip
from proxysr.analysis.counterfactuals import at_temperature
from proxysr.analysis.representations import item_vectors
from proxysr.data.batches import batch_of
from proxysr.kernels.tiles import side_by_side
from proxysr.models import ProxyModel
from proxysr.testing import SESSIONS
from proxysr.testing.proxies import close, disturbed
from tests.contract.small import N_ITEMS, NAMES, case, small

CHOOSING = [
    name for name in NAMES if isinstance(model := small(name), ProxyModel) and model.chooses
]


@pytest.fixture(params=CHOOSING)
def name(request: pytest.FixtureRequest) -> str:
    param: str = request.param
    return param


@pytest.fixture
def model(name: str) -> ProxyModel:
    return disturbed(case(name))[0]


def test_items_have_vectors(model: ProxyModel) -> None:
    assert item_vectors(model).shape[0] == N_ITEMS + 1


def test_a_model_at_another_temperature_is_evaluated_at_it(model: ProxyModel) -> None:
    batch = batch_of(SESSIONS)
    view = at_temperature(model, 20.0)
    expected = model.score(batch, temperature=20.0)
    close(view.score(batch), expected)
    close(side_by_side(view.answer(batch).tiles, N_ITEMS + 1)[:, 1:].diff(), expected[:, 1:].diff())
    close(view.choices(batch)["probability"], view.weigh(batch)[1].max(dim=1).values)


@pytest.mark.parametrize("seed", range(4))
def test_a_flip_is_found_where_there_is_one(name: str, seed: int) -> None:
    """By estimate and check: as clear as what trying every edit finds, where all are checked."""
    model, _ = disturbed(case(name), seed)
    for clicks in ([4, 2, 7], [9], [31, 12, 13, 5]):
        before = int(model.weigh(batch_of([clicks]))[0].argmax())
        edited = [
            [*clicks[:j], *middle, *clicks[j + 1 :]]
            for j in range(len(clicks))
            for middle in ([], *([item] for item in range(1, N_ITEMS + 1)))
        ]
        logits = model.weigh(batch_of([e[:] for e in edited if e]))[0]
        best = logits.topk(2)
        flips = best.indices[:, 0] != before
        flip = smallest_flip(model, clicks)
        assert (flip is not None) == bool(flips.any())
        if flip is None:
            continue
        assert flip.before == before
        assert flip.after != before
        true = model.weigh(batch_of([list(flip.clicks)]))[0][0].topk(2)
        assert int(true.indices[0]) == flip.after
        assert flip.lead == pytest.approx(float(true.values[0] - true.values[1]))
        largest = (best.values[:, 0] - best.values[:, 1])[flips].max()
        assert flip.lead > 0.5 * float(largest)
