"""Known users are recommended to by what was learnt of them; all others count as anonymous."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from proxysr.__main__ import main
from proxysr.config import ConfigError
from proxysr.data.batches import batch_of
from proxysr.models import LatentProxy, ProxySR
from proxysr.recommender import Recommender
from proxysr.run import RunDir
from proxysr.running import train_run
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
    assert f"User u2 is none of the 2 users that {run.path} has parameters for" in said.err
    assert "counts as anonymous" in said.err


def test_training_refuses_more_users_than_there_are(tmp_path: Path) -> None:
    data = split_of().save(tmp_path / "data")
    with pytest.raises(ConfigError, match="n_users is 4, but the data know 3 users. Make it small"):
        train_run(
            data,
            tmp_path / "run",
            model="proxysr",
            model_config=SETTINGS | {"n_users": 4},
            train=TrainConfig(),
        )
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def latent(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run of a model that takes earlier sessions for what to expect."""
    folder = tmp_path_factory.mktemp("latent")
    data = split_of().save(folder / "data")
    settings = {"embedding_dim": 8, "n_proxies": 4}
    return train_run(
        data, folder / "run", model="latent_proxy", model_config=settings,
        train=TrainConfig(epochs=2, learning_rate=1e-2), progress=False,
    )  # fmt: skip


def test_earlier_sessions_are_a_prior(latent: RunDir) -> None:
    recommender = Recommender.load(latent)
    model = recommender.model
    assert isinstance(model, LatentProxy)
    history = [["sku-3", " sku-4"], ["sku-9", "no such item"], ["nothing known"], []]
    found = recommender.recommend(["sku-1"], history=history, task="repeat")
    assert found.unknown == []
    assert found.unknown_in_history == ["no such item", "nothing known"]
    sums = model.weigh(batch_of([[3, 4]]))[1] + model.weigh(batch_of([[9]]))[1]
    batch = batch_of([[1]])._replace(prior=model.prior(sums))
    best = model.score(batch)[0].topk(20)
    assert found.items["score"].tolist() == pytest.approx(best.values.tolist())
    plain = recommender.recommend(["sku-1"], task="repeat").items
    assert plain["score"].tolist() != found.items["score"].tolist()
    nobody = recommender.recommend(["sku-1"], history=[["nothing known"]], task="repeat")
    assert nobody.items["score"].tolist() == pytest.approx(plain["score"].tolist())


def test_a_session_may_be_about_to_begin(latent: RunDir, run: RunDir) -> None:
    recommender = Recommender.load(latent)
    first = recommender.recommend([])
    assert len(first.items) == 20
    told = recommender.recommend([], history=[["sku-3", "sku-4"]])
    assert told.items["score"].tolist() != first.items["score"].tolist()
    with pytest.raises(ConfigError, match="needs at least one click; received none"):
        Recommender.load(run).recommend([])


def test_what_history_cannot_be(latent: RunDir, run: RunDir) -> None:
    with pytest.raises(ConfigError, match="ProxySR does not use a user's earlier sessions"):
        Recommender.load(run).recommend(["sku-3"], history=[["sku-3"]])
    recommender = Recommender.load(latent)
    with pytest.raises(ConfigError, match="each session of history: a list .* received 'sku-3'"):
        recommender.recommend(["sku-1"], history=["sku-3"])
    with pytest.raises(ConfigError, match="clicks: a list of item ids; received 'sku-1'"):
        recommender.recommend("sku-1")
    for k in ("3", 0, True, 2.5):
        with pytest.raises(ConfigError, match="k is a whole number from 1; received"):
            recommender.recommend(["sku-1"], k=k)  # type: ignore[arg-type]


def test_the_command_takes_earlier_sessions(
    latent: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--history", "sku-3", "sku-4", "--history", "what"]
    assert main(["recommend", str(latent.path), "sku-1", *given, "--json"]) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    expected = Recommender.load(latent).recommend(["sku-1"], history=[["sku-3", "sku-4"]])
    assert [row["item_id"] for row in answer["items"]] == expected.items["item_id"].tolist()
    assert answer["unknown_in_history"] == ["what"]
    assert "left out (history): what" in said.err
    assert main(["recommend", str(latent.path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["items"]) == 20
