"""Maps: the same input gives the same map, kept ones are found again, new points find theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import procrustes
from scipy.stats import spearmanr
from sklearn.manifold import trustworthiness

from proxysr.analysis import projection
from proxysr.analysis.map_quality import (
    FINEST,
    jittered,
    map_quality,
    median_movement,
    neighbour_overlap,
    spread_of,
)
from proxysr.analysis.projection import MapConfig, place, project_pair, project_sessions
from proxysr.config import ConfigError

FEW = MapConfig(perplexity=5, early_iterations=50, iterations=50)


def groups(n: int = 20, seed: int = 0) -> Any:
    """Four far groups of vectors in eight dimensions, and which is which."""
    random = np.random.default_rng(seed)
    which = np.repeat(np.arange(4), n)
    return np.eye(8)[which] * 5 + random.normal(size=(4 * n, 8)) * 0.3, which


def test_groups_stay_together_and_the_figures_say_so() -> None:
    vectors, which = groups()
    found = project_sessions(vectors, config=FEW)
    assert found.positions.shape == (80, 2)
    assert found.positions.dtype == np.float32
    distance = np.linalg.norm(found.positions[:, None] - found.positions, axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (which[distance.argmin(axis=1)] == which).mean() > 0.95
    assert found.quality.recall > 0.5
    assert found.quality.trustworthiness > 0.9
    shuffled = map_quality(vectors, np.random.default_rng(0).permutation(found.positions))
    assert shuffled.recall < 0.25
    assert 0.35 < shuffled.trustworthiness < 0.65
    assert abs(shuffled.cpd) < 0.15


def test_the_same_input_gives_the_same_map() -> None:
    vectors, _ = groups()
    one, two = (project_sessions(vectors, config=FEW) for _ in range(2))
    assert np.array_equal(one.positions, two.positions)
    assert one.quality == two.quality
    other = project_sessions(vectors, config=FEW.replace(seed=1))
    assert not np.array_equal(one.positions, other.positions)


def test_equal_vectors_become_a_disc_and_no_pile() -> None:
    vectors = np.repeat(np.eye(4), 25, axis=0)
    found = project_sessions(vectors, config=FEW)
    assert len(np.unique(found.positions, axis=0)) == 100
    middles = found.positions.reshape(4, 25, 2).mean(axis=1)
    between = np.linalg.norm(middles[:, None] - middles, axis=2)[np.triu_indices(4, 1)].min()
    within = np.linalg.norm(found.positions.reshape(4, 25, 2) - middles[:, None], axis=2).max()
    assert within < between / 2
    assert found.quality.recall == 1.0  # any of the 24 equals is a closest one
    assert found.quality.trustworthiness == 1.0


def test_all_vectors_equal_give_a_map_without_rank_correlation() -> None:
    found = project_sessions(np.ones((30, 3)), config=FEW)
    assert np.isfinite(found.positions).all()
    assert np.isnan(found.quality.cpd)


def test_few_points_have_a_map_and_fewer_none() -> None:
    assert np.isfinite(project_sessions(np.eye(5), config=FEW).positions).all()
    with pytest.raises(ConfigError, match=r"at least 5 vectors; received shape \(4, 4\)"):
        project_sessions(np.eye(4))
    with pytest.raises(
        ConfigError, match="of at least 2 numbers; received 1. Train with embedding"
    ):
        project_sessions(np.ones((6, 1)))
    with pytest.raises(ConfigError, match="1 of 6 vectors are not finite"):
        project_sessions(np.where(np.eye(6)[:, :1] > 0, np.nan, np.ones((6, 2))))
    with pytest.raises(ConfigError, match=r"one position a vector, \(5, 2\); received \(4, 2\)"):
        project_sessions(np.eye(5), start=np.zeros((4, 2)))
    with pytest.raises(ConfigError, match="perplexity is at least 1; received 0"):
        MapConfig(perplexity=0.5)


@pytest.mark.parametrize("n", [5, 8, 13, 40])
def test_few_points_are_not_drawn_into_one(n: int) -> None:
    """Early exaggeration does that where no point has neighbours that are closer than others."""
    vectors = np.random.default_rng(0).normal(size=(n, 16))
    pair = project_pair(vectors, vectors * 1.1)
    for found in (pair.half, pair.full):
        assert 1 < found.positions.std() < 100
        assert found.quality.recall > 0.4


def test_the_second_map_of_a_pair_continues_the_first() -> None:
    vectors, _ = groups()
    later = vectors + np.random.default_rng(1).normal(size=vectors.shape) * 0.02
    more = FEW.replace(iterations=400)
    pair = project_pair(vectors, later, config=more)
    turned = pair.half.positions[:, ::-1] * [1, -1]  # a map laid out apart may be turned
    apart = project_sessions(later, config=more, start=turned)
    assert pair.movement < 0.3 < 0.9 < median_movement(pair.half.positions, apart.positions)
    assert pair.disparity == procrustes(pair.half.positions, pair.full.positions)[2]
    assert pair.movement == median_movement(pair.half.positions, pair.full.positions)
    assert str(pair).startswith("from half to full: Procrustes disparity 0.")
    with pytest.raises(ConfigError, match="the same points; received 80 and 79"):
        project_pair(vectors, later[1:])


def test_no_step_from_a_start_is_the_start() -> None:
    vectors, _ = groups()
    start = np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32)
    found = project_sessions(
        vectors, config=FEW.replace(early_iterations=0, iterations=0), start=start
    )
    assert np.array_equal(found.positions, start)


def test_a_kept_map_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, _ = groups()
    one = project_sessions(vectors, config=FEW, cache=tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]
    with monkeypatch.context() as patch:
        patch.setattr(projection, "_tsne", lambda *_: pytest.fail("it was laid out again"))
        two = project_sessions(vectors, config=FEW, cache=tmp_path)
    assert np.array_equal(one.positions, two.positions)
    assert (one.quality, two.note) == (two.quality, "")
    assert np.array_equal(one.vectors, two.vectors)
    project_sessions(vectors, config=FEW.replace(iterations=51), cache=tmp_path)
    project_sessions(vectors + 1, config=FEW, cache=tmp_path)
    project_sessions(vectors, config=FEW, cache=tmp_path, start=one.positions)
    assert len(list(tmp_path.iterdir())) == 4  # settings, vectors and start count


@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_a_damaged_map_is_made_anew_and_a_sentence_says_so(damage: str, tmp_path: Path) -> None:
    vectors, _ = groups()
    one = project_sessions(vectors, config=FEW, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    if damage == "other":
        np.savez(path, positions=one.positions[1:], quality=np.zeros(4), key=np.array("?"))
    else:
        path.write_bytes(path.read_bytes()[:300] if damage == "cut" else b"")
    two = project_sessions(vectors, config=FEW, cache=tmp_path)
    assert two.note == f"The kept map {path.name} was damaged; the map was made anew."
    assert np.array_equal(one.positions, two.positions)
    assert project_sessions(vectors, config=FEW, cache=tmp_path).note == ""


def test_a_map_that_cannot_be_kept_is_made_all_the_same(tmp_path: Path) -> None:
    vectors, _ = groups()
    (tmp_path / "cache").write_text("a file where a folder should be")
    found = project_sessions(vectors, config=FEW, cache=tmp_path / "cache")
    assert np.array_equal(found.positions, project_sessions(vectors, config=FEW).positions)
    assert found.note.startswith(f"The map could not be kept in {tmp_path / 'cache'} (")


def test_new_points_are_placed_as_opentsne_would_start_them() -> None:
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN

    vectors, which = groups()
    found = project_sessions(vectors, config=FEW)
    before = found.positions.copy()
    new = vectors[::7] + 0.01
    placed = place(new, found)
    data = found.vectors.astype(np.float64)
    affinities = PerplexityBasedNN(data, perplexity=20, method="exact", n_jobs=1, random_state=0)
    known = TSNEEmbedding(found.positions.astype(np.float64), affinities, n_jobs=1)
    twin = known.prepare_partial(new, initialization="median", k=25)
    assert np.asarray(twin) == pytest.approx(placed, abs=1e-4)
    assert np.array_equal(found.positions, before)
    middles = np.array([found.positions[which == group].mean(axis=0) for group in range(4)])
    nearest = np.linalg.norm(placed[:, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == which[::7]).all()
    with pytest.raises(ConfigError, match=r"are \(m, 8\); received \(8,\)"):
        place(vectors[0], found)


def literal_quality(vectors: Any, positions: Any, k: int) -> tuple[float, float, float]:
    """Neighbours and distances by loops; for vectors without ties."""
    n = len(vectors)
    high = [[float(np.linalg.norm(a - b)) for b in vectors] for a in vectors]
    low = [[float(np.linalg.norm(a - b)) for b in positions] for a in positions]
    kept = 0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        near_high = sorted(others, key=lambda j: high[i][j])[:k]
        near_low = sorted(others, key=lambda j: low[i][j])[:k]
        kept += len(set(near_high) & set(near_low))
    pairs = [(i, j) for i in range(n) for j in range(i)]
    rho = spearmanr([high[i][j] for i, j in pairs], [low[i][j] for i, j in pairs]).statistic
    return kept / (n * k), trustworthiness(vectors, positions, n_neighbors=k), rho


@given(seed=st.integers(0, 1000), n=st.integers(22, 40))
def test_quality_is_that_of_loops(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(n, 3))
    positions = vectors[:, :2] + random.normal(size=(n, 2)) * 0.2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxysr.analysis.map_quality.FINEST", 1e-12)
        found = map_quality(vectors, positions)
    recall, trust, rho = literal_quality(vectors, positions, 10)
    assert found.recall == pytest.approx(recall, abs=1e-12)
    assert found.trustworthiness == pytest.approx(trust, abs=1e-12)
    assert found.cpd == pytest.approx(rho, abs=1e-9)
    assert found.n_compared == n


def test_overlap_and_movement_by_hand() -> None:
    one = np.random.default_rng(0).normal(size=(30, 2))
    two = np.random.default_rng(1).normal(size=(30, 2))
    assert neighbour_overlap(one, one) == 1.0
    assert neighbour_overlap(one, -3 * one + 7) == 1.0
    shared = []
    for i in range(30):
        near = [set(np.argsort(np.linalg.norm(m - m[i], axis=1))[1:11]) for m in (one, two)]
        shared.append(len(near[0] & near[1]) / 10)
    assert neighbour_overlap(one, two) == pytest.approx(np.mean(shared))
    corners = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * 1.0
    assert spread_of(corners) == pytest.approx(2**0.5)
    assert median_movement(corners, corners + np.array([3, 4])) == pytest.approx(5 / 2**0.5)


def test_points_are_moved_by_a_thousandth_of_their_spread() -> None:
    vectors, _ = groups(200)
    moved = np.linalg.norm(jittered(vectors) - vectors, axis=1)
    assert np.sqrt((moved**2).mean()) == pytest.approx(FINEST * spread_of(vectors), rel=0.05)
    assert len(np.unique(jittered(np.ones((9, 2))), axis=0)) == 9
