"""Popularity by counting one click after the other."""

from __future__ import annotations

import pytest
import torch

from proxysr.config import ConfigError
from proxysr.data.batches import batch_of
from proxysr.data.sessions import Sessions
from proxysr.models import Popularity, SessionPopularity
from tests.parity.literal_counting import ASKED, N_ITEMS, TRAIN, differences, prepared


def clicks_in_training() -> dict[int, float]:
    counts = dict.fromkeys(range(1, N_ITEMS + 1), 0.0)
    for session in TRAIN:
        for item in session:
            counts[item] += 1
    return counts


def test_popularity_is_the_number_of_clicks() -> None:
    model = prepared(Popularity(N_ITEMS))
    assert differences(model, [clicks_in_training()] * len(ASKED)) == 0


@pytest.mark.parametrize("max_length", [4, 50])
def test_clicks_of_the_session_come_first_and_popularity_breaks_ties(max_length: int) -> None:
    model = prepared(SessionPopularity(N_ITEMS, SessionPopularity.Config(max_length=max_length)))
    popularity = clicks_in_training()
    for row, session in zip(model.score(batch_of(ASKED)), ASKED, strict=True):
        latest = session[-max_length:]
        keys = [(latest.count(item), popularity[item]) for item in range(1, N_ITEMS + 1)]
        scores = row[1:].tolist()
        for a in range(N_ITEMS):
            for b in range(N_ITEMS):
                assert (scores[a] < scores[b]) == (keys[a] < keys[b])


def test_a_large_shop_keeps_its_order_beside_long_sessions() -> None:
    """Fifty clicks on one item leave enough digits for 1,500 different popularities."""
    n_items = 1500
    clicks = [item for item in range(1, n_items + 1) for _ in range(item)]
    model = SessionPopularity(n_items)
    model.prepare(Sessions.from_lists([clicks]))
    session = [7] * 25 + [8] * 25
    scores = model.score(batch_of([session]))[0, 1:]
    assert len(torch.unique(scores)) == n_items
    assert scores.argsort(descending=True)[:3].tolist() == [7, 6, n_items - 1]


def test_no_click_is_too_few() -> None:
    with pytest.raises(ConfigError, match="max_length is at least 1; received 0"):
        SessionPopularity.Config(max_length=0)
