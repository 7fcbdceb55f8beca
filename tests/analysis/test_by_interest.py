"""Recall by interest: values by hand, and intervals that hold what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from proxysr.analysis.by_interest import paired_by_interest, recall_by_interest, share_of
from proxysr.run import RunDir
from proxysr.running import evaluate_run
from tests.explorer.small import run_of


def ranks_of(hits: np.ndarray, session: np.ndarray, proxy: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {"session_id": session, "rank": np.where(hits > 0, 20.0, 21.0), "proxy": proxy}
    )


def test_values_are_shares_of_the_targets() -> None:
    hits = np.array([1, 0, 1, 1, 0, 0])
    whole, table = recall_by_interest(
        ranks_of(hits, np.array([1, 1, 2, 2, 3, 3]), np.array([0, 0, 0, 2, 2, 2])), 3
    )
    assert (whole.value, whole.n) == (0.5, 6)
    assert table["recall"].tolist() == pytest.approx([2 / 3, np.nan, 1 / 3], nan_ok=True)
    assert table["n_targets"].tolist() == [3, 0, 3]
    assert table["difference"].tolist() == pytest.approx([1 / 6, np.nan, -1 / 6], nan_ok=True)
    some = table.dropna()
    assert (some["low"] < some["recall"]).all()
    assert (some["recall"] < some["high"]).all()


def test_an_interest_that_is_all_differs_by_nothing() -> None:
    _, table = recall_by_interest(ranks_of(np.ones(4), np.arange(4), np.zeros(4, int)), 1)
    assert table[["difference", "difference_low", "difference_high"]].to_numpy().tolist() == [
        [0, 0, 0]
    ]


def test_of_none_or_all_hit_the_interval_is_no_point() -> None:
    for value in (0.0, 1.0):
        found = share_of(np.full(10, value), np.arange(10))
        assert found.value == value
        assert found.high - found.low == pytest.approx(0.278, abs=0.001)  # Wilson's by hand
    # and Wilson's interval of 3 of 10 by a table
    found = share_of(np.array([1.0] * 3 + [0.0] * 7), np.arange(10))
    assert (found.low, found.high) == (
        pytest.approx(0.108, abs=1e-3),
        pytest.approx(0.603, abs=1e-3),
    )


@pytest.mark.parametrize("together", [False, True])
def test_intervals_hold_the_truth(together: bool) -> None:
    """Of shares and of differences, where targets are independent and where sessions hit as one."""
    random = np.random.default_rng(0)
    n, rounds = 400, 300
    session = np.arange(n) // 4
    proxy = (session % 5 == 0).astype(int)  # a fifth
    truth = np.array([0.5, 0.3])
    of_whole = 0.8 * truth[0] + 0.2 * truth[1]
    held = np.zeros(3)
    for _ in range(rounds):
        chance = random.random(n // 4)[session] if together else random.random(n)
        _, table = recall_by_interest(ranks_of(chance < truth[proxy], session, proxy), 2)
        small = table.loc[1]
        held += [
            small["low"] <= truth[1] <= small["high"],
            small["difference_low"] <= truth[1] - of_whole <= small["difference_high"],
            table["low"][0] <= truth[0] <= table["high"][0],
        ]
    assert (held / rounds > 0.92).all()
    assert (held / rounds < 0.985).all(), "no wider than they have to be"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = []
    for name, settings in (("a", {}), ("b", {"n_proxies": 4})):
        run = run_of(tmp_path_factory.mktemp(name), epochs=2, **settings)
        evaluate_run(run.path, part="train", progress=False)
        found.append(run)
    return found


def test_two_runs_are_held_together_target_by_target(runs: Any) -> None:
    own, other = runs
    table, ranks = paired_by_interest(own, other, part="train", task="unseen", n_proxies=6)
    one, two = own.ranks("train"), other.ranks("train")
    assert ranks["rank"].equals(two["rank"])
    hit = (one["rank"] <= 20).to_numpy(float), (two["rank"] <= 20).to_numpy(float)
    assert table.loc[-1, "difference"] == pytest.approx((hit[0] - hit[1]).mean())
    assert table.loc[range(6), "n"].sum() == table.loc[-1, "n"] == len(one)
    known = table.dropna()
    assert ((known["low"] <= known["difference"]) & (known["difference"] <= known["high"])).all()
    assert known["p"].between(0, 1).all()
    same, _ = paired_by_interest(own, own, part="train", task="unseen", n_proxies=6)
    assert (same["difference"].dropna() == 0).all()
    assert same["p"].dropna().eq(1).all()


def test_what_cannot_be_held_together_is_refused(runs: Any, tmp_path: Path) -> None:
    own, _ = runs
    with pytest.raises(ValueError, match="has no ranks for test, task 'unseen', yet"):
        paired_by_interest(own, own, part="test", task="unseen", n_proxies=6)
    foreign: RunDir = run_of(tmp_path, epochs=1, known=False)
    evaluate_run(foreign.path, part="train", progress=False)
    with pytest.raises(ValueError, match="was trained on other data"):
        paired_by_interest(own, foreign, part="train", task="unseen", n_proxies=6)
