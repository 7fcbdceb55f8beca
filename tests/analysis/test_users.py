"""Agreement with users: equal to loops and to scikit-learn, and chance is chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score, v_measure_score

from proxysr.analysis.known_users import (
    baseline_labels,
    draw_users,
    last_items,
    mean_item_vectors,
    rows_of_known_users,
    strata_of,
)
from proxysr.analysis.map_quality import jittered
from proxysr.analysis.users import neighbour_purity, user_agreement
from proxysr.config import ConfigError
from proxysr.data.sessions import Sessions


def planted(share: float, n: int = 400, seed: int = 0) -> tuple[Any, Any]:
    """Labels 0..7 of which some follow the user 0..39."""
    random = np.random.default_rng(seed)
    users = random.integers(40, size=n)
    return np.where(random.random(n) < share, users % 8, random.integers(8, size=n)), users


def literal_lift(labels: Any, users: Any) -> float:
    same_user = [
        labels[i] == labels[j] for i in range(len(users)) for j in range(i) if users[i] == users[j]
    ]
    every = [labels[i] == labels[j] for i in range(len(users)) for j in range(i)]
    return float(np.mean(same_user) / np.mean(every))


@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_values_are_those_of_loops_and_scikit_learn(seed: int, share: float) -> None:
    labels, users = planted(share, 60, seed)
    table = user_agreement({"proxies": labels}, users, n_permutations=1).set_index("metric")
    assert table["value"]["AMI"] == pytest.approx(adjusted_mutual_info_score(users, labels))
    assert table["value"]["V-measure"] == pytest.approx(v_measure_score(users, labels))
    assert table["value"]["pair lift"] == pytest.approx(literal_lift(labels, users))


@given(seed=st.integers(0, 1000), k=st.integers(1, 30))
def test_purity_is_that_of_loops(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    vectors, users = random.normal(size=(25, 3)), random.integers(6, size=25)
    found = neighbour_purity({"v": vectors}, users, k=k, n_permutations=1)
    vectors = jittered(vectors)
    shares = []
    for i in range(25):
        others = [j for j in range(25) if j != i]
        near = sorted(others, key=lambda j: float(np.linalg.norm(vectors[i] - vectors[j])))[:k]
        shares.append(np.mean([users[j] == users[i] for j in near]))
    assert found["value"][0] == pytest.approx(np.mean(shares))
    assert found["metric"][0] == f"purity@{k}"


def test_agreement_is_told_from_chance_in_both_directions() -> None:
    labels, users = planted(0.6)
    table = user_agreement({"good": labels, "none": planted(0.0)[0]}, users, n_permutations=99)
    good, none = (table[table["labels"] == name] for name in ("good", "none"))
    assert (good["p_value"] == 0.01).all()
    assert (good["value"] > good["null_high"]).all()
    assert (none["p_value"] > 0.05).all()
    assert none["value"].between(none["null_low"] - 0.02, none["null_high"] + 0.02).all()
    assert table["n_labels"].eq(8).all()
    lift = table[table["metric"] == "pair lift"]
    assert lift["null_mean"].to_numpy() == pytest.approx([1, 1], abs=0.05)


def test_neighbours_of_one_user_are_told_from_chance_in_both_directions() -> None:
    random = np.random.default_rng(0)
    users = random.integers(20, size=300)
    taste = random.normal(size=(20, 6))
    vectors = {"taste": taste[users] + random.normal(size=(300, 6)) * 0.3,
               "noise": random.normal(size=(300, 6))}  # fmt: skip
    table = neighbour_purity(vectors, users, n_permutations=99).set_index("vectors")
    assert table["value"]["taste"] > 0.5 > table["null_high"]["taste"]
    assert table["p_value"]["taste"] == 0.01
    assert table["p_value"]["noise"] > 0.05
    assert table["null_mean"]["noise"] == pytest.approx(1 / 20, abs=0.01)


def test_equal_vectors_do_not_favour_those_that_come_first() -> None:
    """All vectors are equal: neighbours are any, so purity is chance, whatever the order."""
    users = np.repeat(np.arange(20), 10)
    table = neighbour_purity({"one": np.ones((200, 4))}, users, n_permutations=199)
    assert table["value"][0] == pytest.approx(9 / 199, abs=0.02)
    assert table["p_value"][0] > 0.05


def test_strata_take_out_what_length_explains() -> None:
    random = np.random.default_rng(0)
    length = random.integers(1, 5, size=600)
    labels = length * 3 + random.integers(3, size=600)
    users = length * 50 + random.integers(50, size=600)
    free = user_agreement({"proxies": labels}, users, n_permutations=99)
    within = user_agreement({"proxies": labels}, users, n_permutations=99, strata=length)
    assert (free["p_value"] == 0.01).all()
    assert (within["p_value"] > 0.05).all()
    assert free["value"].equals(within["value"])


def test_equal_seeds_give_equal_results() -> None:
    labels, users = planted(0.3)
    one, two = (user_agreement({"p": labels}, users, n_permutations=9, seed=4) for _ in range(2))
    assert one.equals(two)


def test_strata_are_lengths_by_periods() -> None:
    n_clicks = np.array([1, 2, 3, 4, 5, 6, 9, 10, 80])
    assert strata_of(n_clicks).tolist() == [1, 2, 3, 4, 4, 5, 5, 6, 6]
    started = np.array([np.nan, 1.0, 2, 3, 4, 5, 6, 7, 8])
    found = strata_of(np.ones(9, int), started, n_periods=2)
    assert found.tolist() == [5, 3, 3, 3, 3, 4, 4, 4, 4]
    assert strata_of(n_clicks, np.full(9, np.nan)).tolist() == [1, 2, 3, 4, 4, 5, 5, 6, 6]


def test_users_with_enough_sessions_are_found_and_drawn() -> None:
    users = np.array([0, 0, -1, 1, 2, 2, 2, 3, -1, 3])
    assert rows_of_known_users(users).tolist() == [0, 1, 4, 5, 6, 7, 9]
    drawn = [draw_users(users, 2, seed=seed) for seed in range(20)]
    assert {frozenset(users[rows]) for rows in drawn} == {
        frozenset(pair) for pair in ((0, 2), (0, 3), (2, 3))
    }
    assert all(np.isin(users, users[rows]).sum() == len(rows) for rows in drawn)
    with pytest.raises(ConfigError, match=r"users of 3 or more sessions; there are 1 \(and 4"):
        rows_of_known_users(users, 3)
    with pytest.raises(ConfigError, match=r"there are 0 \(and 0 known users in all\)"):
        rows_of_known_users(np.full(4, -1))


def test_baselines_need_no_proxies() -> None:
    sessions = Sessions.from_lists([[1, 2], [2, 2, 3], [4], [4, 3]] * 5)
    vectors = np.arange(10.0).reshape(5, 2)
    means = mean_item_vectors(sessions, vectors)
    for row in range(len(sessions)):
        assert means[row] == pytest.approx(np.mean([vectors[i] for i in sessions[row]], axis=0))
    assert last_items(sessions)[:4].tolist() == [2, 3, 4, 3]
    proxies = np.array([7, 7, 9, 3] * 5)
    found = baseline_labels(sessions, proxies, vectors)
    assert sorted(np.bincount(found["random"])) == [5, 5, 10]
    assert len(set(found["k-means of items"])) == 3


def test_what_does_not_fit_is_refused() -> None:
    labels, users = planted(0.5, 10)
    with pytest.raises(ConfigError, match="received 10, and 9 for proxies"):
        user_agreement({"proxies": labels[1:]}, users)
    with pytest.raises(ConfigError, match="received 10, and 3 for strata"):
        user_agreement({"proxies": labels}, users, strata=[1, 2, 3])
    with pytest.raises(ConfigError, match="2 of 3 users are missing"):
        neighbour_purity({"v": np.ones((3, 2))}, ["a", None, None])
    with pytest.raises(ConfigError, match="k is at least 1; received 0"):
        neighbour_purity({"v": np.ones((10, 2))}, users, k=0)
    with pytest.raises(ConfigError, match="n_permutations is at least 1; received 0"):
        user_agreement({"proxies": labels}, users, n_permutations=0)
