"""How many proxies a model has if nobody says: as many as the log is for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxysr.config import ConfigError
from proxysr.models import MODELS, ProxyModel, create
from proxysr.running import train_run
from proxysr.training import TrainConfig
from tests.contract.small import N_ITEMS, cycles, split_of

PROXY_MODELS = {name: cls for name, cls in MODELS.items() if issubclass(cls, ProxyModel)}
ONE_EPOCH = TrainConfig(epochs=1, device="cpu")


@pytest.mark.parametrize(("name", "cls"), PROXY_MODELS.items())
@pytest.mark.parametrize(
    ("n_sessions", "n_proxies"), [(1, 1), (2, 2), (30, 2), (59, 2), (60, 3), (205, 10)]
)
def test_a_small_log_gets_few(
    name: str, cls: type[ProxyModel], n_sessions: int, n_proxies: int
) -> None:
    train = cycles(n_sessions, seed=1)
    settings = cls.resolved(cls.Config(), train)
    model = create(name, N_ITEMS, settings)
    assert isinstance(model, ProxyModel)
    assert settings.to_dict()["n_proxies"] == model.n_proxies == len(model.proxy_vectors())
    assert model.n_proxies == n_proxies
    model.prepare(train)
    assert cls.resolved(cls.Config.from_dict({"n_proxies": 7}), train).to_dict()["n_proxies"] == 7


@pytest.mark.parametrize(("name", "cls"), PROXY_MODELS.items())
def test_a_large_log_gets_no_more_than_a_model_without_a_log(
    name: str, cls: type[ProxyModel]
) -> None:
    assert cls.proxies_for(10**6) == cls.max_proxies
    model = create(name, N_ITEMS)
    assert isinstance(model, ProxyModel)
    assert model.n_proxies == len(model.proxy_vectors()) == cls.max_proxies


@pytest.mark.parametrize("name", PROXY_MODELS)
def test_more_than_there_are_sessions_is_refused(name: str) -> None:
    model = create(name, N_ITEMS, {"n_proxies": 51})
    message = r"n_proxies is 51, but .* 50 training session\(s\) .*Take fewer, such as 2\."
    with pytest.raises(ConfigError, match=message):
        model.prepare(cycles(50, seed=1))


@pytest.mark.parametrize("name", PROXY_MODELS)
def test_a_run_keeps_the_number_that_its_log_decided(name: str, tmp_path: Path) -> None:
    data = split_of(cycles(60, seed=1), cycles(10, seed=2), cycles(10, seed=3))
    data.save(tmp_path / "data")
    run = train_run(
        tmp_path / "data", tmp_path / "run", model=name, train=ONE_EPOCH, progress=False
    )
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["model_config"]["n_proxies"] == 3
    assert len(run.model("best").proxies) == 3
    more = ONE_EPOCH.replace(epochs=2)
    for asked in (None, MODELS[name].Config()):  # neither of them names another number
        train_run(
            tmp_path / "data", tmp_path / "run", model=name, model_config=asked, train=more,
            resume=True, progress=False,
        )  # fmt: skip
    with pytest.raises(ConfigError, match=r"n_proxies = 3 \(asked for: 4\)"):
        train_run(
            tmp_path / "data", tmp_path / "run", model_config={"n_proxies": 4}, train=more,
            resume=True, progress=False,
        )  # fmt: skip
