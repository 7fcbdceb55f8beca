"""Adjusted mutual information: equal to scikit-learn's, and its chance is chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score

from proxysr.analysis.agreement import agreement
from proxysr.config import ConfigError


def noisy(n: int = 400, share: float = 0.5, seed: int = 0) -> tuple[Any, Any]:
    """Proxies 0..19 of which some tell the truth 0..4."""
    random = np.random.default_rng(seed)
    proxy = random.integers(20, size=n)
    truth = np.where(random.random(n) < share, proxy % 5, random.integers(5, size=n))
    return proxy, truth


@given(seed=st.integers(0, 1000), share=st.floats(0, 1))
def test_it_is_the_ami_of_scikit_learn(seed: int, share: float) -> None:
    proxy, truth = noisy(60, share, seed)
    expected = adjusted_mutual_info_score(truth, proxy)
    assert agreement(proxy, truth, n_permutations=1).ami == pytest.approx(expected, abs=1e-9)


def test_agreement_is_told_from_chance_in_both_directions() -> None:
    found = agreement(*noisy(share=0.5), n_permutations=199)
    assert found.ami > 0.15
    assert found.p_value == 1 / 200
    nothing = agreement(*noisy(share=0.0), n_permutations=199)
    assert abs(nothing.ami) < 0.03
    assert nothing.p_value > 0.05


def test_the_null_is_centred_on_zero_and_p_values_are_uniform() -> None:
    results = [
        agreement(*noisy(100, 0.0, seed), n_permutations=99, seed=seed) for seed in range(60)
    ]
    assert abs(np.mean([r.null_mean for r in results])) < 0.005
    assert 0.4 < np.mean([r.p_value for r in results]) < 0.6
    assert all(r.null_low < r.null_mean < r.null_high for r in results)


def test_names_and_order_of_labels_do_not_matter() -> None:
    proxy, truth = noisy()
    base = agreement(proxy, truth, n_permutations=9)
    named = agreement(
        [f"p{p}" for p in proxy], pd.Series(truth).map(lambda t: "abcde"[t]), n_permutations=9
    )
    assert named == base
    order = np.random.default_rng(1).permutation(len(proxy))
    assert agreement(proxy[order], truth[order], n_permutations=9).ami == pytest.approx(base.ami)


def test_the_same_partition_agrees_fully() -> None:
    truth = np.repeat(np.arange(4), 10)
    result = agreement(9 - truth, truth, n_permutations=99)
    assert result.ami == 1.0
    assert (result.n_sessions, result.n_proxies, result.n_truths) == (40, 4, 4)


def test_one_proxy_for_all_agrees_with_nothing() -> None:
    result = agreement(np.zeros(20), np.arange(20) % 3, n_permutations=19)
    assert (result.ami, result.p_value) == (0.0, 1.0)


def test_strata_take_out_what_they_explain() -> None:
    """Both labels follow the length, and nothing else ties them together."""
    random = np.random.default_rng(0)
    length = random.integers(4, size=600)
    proxy = length * 3 + random.integers(3, size=600)
    truth = np.where(random.random(600) < 0.7, length, random.integers(4, size=600))
    free = agreement(proxy, truth, n_permutations=199)
    within = agreement(proxy, truth, n_permutations=199, strata=length)
    assert free.p_value == 1 / 200
    assert within.ami == free.ami
    assert within.null_mean == pytest.approx(free.ami, abs=0.03)
    assert within.p_value > 0.05


def test_equal_seeds_give_equal_results() -> None:
    assert agreement(*noisy(), n_permutations=20) == agreement(*noisy(), n_permutations=20)
    assert agreement(*noisy(), n_permutations=20, seed=1) != agreement(*noisy(), n_permutations=20)


def test_the_result_reads_as_a_sentence() -> None:
    text = str(agreement(*noisy(), n_permutations=99))
    assert text.startswith("AMI 0.")
    assert "over 400 sessions (20 proxies, 5 labels); by chance -0.0" in text
    assert text.endswith("p = 0.01 (99 permutations)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], [1, 2, 3]), r"received 2 proxy_labels, 3 truth_labels and 2 strata"),
        (([1], [1]), r"at least two sessions; received 1"),
        (([1, 2, 3], ["a", None, "b"]), r"1 of 3 truth_labels are missing. Leave out"),
        (([1.0, np.nan], [1, 2]), r"1 of 2 proxy_labels are missing"),
    ],
)
def test_labels_that_cannot_be_compared_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        agreement(*arguments)


def test_no_permutation_is_refused() -> None:
    with pytest.raises(ConfigError, match="n_permutations is at least 1; received 0"):
        agreement([1, 2], [1, 2], n_permutations=0)
