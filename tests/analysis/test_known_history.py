"""History is that of earlier sessions of the user, and its null that of somebody else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from proxysr.__main__ import main
from proxysr.analysis import known_history as kh
from proxysr.analysis.comparison import compare_by
from proxysr.analysis.significance import CompareConfig
from proxysr.config import ConfigError
from proxysr.data.batches import batch_of
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.evaluation import evaluate_with_history, rank_of
from proxysr.models import LatentProxy
from proxysr.run import RunDir
from proxysr.running import evaluate_run, train_run
from proxysr.training import TrainConfig

QUICK = CompareConfig(resamples=200)


def loyal(n: int, seed: int) -> Sessions:
    """Users 0 to 11 keep to the ten items of their number modulo 4; every seventh is unknown."""
    rng = np.random.default_rng(seed)
    users = rng.integers(12, size=n)
    clicks = [(1 + 10 * (u % 4) + rng.permutation(10)[:4]).tolist() for u in users]
    known = np.where(np.arange(n) % 7 == 0, -1, users)
    ids = [f"{seed}-{i}" for i in range(n)]
    return Sessions.from_lists(clicks, session_ids=ids, user_index=known.tolist())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A model whose proxies stand for the tastes, written down rather than learnt."""
    folder = tmp_path_factory.mktemp("history")
    split = SessionSplit(
        loyal(120, 0), loyal(30, 1), loyal(60, 2),
        items=pd.DataFrame({"item_id": [f"i{i}" for i in range(40)]}),
        users=pd.DataFrame({"user_id": [f"u{i}" for i in range(12)]}),
    )  # fmt: skip
    noise = 0.1 * torch.randn(41, 4, generator=torch.manual_seed(0))  # else all items tie
    items = noise + torch.cat([torch.zeros(1, 4), torch.eye(4).repeat_interleave(10, dim=0)])
    items[0] = 0
    return train_run(
        split.save(folder / "data"), folder / "run", model="latent_proxy", progress=False,
        model_config={"embedding_dim": 4, "n_proxies": 4},
        weights={"items": items, "proxies": 3 * torch.eye(4)},
        train=TrainConfig(epochs=1, learning_rate=1e-6, device="cpu"),
    )  # fmt: skip


def test_ranks_are_those_of_one_session_after_the_other(run: RunDir) -> None:
    model, split = run.model(), run.split()
    assert isinstance(model, LatentProxy)
    parts = [split.train, split.valid, split.test]
    found = kh.history_ranks([run])
    assert list(found) == [kh.FIRST, kh.LATER]
    read = {kind: {c.name: c.ranks[0] for c in some} for kind, some in found.items()}
    users = [int(user) for part in parts for user in part.user_index]
    clicks = [part[row].tolist() for part in parts for row in range(len(part))]
    asked = []
    for row in range(len(split.test)):
        place, session_id = 150 + row, split.test.session_ids[row]
        before = [clicks[i] for i in range(place) if users[i] == users[place] >= 0]
        if not before:
            continue
        asked.append(session_id)
        weights = torch.stack([model.weigh(batch_of([past]))[1][0] for past in before])
        prior = model.prior(weights.sum(dim=0)[None])
        target = torch.tensor([clicks[place][3]])
        for name, known in ((kh.NOBODY, None), (kh.OWN, prior)):
            batch = batch_of([clicks[place][:3]])._replace(prior=known)
            scores = model.score(batch)
            scores[0, clicks[place][:3]] = -torch.inf
            ranks = read[kh.LATER][name]
            mine = ranks[(ranks["session_id"] == session_id) & (ranks["position"] == 3)]
            assert mine["rank"].tolist() == [float(rank_of(scores, target))]
    for kind in found:
        for ranks in read[kind].values():
            assert ranks["session_id"].drop_duplicates().tolist() == asked
            assert ((ranks["position"] == 0) == (kind == kh.FIRST)).all()


def test_planted_loyalty_helps_and_that_of_others_does_not(run: RunDir) -> None:
    ranks = kh.history_ranks([run])
    table = compare_by("clicks", ranks, reference=kh.NOBODY, config=QUICK)
    against = compare_by("clicks", ranks, reference=kh.ANOTHER, config=QUICK)
    assert kh.helps(table, against, kh.FIRST)
    first = table[(table["clicks"] == kh.FIRST) & (table["metric"] == "R@20")].set_index("run")
    assert first.loc[kh.OWN, "value"] > 0.9
    assert first.loc[kh.ANOTHER, "difference"] < 0.2
    said = kh.history_sentences(table, against)
    assert said[0].startswith(
        "At the first click, a user's own history helps beyond another user's: R@20 0."
    )
    assert said[1].startswith("At the later clicks, a user's own history")
    # without loyalty: the null is taken for the history, and does not help
    swapped = {kh.OWN: kh.ANOTHER, kh.ANOTHER: kh.OWN}
    lost = [some.assign(run=some["run"].replace(swapped)) for some in (table, table)]
    assert not kh.helps(*lost, kh.FIRST)
    assert "does not help" in kh.history_sentences(*lost)[0]
    with pytest.raises(ConfigError, match="no row of R@20 with own history at the first click"):
        kh.helps(table[:0], against, kh.FIRST)


def test_what_cannot_be_asked_is_said(run: RunDir, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="At least one run is needed"):
        kh.history_ranks([])
    split = run.split()
    nobody = replace(
        split, **{n: replace(split.part(n), user_index=np.full_like(split.part(n).user_index, -1))
                  for n in ("train", "valid", "test")},
    )  # fmt: skip
    options = {"train": TrainConfig(epochs=1, device="cpu"), "progress": False}
    data = nobody.save(tmp_path / "data")
    anonymous = train_run(
        data, tmp_path / "run", model="latent_proxy", model_config={"n_proxies": 2}, **options
    )
    with pytest.raises(ConfigError, match="0 of 60 sessions of test are of a user who was seen"):
        kh.history_ranks([anonymous])
    strangers = replace(nobody, users=split.users.head(0))
    with pytest.raises(ConfigError, match=r"No session has a user, .* column of users .*--user"):
        evaluate_with_history(run.model(), strangers, "own")
    counting = train_run(run.data["data_dir"], tmp_path / "other", model="mean", **options)
    with pytest.raises(ConfigError, match="MeanEncoder does not use a user's earlier sessions"):
        kh.history_ranks([counting])
    with pytest.raises(ConfigError, match="'train' is not a known part with sessions before"):
        kh.history_ranks([run], part="train")
    with pytest.raises(ConfigError, match="'owm' is not a known history. Did you mean 'own'"):
        evaluate_with_history(run.model(), split, "owm")  # type: ignore[arg-type]


def test_the_command_keeps_all_three_and_says_whether_it_helps(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(shutil.copytree(run.path, tmp_path / "run"))
    words = ["evaluate", str(path), "--device", "cpu"]
    with pytest.raises(ValueError, match="no ranks for test, .* --task unseen --history`"):
        RunDir(path).ranks(history="own")
    assert main([*words, "--history"]) == 0
    said = capsys.readouterr().out
    assert "At the first click, a user's own history helps beyond another user's: R@20 0." in said
    assert "first click" in said
    assert main([*words, "--history", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    kept, expected = RunDir(path), kh.history_ranks([run])
    assert set(kept.metrics()) == {"test-unseen-none", "test-unseen-own", "test-unseen-another"}
    for history, name in kh.NAMES.items():
        ranks = kept.ranks(history=history)
        for kind, contenders in expected.items():
            (frame,) = next(one.ranks for one in contenders if one.name == name)
            mine = kh.by_clicks({history: [ranks]}, [0])[kind][0].ranks[0]
            pd.testing.assert_frame_equal(mine, frame)
            (row,) = [
                row for row in answer["table"]
                if (row["clicks"], row["run"], row["metric"]) == (kind, name, "R@20")
            ]  # fmt: skip
            assert row["value"] == pytest.approx((frame["rank"] <= 20).mean())
    assert main([*words, "--history", "--min-prefix", "2"]) == 2
    assert "from the first click on: no --min-prefix" in capsys.readouterr().err
    assert {row["metric"] for row in answer["table"]} == {"R@20", "MRR@20"}
    assert main([*words, "--history", "--ks", "3", "--json"]) == 0
    metrics = {row["metric"] for row in json.loads(capsys.readouterr().out)["table"]}
    assert metrics == {"R@3", "MRR@3", "R@20", "MRR@20"}


def test_an_evaluation_with_another_history_than_its_name_is_refused(
    run: RunDir, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(run.path, tmp_path / "run"))
    evaluate_run(path, task="unseen", history="own", device="cpu", progress=False)
    metrics = path / "metrics.json"
    content = json.loads(metrics.read_text())
    content["test-unseen-own"]["history"] = "none"
    metrics.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="'test-unseen-own' has another part or task"):
        RunDir(path).evaluation(history="own")
