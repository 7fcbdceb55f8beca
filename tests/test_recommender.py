"""Known users are recommended to by what was learnt of them; all others count as anonymous."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from proxysr.__main__ import main
from proxysr.config import ConfigError
from proxysr.data.batches import batch_of
from proxysr.models import ProxySR
from proxysr.recommender import Recommender
from proxysr.runs import RunDir, train_run
from proxysr.training import TrainConfig
from tests.explorer.small import HOSTILE, SETTINGS, run_of, split_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Users 0 and 1 of three have a bias."""
    return run_of(tmp_path_factory.mktemp("known"), epochs=1, n_users=2)


def test_a_run_keeps_the_names_of_the_users_it_learns_of(run: RunDir, tmp_path: Path) -> None:
    assert run.users["user_id"].tolist() == [HOSTILE, "u1"]
    anonymous = run_of(tmp_path, epochs=1)
    assert not (anonymous.path / "users.parquet").exists()
    assert len(anonymous.users) == 0


def test_the_bias_of_a_known_user_counts(run: RunDir) -> None:
    recommender = Recommender.load(run)
    assert recommender.n_users == 2
    model = recommender.model
    assert isinstance(model, ProxySR)
    assert model.user_bias is not None
    with torch.no_grad():
        model.user_bias[1, 5] += 1e3
    found = recommender.recommend(["sku-3"], user=" u1 ", task="repeat")
    assert found.user == "u1"
    forced = model.score(batch_of([[3]]), force_proxy=5)[0]
    assert found.items["score"].tolist() == pytest.approx(forced.topk(20).values.tolist())
    plain = recommender.recommend(["sku-3"], task="repeat")
    assert plain.user is None
    assert plain.items["score"].tolist() != found.items["score"].tolist()
    for stranger in ("u2", "who"):
        answer = recommender.recommend(["sku-3"], user=stranger, task="repeat")
        assert answer.user is None
        assert answer.items.equals(plain.items)


def test_the_command_says_if_a_user_is_none_of_them(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", str(run.path), "sku-3", "--user", "u1", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["user"] == "u1"
    assert "User" not in said.err
    assert main(["recommend", str(run.path), "sku-3", "--user", "u2", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["user"] is None
    assert f"User u2 is none of the 2 users that {run.path} learnt of by name" in said.err
    assert "counts as anonymous" in said.err


def test_training_refuses_more_users_than_there_are(tmp_path: Path) -> None:
    data = split_of().save(tmp_path / "data")
    with pytest.raises(ConfigError, match="n_users is 4, but the data know 3 users. Make it small"):
        train_run(
            data, tmp_path / "run", model_config=SETTINGS | {"n_users": 4}, train=TrainConfig()
        )
    assert not (tmp_path / "run").exists()
