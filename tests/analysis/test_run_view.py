"""One view of a run: rows that belong together, sentences on what is missing, maps when asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxysr.analysis.assignments import assignments_from_model
from proxysr.analysis.dataset import stratified
from proxysr.analysis.projection import MapConfig, Projection, ProjectionPair
from proxysr.analysis.representations import item_vectors, representations
from proxysr.analysis.run_view import RunView
from proxysr.analysis.users import agreement_of, user_agreement
from proxysr.config import ConfigError
from proxysr.data.batches import batch_of
from proxysr.data.sessions import Sessions, SessionSplit
from proxysr.models import GCEGNN, MeanEncoder, ProxySR
from proxysr.run import RunDir
from proxysr.running import train_run
from proxysr.training import TrainConfig

FEW = MapConfig(perplexity=3, early_iterations=20, iterations=20)
SMALL = {"embedding_dim": 6, "n_proxies": 4, "n_negatives": 3, "init_std": 0.3}
Train = Callable[..., RunDir]


@pytest.fixture
def train(tmp_path: Path, tiny_split: SessionSplit) -> Train:
    """Train on the tiny split, or one with changes, until the best epoch is the last."""

    def run(
        model: str = "proxysr", epochs: int = 3, split: SessionSplit = tiny_split, **settings: Any
    ) -> RunDir:
        data = split.save(tmp_path / "data")
        name = f"run-{len(list(tmp_path.iterdir()))}"
        config = TrainConfig(epochs=epochs, batch_size=4, learning_rate=0.01, device="cpu")
        return train_run(
            data,
            tmp_path / name,
            model=model,
            model_config=(SMALL if model == "proxysr" else {}) | settings,
            train=config,
            progress=False,
        )

    return run


@pytest.fixture
def run(train: Train, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    """A run with a snapshot half-way, whichever epoch validation would choose."""
    run = train()
    monkeypatch.setattr(RunDir, "half_epoch", 0)
    return run


def test_rows_are_those_of_the_sessions(run: RunDir) -> None:
    view = RunView.of(run, part="train")
    assert view.table["session_id"].tolist() == ["a", "b", "c", "d", "e"]
    assert view.table["user"].tolist() == ["u0", "u1", "u0", "", ""]
    assert view.table["started_at"][1] == pd.Timestamp(1970, 1, 1, 0, 0, 10)
    assert view.table["planted_interest"].iloc[:2].tolist() == [0, 1]
    assert view.table["planted_interest"].isna().tolist() == [False, False, True, True, True]
    chosen = assignments_from_model(run.model("best"), view.split.train)
    assert view.table[list(chosen)].equals(chosen)
    for row in range(5):
        weights = view.model.trace(batch_of([view.sessions[row].tolist()])).proxy_weights[0]
        assert view.table["proxy"][row] == int(weights.argmax())
    assert run.findings
    assert view.notes[: len(run.findings)] == run.findings
    assert "2 of 5 sessions have no known user." in view.notes
    assert view.drawn.tolist() == [0, 1, 2, 3, 4]


def test_maps_are_made_when_asked_and_kept(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    if run.best_epoch == 0:
        monkeypatch.setattr(RunDir, "best_epoch", 1)
    view = RunView.of(run, part="train", settings=FEW)
    assert not (run.path / "cache").exists()
    assert "layout" not in view.__dict__
    assert view.notes == RunView.of(run, part="train", settings=FEW).notes
    assert isinstance(view.layout, ProjectionPair)
    assert view.positions.shape == (5, 2)
    assert view.proxy_positions.shape == (4, 2)
    assert view.half_positions is not None
    assert view.half_proxy_positions is not None
    assert view.half_positions.shape == (5, 2)
    assert np.isfinite(view.half_proxy_positions).all()
    assert len(list((run.path / "cache").glob("map-*.npz"))) == 2
    again = RunView.of(str(run.path), part="train", settings=FEW)
    with monkeypatch.context() as patch:
        patch.setattr("proxysr.analysis.projection._tsne", lambda *_: pytest.fail("laid out"))
        assert np.array_equal(again.positions, view.positions)
    assert len(view.projection_quality.splitlines()) == 3
    for path in (run.path / "cache").iterdir():
        path.write_bytes(b"damaged")
    damaged = RunView.of(run, part="train", settings=FEW)
    assert np.array_equal(damaged.positions, view.positions)
    assert sum("was damaged; the map was made anew" in note for note in damaged.notes) == 2


def test_what_is_laid_out_are_the_vectors_of_sessions_and_proxies(run: RunDir) -> None:
    view = RunView.of(run, part="train", settings=FEW)
    expected = np.concatenate([
        representations(view.model, view.sessions),
        view.model.proxies.detach().numpy(),
    ])  # fmt: skip
    assert view.projection.vectors == pytest.approx(expected, abs=0.02)


def test_without_a_half_way_snapshot_there_is_one_map(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(epochs=1)
    view = RunView.of(run, part="train", settings=FEW)
    assert (view.half_model, view.half_table) == (None, None)
    assert "Half-way is the best epoch itself (0): there is one map." in view.notes
    assert isinstance(view.layout, Projection)
    assert (view.half_positions, view.half_proxy_positions) == (None, None)
    assert view.projection_quality.startswith("after epoch 0 (best): neighbours kept ")
    monkeypatch.setattr(RunDir, "half_epoch", 7)
    lost = RunView.of(run, part="train")
    assert lost.half_model is None
    assert any(note.startswith("The model half-way cannot be shown: ") for note in lost.notes)


def test_what_is_not_known_is_said(train: Train, tiny_split: SessionSplit) -> None:
    clicks = [tiny_split.train[row].tolist() for row in range(5)]
    bare = dataclasses.replace(
        tiny_split,
        train=Sessions.from_lists([*clicks, []]),
        valid=Sessions.from_lists([[1, 2, 3]]),
        test=Sessions.from_lists([[]]),
        items=tiny_split.items.drop(columns="title"),
        session_info=pd.DataFrame(),
    )
    run = train(split=bare, epochs=1)
    view = RunView.of(run, part="train")
    assert len(view.sessions) == len(view.table) == 5
    assert {"user", "started_at"}.isdisjoint(view.table)
    for sentence in (
        "No session has a known user.",
        "It is not known when sessions began.",
        "Items have no titles: their ids are shown.",
    ):
        assert sentence in view.notes
    assert view.label(2) == "sku-2"
    with pytest.raises(ConfigError, match="No session of test has a click"):
        RunView.of(run)
    with pytest.raises(ConfigError, match="Did you mean 'train'"):
        RunView.of(run, part="trian")
    with pytest.raises(ConfigError, match="max_drawn is at least 1; received 0"):
        RunView.of(run, part="train", max_drawn=0)


def test_columns_of_the_session_table_do_not_replace_others(
    train: Train, tiny_split: SessionSplit
) -> None:
    info = pd.DataFrame({"session_id": ["b", "a"], "proxy": [90, 80]})
    run = train(split=dataclasses.replace(tiny_split, session_info=info), epochs=1)
    table = RunView.of(run, part="train").table
    assert table["proxy"].max() < 4
    assert table["proxy (given)"].iloc[:2].tolist() == [80, 90]


def test_columns_named_as_what_is_not_known_do_not_stand_for_it(
    train: Train, tiny_split: SessionSplit
) -> None:
    info = pd.DataFrame(
        {"session_id": ["b", "a"], "user": ["x", "y"], "started_at": ["Mon", "Tue"],
         "tags": [["new"], ["old", "red"]]}
    )  # fmt: skip
    unknown = {
        part: dataclasses.replace(
            sessions,
            user_index=np.full(len(sessions), -1, np.int32),
            started_at=np.full(len(sessions), np.nan),
        )
        for part, sessions in ((part, tiny_split.part(part)) for part in ("train", "valid", "test"))
    }
    run = train(split=dataclasses.replace(tiny_split, **unknown, session_info=info), epochs=1)
    view = RunView.of(run, part="train")
    assert {"user", "started_at"}.isdisjoint(view.table)
    assert view.table["user (given)"].iloc[:2].tolist() == ["y", "x"]
    assert view.table["started_at (given)"].iloc[:2].tolist() == ["Tue", "Mon"]
    assert view.table["tags"].iloc[:2].nunique() == 2, "lists became text, which can be counted"
    assert "No session has a known user." in view.notes


def test_a_session_has_all_its_clicks_though_the_model_reads_only_the_latest(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(max_length=2)
    monkeypatch.setattr(RunDir, "half_epoch", 0)
    monkeypatch.setattr(RunDir, "best_epoch", 1)
    view = RunView.of(run, part="train")
    assert view.half_table is not None
    for table in (view.table, view.half_table):
        assert table["n_clicks"].tolist() == view.sessions.lengths.tolist()
    assert view.table["n_clicks"].max() > 2


def test_a_model_that_was_told_users_says_so(train: Train) -> None:
    told = RunView.of(train(n_users=2), part="train").notes
    assert [note for note in told if note.startswith("The model has parameters for 2 users")]
    assert not any("has parameters for" in note for note in RunView.of(train(), part="train").notes)


def test_names_of_items_and_proxies(run: RunDir) -> None:
    view = RunView.of(run, part="train")
    assert [view.label(item) for item in (1, 6)] == ["Tea", "Bulb"]
    with pytest.raises(ConfigError, match="Items are 1 to 6; received 0"):
        view.label(0)
    proxy = int(view.table["proxy"][0])
    assert view.proxy_label(proxy).startswith(f"{proxy} · ")
    unused = next(k for k in range(4) if k not in set(view.table["proxy"]))
    assert view.proxy_label(unused) == f"{unused} · empty"
    with pytest.raises(ConfigError, match="Proxies are 0 to 3; received 4"):
        view.proxy_label(4)
    assert (view.table["proxy"].to_numpy()[view.rows_of(proxy)] == proxy).all()
    assert view.proxy_sizes.tolist() == [len(view.rows_of(k)) for k in range(4)]
    assert view.rename(proxy, "Hot drinks") == ("Hot drinks", "hand")
    try:
        assert view.proxy_label(proxy) == f"{proxy} · Hot drinks"
        assert RunView.of(run, part="valid").proxy_label(proxy) == f"{proxy} · Hot drinks"
        with pytest.raises(ConfigError, match="Proxies are 0 to 3; received -1"):
            view.rename(-1, "x")
    finally:
        assert view.rename(proxy, "").by != "hand"


def test_variants_without_proxies(train: Train) -> None:
    with pytest.raises(ConfigError, match="MeanEncoder chooses no proxies"):
        RunView.of(train("mean", epochs=1))
    # hyperplanes are chosen, but no proxies: these have no vectors to be laid out
    view = RunView.of(train(epochs=1, expressed_by="short-term"), part="train", settings=FEW)
    chosen = set(view.table["proxy"])
    for proxy in range(4):
        rows = view.rows_of(proxy)
        expected = np.median(view.positions[rows], axis=0) if proxy in chosen else [np.nan] * 2
        assert np.allclose(view.proxy_positions[proxy], expected, equal_nan=True)


def test_agreement_of_a_view_is_that_of_its_known_users(
    train: Train, tiny_split: SessionSplit
) -> None:
    clicks = [tiny_split.train[row % 5].tolist() for row in range(12)]
    users = [0, 1, 0, -1, 1, 0, 1, 2, 0, 1, 2, 3]
    split = dataclasses.replace(
        tiny_split,
        train=Sessions.from_lists(clicks, user_index=users),
        users=pd.DataFrame({"user_id": list("wxyz")}),
    )
    view = RunView.of(train(split=split, epochs=1), part="train")
    labels, vectors = agreement_of(view, n_permutations=9)
    known = [row for row in range(12) if users[row] in (0, 1, 2)]
    expected = user_agreement(
        {"proxies": view.table["proxy"].to_numpy()[known]},
        np.array(users)[known],
        strata=view.sessions.lengths[known],
        n_permutations=9,
    )
    found = labels[labels["labels"] == "proxies"].reset_index(drop=True)
    assert found["value"].tolist() == expected["value"].tolist()
    assert labels["labels"].unique().tolist() == [
        "proxies", "k-means of items", "last item", "random",
    ]  # fmt: skip
    assert vectors["vectors"].tolist() == ["proxy vectors", "mean of items", "last item"]
    with pytest.raises(ConfigError, match="at least two known users of 5 or more sessions"):
        agreement_of(view, min_sessions=5)


def test_a_sample_is_said_to_be_one(run: RunDir) -> None:
    view = RunView.of(run, part="train", max_drawn=3, settings=FEW)
    assert len(view.drawn) == 3
    assert len(view.table) == 5
    assert any(note.startswith("Maps show 3 of 5 sessions, drawn at random") for note in view.notes)
    with pytest.raises(
        ConfigError, match=r"at least 5 sessions; received max_drawn=3. Allow more of"
    ):
        view.layout  # noqa: B018
    few = RunView.of(run, part="test", settings=FEW)
    with pytest.raises(ConfigError, match=r"the test part has \d. Show another part \(--split\)"):
        few.layout  # noqa: B018


@given(
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=8),
    most=st.integers(1, 100),
    seed=st.integers(0, 9),
)
def test_samples_have_the_share_of_each_group(sizes: list[int], most: int, seed: int) -> None:
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows = stratified(groups, most, seed)
    assert len(rows) == min(most, len(groups)) == len(np.unique(rows))
    assert (np.diff(rows) > 0).all()
    for group, size in enumerate(sizes):
        share = size * len(rows) / max(len(groups), 1)
        assert abs((groups[rows] == group).sum() - share) < 1
    assert np.array_equal(rows, stratified(groups, most, seed))


def test_vectors_are_those_of_one_session_at_a_time(tiny_split: SessionSplit) -> None:
    for model in (
        ProxySR(6, ProxySR.Config(**SMALL)).eval(),
        MeanEncoder(6).eval(),
        GCEGNN(6, GCEGNN.Config(embedding_dim=8)).eval(),
    ):
        model.prepare(tiny_split.train)
        for batch_size in (1, 2, 100):
            found = representations(model, tiny_split.train, general=True, batch_size=batch_size)
            for row in range(5):
                batch = batch_of([tiny_split.train[row].tolist()])
                feature = model.general_interest(batch)[0].detach().numpy()
                assert found[row] == pytest.approx(feature, abs=1e-5)
        assert item_vectors(model).shape[0] == 7
    with pytest.raises(ConfigError, match="1 of 2 sessions have no click"):
        representations(model, Sessions.from_lists([[1], []]))
    with pytest.raises(ConfigError, match="no session to represent"):
        representations(model, Sessions.from_lists([]))
