"""Sessions between two snapshots: by hand, by loops, and against scikit-learn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score

from proxysr.analysis.flow import fates, flow_agreement, flow_table
from proxysr.config import ConfigError

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60)
HALF = [0, 0, 0, 1, 1, 2, 2, 2, 4, 4]
FULL = [0, 0, 3, 0, 0, 2, 3, 5, 4, 4]


def test_flows_by_hand() -> None:
    table = flow_table(HALF, FULL)
    assert table[["half", "full", "n_sessions"]].values.tolist() == [
        [0, 0, 2], [1, 0, 2], [4, 4, 2], [0, 3, 1], [2, 2, 1], [2, 3, 1], [2, 5, 1],
    ]  # fmt: skip
    assert table["share_of_half"].tolist() == pytest.approx([2 / 3, 1, 1, *[1 / 3] * 4])
    assert table["share_of_full"].tolist() == [0.5, 0.5, 1, 0.5, 1, 0.5, 1]


def test_births_deaths_and_merges_by_hand() -> None:
    table = fates(HALF, FULL, n_proxies=7)
    assert table["fate"].tolist() == [
        "kept", "died", "kept", "born", "kept", "born", "never used",
    ]  # fmt: skip
    assert table["n_half"].tolist() == [3, 2, 3, 0, 2, 0, 0]
    assert table["n_full"].tolist() == [4, 0, 1, 2, 2, 1, 0]
    assert table["goes_to"].tolist() == [0, 0, 2, -1, 4, -1, -1]
    assert table["merged"].tolist() == [True, True, *[False] * 5]  # 0 and 1 into 0
    assert table["share"][0] == pytest.approx(2 / 3)
    assert np.isnan(table["share"][3])


@given(pairs=PAIRS)
def test_flows_and_fates_are_those_of_counting(pairs: list[tuple[int, int]]) -> None:
    half, full = zip(*pairs, strict=True)
    counted = Counter(pairs)
    table = flow_table(half, full)
    assert {(r.half, r.full): r.n_sessions for r in table.itertuples()} == counted
    assert table["n_sessions"].is_monotonic_decreasing
    found = fates(half, full, n_proxies=6)
    for proxy in range(6):
        before, after = half.count(proxy), full.count(proxy)
        assert (found["n_half"][proxy], found["n_full"][proxy]) == (before, after)
        fate = {(0, 0): "never used", (0, 1): "born", (1, 0): "died", (1, 1): "kept"}
        assert found["fate"][proxy] == fate[min(before, 1), min(after, 1)]
    majority = {p: q for (p, q), n in counted.items() if 2 * n > half.count(p)}
    for proxy in range(6):
        into = majority.get(proxy)
        assert found["merged"][proxy] == (into is not None and [*majority.values()].count(into) > 1)


def test_agreement_is_the_ami_and_its_interval_holds_it() -> None:
    random = np.random.default_rng(0)
    half = random.integers(6, size=500)
    full = np.where(random.random(500) < 0.7, half, random.integers(6, size=500))
    found = flow_agreement(half, full, n_resamples=50)
    assert found.ami == pytest.approx(adjusted_mutual_info_score(half, full))
    assert found.low < found.ami < found.high
    assert found.moved == (half != full).mean()
    assert str(found).startswith("2")
    assert f"agree by AMI {found.ami:.2f} ({found.low:.2f} to {found.high:.2f})" in str(found)
    assert found == flow_agreement(half, full, n_resamples=50)


def test_the_interval_is_as_wide_as_other_sessions_would_make_it() -> None:
    """The spread over fresh draws from the same source, which the bootstrap has to guess."""

    def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(seed)
        half = random.integers(6, size=400)
        return half, np.where(random.random(400) < 0.7, half, random.integers(6, size=400))

    fresh = np.std([adjusted_mutual_info_score(*drawn(seed)) for seed in range(60)])
    guessed = np.mean([
        (found.high - found.low) / 2 / 1.96
        for found in (flow_agreement(*drawn(seed), n_resamples=60) for seed in range(5))
    ])  # fmt: skip
    assert 0.7 < guessed / fresh < 1.4


def test_the_same_choices_agree_fully() -> None:
    found = flow_agreement(HALF, HALF, n_resamples=20)
    assert (found.ami, found.low, found.high, found.moved) == (1.0, 1.0, 1.0, 0.0)
    other_numbers = [9 - proxy for proxy in HALF]
    assert flow_agreement(HALF, other_numbers, n_resamples=20).ami == 1.0


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="the same sessions; received 2 and 1"):
        flow_table([0, 1], [0])
    with pytest.raises(ConfigError, match="Proxies are 0 to 1; full has 0 to 2"):
        fates([0, 1], [2, 0], n_proxies=2)
    with pytest.raises(ConfigError, match="at least two sessions; received 1"):
        flow_agreement([0], [0])
    with pytest.raises(ConfigError, match="n_resamples is at least 2; received 1"):
        flow_agreement([0, 1], [0, 1], n_resamples=1)
