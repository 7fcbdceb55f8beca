"""latent_proxy is trained with drawn items on large catalogues, unless their number is named."""

from __future__ import annotations

import pytest

from proxysr.data.sessions import Sessions
from proxysr.models import LatentProxy
from proxysr.models.latent_proxy_config import DRAWN
from proxysr.models.proxy_model import LARGE_CATALOGUE

SMALL = Sessions.from_lists([[1, LARGE_CATALOGUE]] * 2)
LARGE = Sessions.from_lists([[1, LARGE_CATALOGUE + 1]] * 2)


@pytest.mark.parametrize(("train", "expected"), [(SMALL, 0), (LARGE, DRAWN)])
def test_large_catalogues_are_trained_with_drawn_items(train: Sessions, expected: int) -> None:
    settings = LatentProxy.resolved(LatentProxy.Config(), train)
    assert settings == LatentProxy.Config(n_proxies=2, sampled_negatives=expected)


@pytest.mark.parametrize("named", [0, 500])
def test_a_number_that_is_named_stays(named: int) -> None:
    config = LatentProxy.Config(n_proxies=2, sampled_negatives=named)
    assert LatentProxy.resolved(config, LARGE) == config
