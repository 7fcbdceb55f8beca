"""Models that only count: what they say before they have."""

from __future__ import annotations

import pytest

from proxysr.config import ConfigError
from proxysr.data.sessions import Sessions
from proxysr.evaluation import evaluate
from proxysr.models import MODELS, create, learns
from proxysr.models.counting import CountingModel

SESSIONS = Sessions.from_lists([[1, 2, 3], [2, 3, 1]], started_at=[0, 1])


@pytest.mark.parametrize("name", [name for name in MODELS if not learns(name)])
def test_nothing_is_ranked_before_it_is_counted(name: str) -> None:
    model = create(name, 3)
    assert isinstance(model, CountingModel)
    with pytest.raises(
        ConfigError,
        match=rf"{type(model).__name__} has counted no sessions yet: call fit\(model, split\)",
    ):
        evaluate(model, SESSIONS)
    model.prepare(SESSIONS)
    counted = evaluate(model, SESSIONS)
    loaded = create(name, 3)
    loaded.load_state_dict(model.state_dict())
    assert evaluate(loaded, SESSIONS).metrics == counted.metrics
