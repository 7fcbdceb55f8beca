"""Profiles of proxies: the same numbers by loops, and what is said of odd ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxysr.analysis.profiles import (
    collapse,
    proxy_table,
)
from proxysr.analysis.representations import proxy_vectors
from proxysr.config import ConfigError
from proxysr.models import ProxySR


def assigned(proxies: Any, **columns: Any) -> pd.DataFrame:
    """Assignments of sessions to these proxies."""
    n = len(proxies)
    random = np.random.default_rng(n)
    table = {
        "session_id": np.arange(n),
        "n_clicks": random.integers(1, 9, size=n),
        "proxy": np.asarray(proxies, np.int64),
        "probability": random.random(n),
        "entropy": random.random(n),
    }
    return pd.DataFrame(table | columns)


@given(
    chosen=st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 3)), max_size=30),
    seed=st.integers(0, 100),
)
def test_the_table_is_that_of_loops(chosen: list[tuple[int, int]], seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(6, 3)).astype(np.float32)
    table = assigned([proxy for proxy, _ in chosen])
    users = np.array([user for _, user in chosen], np.int32)
    found = proxy_table(table, proxies=vectors, users=users)
    assert found.index.tolist() == list(range(6))
    for k in range(6):
        own = [row for row, (proxy, _) in enumerate(chosen) if proxy == k]
        assert found["n_sessions"][k] == len(own)
        assert found["share"][k] == (len(own) / len(chosen) if chosen else 0)
        assert found["n_users"][k] == len({chosen[row][1] for row in own} - {-1})
        for name in ("probability", "entropy", "n_clicks"):
            mean = np.mean([table[name][row] for row in own]) if own else np.nan
            assert found[name][k] == pytest.approx(mean, nan_ok=True)
        others = [j for j in range(6) if j != k]
        size = [float(np.sqrt((vector**2).sum())) for vector in vectors]
        cosine = {j: float(vectors[k] @ vectors[j]) / (size[k] * size[j]) for j in others}
        assert found["similarity"][k] == pytest.approx(max(cosine.values()), abs=1e-6)
        assert cosine[found["nearest"][k]] == pytest.approx(max(cosine.values()), abs=1e-6)


def test_unused_and_duplicate_proxies_are_named() -> None:
    """0 and 2 point the same way and 2 has more sessions; 3 points there too, but is unused."""
    vectors = np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 0.01], [1.0, 0.0], [0.0, 0.0]])
    table = proxy_table(assigned([0, 2, 2, 1, 4]), proxies=vectors)
    assert table["state"].tolist() == ["duplicate", "used", "used", "unused", "used"]
    assert table["nearest"][0] == 3
    as_many = proxy_table(assigned([0, 2]), proxies=vectors)
    assert as_many["state"].tolist()[:3] == ["used", "unused", "duplicate"]


def test_what_is_not_known_is_left_open() -> None:
    table = proxy_table(assigned([0, 2, 2]))
    assert table.index.tolist() == [0, 1, 2]
    assert table["state"].tolist() == ["used", "unused", "used"]
    assert table["n_users"].isna().all()
    assert table["nearest"].tolist() == [-1, -1, -1]
    assert table["similarity"].isna().all()
    assert proxy_table(assigned([])).empty
    assert proxy_table(assigned([0]), users=np.array([-1]))["n_users"].tolist() == [0]
    single = proxy_table(assigned([0]), proxies=np.ones((1, 2)))
    assert single["nearest"].tolist() == [-1]


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Sessions chose proxy 3, but vectors are given of only"):
        proxy_table(assigned([3]), proxies=np.eye(3))
    with pytest.raises(ConfigError, match=r"Users are one a session; received 1 for 2 sessions"):
        proxy_table(assigned([0, 1]), users=np.array([0]))


def test_a_collapse_is_told_in_a_sentence() -> None:
    assert collapse(assigned([4] * 1200)) == (
        "All 1,200 sessions choose proxy 4: the proxies have collapsed, and hardly "
        "distinguish sessions."
    )
    text = collapse(assigned([4] * 95 + [1] * 5))
    assert text is not None
    assert text.startswith("95 of 100 (95.0%) sessions choose proxy 4: the proxies have coll")
    assert collapse(assigned([4] * 89 + [1] * 11)) is None
    assert collapse(assigned([4])) is None
    assert collapse(assigned([])) is None
    one = collapse(assigned([0, 0], runner_up=[-1, -1]))
    assert one == "The model has a single proxy, so all sessions choose it."


def test_the_vectors_are_the_proxies_or_else_the_normals() -> None:
    model = ProxySR(6, ProxySR.Config(embedding_dim=4, n_proxies=3))
    assert np.array_equal(proxy_vectors(model), model.proxies.detach().numpy())
    short = ProxySR(6, ProxySR.Config(embedding_dim=4, n_proxies=3, expressed_by="short-term"))
    assert np.array_equal(proxy_vectors(short), short.normals.detach().numpy())
    none = ProxySR(6, ProxySR.Config(expressed_by="short-term", projection=False))
    with pytest.raises(ConfigError, match="This ProxySR chooses no proxies"):
        proxy_vectors(none)
