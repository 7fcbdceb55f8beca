"""Groupings keep the sessions, and their runs are proper ones that can be compared."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from proxysr.analysis.comparison import comparison_table
from proxysr.analysis.significance import CompareConfig
from proxysr.config import ConfigError
from proxysr.data.batches import batch_of
from proxysr.data.known import grouped
from proxysr.data.sessions import PARTS, SessionSplit
from proxysr.experiments import Variant, run_spec
from proxysr.models import HRNN
from proxysr.notebooks import prepared_data
from proxysr.paper import hrnn_groups as hg
from proxysr.run import RunDir
from proxysr.running import train_run
from proxysr.training import TrainConfig

TINY = Variant("tiny", "hrnn", {"embedding_dim": 6}, {"learning_rate": 0.01})


@pytest.fixture
def data() -> Path:
    sizes = {"n_sessions": 120, "n_items": 60, "n_users": 12, "n_interests": 2}
    return prepared_data("", "test", **sizes)


@pytest.fixture
def chooser(data: Path, tmp_path: Path) -> RunDir:
    config = {"embedding_dim": 6, "n_proxies": 4, "n_negatives": 9, "init_std": 0.5}
    train = TrainConfig(epochs=1, device="cpu")
    return train_run(
        data, tmp_path / "run", model="proxysr", model_config=config, train=train, progress=False
    )


def test_groupings_and_their_runs(data: Path, chooser: RunDir) -> None:
    split = SessionSplit.load(data)
    found = hg.groupings(chooser, data)
    assert list(found) == [hg.NO_USER, hg.TRUE_USER, hg.PROXY, hg.RANDOM, hg.PEEKING]
    for name in PARTS:
        users = {key: grouping.split.part(name).user_index for key, grouping in found.items()}
        assert (users[hg.NO_USER] == -1).all()
        assert users[hg.TRUE_USER].tolist() == split.part(name).user_index.tolist()
        assert Counter(users[hg.RANDOM].tolist()) == Counter(users[hg.PROXY].tolist())
        assert users[hg.PEEKING].tolist() == users[hg.PROXY].tolist()
        batch = batch_of([split.part(name)[0].tolist()])
        assert int(chooser.model().choices(batch)["proxy"][0]) == users[hg.PROXY][0]
    table = hg.groups_table(found, split.train, n_permutations=20).set_index("grouping")
    assert table.loc[hg.TRUE_USER, "AMI"] == 1
    assert table.loc[hg.NO_USER, "groups"] == 0
    items = hg.top_items_of_groups(found[hg.PROXY].split)
    counted = Counter(found[hg.PROXY].split.train.user_index.tolist())
    assert items["sessions"].tolist() == sorted(counted.values(), reverse=True)[:5]

    folder = chooser.path.parent
    specs = hg.grouping_specs(found, TINY, chooser, folder, train={"epochs": 1})
    runs = run_spec(specs, folder, device="cpu", progress=False).groups()
    assert {name: len(members) for name, members in runs.items()} == dict.fromkeys(found, 1)
    model = runs[hg.PROXY][0].model()
    assert isinstance(model, HRNN)
    assert model.grouping is not None
    for name, tensor in chooser.model().state_dict().items():
        assert torch.equal(model.grouping.state_dict()[name], tensor), name
    ranks = runs[hg.PROXY][0].ranks()
    assert ranks["proxy"].tolist() == proxies_of_prefixes(chooser, split)
    config = CompareConfig(resamples=20)
    compared = comparison_table(runs, reference=hg.NO_USER, tasks=("unseen",), config=config)
    assert set(compared["run"]) == set(found)


def proxies_of_prefixes(chooser: RunDir, split: SessionSplit) -> list[int]:
    """Chosen one prefix after the other."""
    model, proxies = chooser.model(), []
    session, length, _ = split.test.prefixes("unseen")
    for row, n in zip(session.tolist(), length.tolist(), strict=True):
        prefix = split.test[row][:n].tolist()
        proxies.append(int(model.choices(batch_of([prefix]))["proxy"][0]))
    return proxies


def test_unknown_users_are_a_sentence(data: Path, tmp_path: Path) -> None:
    split = grouped(SessionSplit.load(data), None, "no user")
    folder = split.save(tmp_path / "unknown")
    run = train_run(
        folder, tmp_path / "other", model="proxysr",
        model_config={"embedding_dim": 4, "n_proxies": 2},
        train=TrainConfig(epochs=1, device="cpu"), progress=False,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="No training session of these data has a known user"):
        hg.groupings(run, folder)
