"""What is kept of runs: it makes the same tables, holds no click, and is refused if damaged."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxysr.analysis.significance import CompareConfig
from proxysr.config import ConfigError
from proxysr.paper.evidence import Evidence, Ranked, Targets
from proxysr.paper.kept import DEPTH, MOST_BYTES, read_kept, write_kept
from proxysr.paper.page import results_page
from proxysr.paper.tabulated import tabulated
from tests.paper.small import evidence, hits

QUICK = CompareConfig(resamples=20)


@pytest.fixture
def two() -> list[Evidence]:
    return [evidence(hits(30, 40)), evidence(hits(10, 40), model="narm", validation=0.4)]


def test_what_is_kept_makes_the_same_page(two: list[Evidence], tmp_path: Path) -> None:
    write_kept(tmp_path / "kept", two)
    again = read_kept(tmp_path / "kept")
    assert [one.key for one in again] == [one.key for one in two]
    assert results_page(tabulated(again, config=QUICK)) == results_page(
        tabulated(two, config=QUICK)
    )
    for one, other in zip(again, two, strict=True):
        found, ranked = one.ranked["unseen"], other.ranked["unseen"]
        assert np.array_equal(found.known, ranked.known)
        assert found.min_prefix == ranked.min_prefix
        assert found.depth == DEPTH
    names = sorted(path.name for path in (tmp_path / "kept" / "shop").iterdir())
    assert names == sorted(
        [f"mean-0-{two[0].key[:8]}.json", f"narm-0-{two[1].key[:8]}.json", "targets-ffffffff.json"]
    )
    assert read_kept(tmp_path / "absent") == []
    with pytest.raises(ValueError, match=r"json is a file; kept results need a folder"):
        read_kept(tmp_path / "kept" / "shop" / names[0])


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(2, 60)), min_size=1, max_size=20))
def test_ranks_and_sessions_are_read_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, sessions: list[tuple[int, int]]
) -> None:
    """Any number of targets a session, and any rank, halves too: those beyond stay beyond."""
    session = np.repeat(np.arange(len(sessions)), [n for n, _ in sessions])
    doubled = np.repeat([rank for _, rank in sessions], [n for n, _ in sessions])
    ranks, classes = doubled / 2, doubled % 3
    targets = Targets("a" * 64, session, classes, (1, 2, 3))
    known = np.array([rank % 2 == 0 for _, rank in sessions])
    one = replace(evidence([1]), ranked={"repeat": Ranked(1, targets, ranks, known)})
    one = replace(one, histories={"own": replace(one.ranked["repeat"], min_prefix=0)})
    folder = tmp_path_factory.mktemp("kept")
    write_kept(folder, [one])
    (again,) = read_kept(folder)
    for found, min_prefix in ((again.ranked["repeat"], 1), (again.histories["own"], 0)):
        assert found.min_prefix == min_prefix
        assert np.array_equal(found.targets.session, session)
        assert np.array_equal(found.targets.popularity, classes)
        assert np.array_equal(found.ranks, np.where(ranks <= DEPTH, ranks, DEPTH + 0.5))
        assert np.array_equal(found.known, known)


@pytest.mark.parametrize(("log", "folder"), [("..", "-"), ("a/data", "a-data"), ("läden", "läden")])
def test_the_name_of_a_log_is_one_folder(log: str, folder: str, tmp_path: Path) -> None:
    write_kept(tmp_path / "kept", [replace(evidence(hits(3, 4)), log=log)])
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [folder]
    assert [one.log for one in read_kept(tmp_path / "kept")] == [log]


def test_the_same_run_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    write_kept(tmp_path, [evidence(hits(30, 40))])
    (first,) = tmp_path.glob("shop/mean-*.json")
    first.rename(first.with_name("mean-0-of-another-version.json"))
    again = evidence(hits(20, 40))
    other_seed = replace(again, train_config=again.train_config.replace(seed=1))
    write_kept(tmp_path, [again, other_seed])
    recalls = {
        one.train_config.seed: (one.ranked["unseen"].ranks <= DEPTH).sum()
        for one in read_kept(tmp_path)
    }
    assert recalls == {0: 20, 1: 20}
    assert len(list(tmp_path.glob("shop/mean-*.json"))) == 2


def test_two_files_of_one_run_are_refused(tmp_path: Path) -> None:
    write_kept(tmp_path, [evidence(hits(30, 40))])
    (first,) = tmp_path.glob("shop/mean-*.json")
    first.with_name("mean-old.json").write_bytes(first.read_bytes())
    with pytest.raises(ValueError, match="mean-old.json is .* of the same run as .*mean-0-"):
        read_kept(tmp_path)
    first.with_name("mean-old.json").unlink()
    first.with_name("folder.json").mkdir()
    with pytest.raises(ValueError, match="folder.json is damaged, or no kept result: "):
        read_kept(tmp_path)


def test_kept_ranks_say_nothing_of_longer_lists(two: list[Evidence], tmp_path: Path) -> None:
    long = CompareConfig(metrics=("R@50",), resamples=20)
    assert tabulated(two, config=long)
    write_kept(tmp_path, two)
    with pytest.raises(ConfigError, match="Kept ranks go up to 20, and .* metrics up to 50. Name"):
        tabulated(read_kept(tmp_path), config=long)
    with pytest.raises(ConfigError, match="A metric is R@k or MRR@k, such as R@20; received 'R@x'"):
        tabulated(read_kept(tmp_path), config=CompareConfig(metrics=("R@x",)))


BOMB = base64.b85encode(zlib.compress(bytes(MOST_BYTES + 1))).decode()


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("mean", None, "is damaged: it is not valid JSON"),
        ("mean", [], "is damaged, or no kept result: it: "),
        ("mean", {"format": "proxysr results 1"}, "no kept result: format: "),
        ("mean", {"more": 1}, "no kept result: more: Extra inputs"),
        ("mean", {"model": "narn"}, "'narn' is not a known model. Did you mean 'narm'"),
        ("mean", {"settings": {"embeding_dim": 3}}, "Did you mean 'embedding_dim'"),
        ("mean", {"train": {"epochs": 0}}, "epochs is at least 1"),
        ("mean", {"best_epoch": 4}, "its best epoch is after its last one"),
        ("mean", {"validation": "high"}, "no kept result: validation: "),
        ("mean", {"ranked": {"all": {}}}, r"no kept result: ranked\.all"),
        ("mean", {"ranks": "x"}, "no kept result: "),
        ("mean", {"ranks": base64.b85encode(b"x").decode()}, "no kept result: "),
        ("mean", {"ranks": BOMB}, "an array does not end, or has more than"),
        ("mean", {"ranks": "FULL"}, "ranks of unseen are not from 2 to 41, one a target"),
        ("mean", {"targets": "b" * 64}, "its targets, bbbbbbbb, are in no file beside it"),
        ("mean", {"known": [40]}, "known sessions are not numbers of its sessions"),
        ("mean", {"data": {"fingerprint": "f", "n_items": 1, "provenance": {"path": {"a": 1}}}},
         r"path\.a: unknown"),
        ("mean", {"validation": 0.9}, "it was changed after it had been written"),
        ("mean", {"popularity": None}, "it was changed after it had been written"),
        ("mean", {"ranked": {}}, "no kept result: ranked: "),
        ("mean", {"format": "proxysr evidence 1"}, "no kept result: format: "),
        ("targets", {"n_items": [1, 2, 3]}, "it was changed after it had been written"),
        ("targets", {"n_items": [1, 2]}, "popularity has 3 classes"),
        ("targets", {"per_session": "FULL"}, "sessions and targets do not add up"),
        ("targets", {"fingerprint": "x"}, "no kept result: fingerprint: "),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_file_is_refused(
    file: str, change: Any, message: str, two: list[Evidence], tmp_path: Path
) -> None:
    write_kept(tmp_path, two)
    (path,) = tmp_path.glob(f"shop/{file}-*.json")
    if isinstance(change, dict):
        full = base64.b85encode(zlib.compress(bytes(40))).decode()  # zeros are no ranks
        change = {key: full if value == "FULL" else value for key, value in change.items()}
        whole = json.loads(path.read_text())
        if {"ranks", "targets", "known"} & set(change):
            whole["ranked"]["unseen"] |= change
        else:
            whole |= change
        change = whole
    path.write_text("{" if change is None else json.dumps(change))
    with pytest.raises(ValueError, match=message) as raised:
        read_kept(tmp_path)
    assert str(path) in str(raised.value)


def test_the_page_of_the_project_is_that_of_its_kept_runs() -> None:
    """But for what is drawn at random: intervals, p-values and what is said of chance."""
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "results.md").read_text()
    shown = tabulated(read_kept(docs / "results"), reference="latent_proxy", config=QUICK)
    drawn = {log.name: f"../figures/results/{log.name}.png" for log in shown}
    made = results_page(shown, reference="latent_proxy", pictures=drawn)
    assert all((docs / picture).is_file() for picture in drawn.values())

    def values(text: str) -> list[str]:
        lines = text.partition("\n## ")[2].partition("\n## Runs that are left out")[0]
        by_chance = (
            r" \[[^]]*\], p [=≤] [^ ]+|holds|reversed|cannot be told"
            r"|(.* resamples cannot |At the (first|later) clicks?, a user's own history ).*\n\n"
        )
        return re.sub(by_chance, "", lines).strip().splitlines()

    assert values(page) == values(made)
