"""ProxySR's defaults depend on the size of the catalogue."""

from __future__ import annotations

import pytest

from proxysr.data.sessions import Sessions
from proxysr.models import ProxySR
from proxysr.models.proxy_model import LARGE_CATALOGUE
from proxysr.models.proxysr_config import FOR_LARGE_CATALOGUES
from proxysr.training import TrainConfig

SMALL = Sessions.from_lists([[1, LARGE_CATALOGUE]] * 2)
LARGE = Sessions.from_lists([[1, LARGE_CATALOGUE + 1]] * 2)


def test_small_catalogues_keep_the_defaults() -> None:
    settings = ProxySR.resolved(ProxySR.Config(n_proxies=2), SMALL)
    assert settings == ProxySR.Config(n_proxies=2)


def test_large_catalogues_get_the_values_of_the_program() -> None:
    settings = ProxySR.resolved(ProxySR.Config(), LARGE)
    assert settings == ProxySR.Config(n_proxies=2, **FOR_LARGE_CATALOGUES)


@pytest.mark.parametrize("margin", [0.5, 0.3])
def test_what_is_named_stays_even_if_it_is_the_default(margin: float) -> None:
    settings = ProxySR.resolved(ProxySR.Config(margin=margin), LARGE)
    assert isinstance(settings, ProxySR.Config)
    assert settings.margin == margin
    assert settings.n_negatives == FOR_LARGE_CATALOGUES["n_negatives"]


def test_the_learning_rate_follows_the_initial_scale() -> None:
    for train, rate in ((SMALL, 5e-3), (LARGE, 5e-4)):
        settings = ProxySR.resolved(ProxySR.Config(), train)
        assert TrainConfig().resolved(ProxySR, settings).learning_rate == pytest.approx(rate)
    named = TrainConfig(learning_rate=1e-3)
    assert named.resolved(ProxySR, ProxySR.Config()) == named
