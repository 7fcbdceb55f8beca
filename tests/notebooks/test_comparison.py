"""Variants are trained once, under equal conditions, and picked up where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxysr.config import ConfigError
from proxysr.data.sessions import SessionSplit
from proxysr.models import MODELS
from proxysr.notebooks import comparison, prepared_data
from proxysr.notebooks.comparison import (
    Variant,
    model_variants,
    names_in,
    numbers_in,
    train_variants,
)

TINY = Variant("tiny", "proxysr", {"embedding_dim": 4, "n_proxies": 2}, {"learning_rate": 0.01})
QUICK: dict[str, Any] = {"epochs": 1, "valid_min_prefix": 1}


@pytest.fixture
def data(tiny_split: SessionSplit, tmp_path: Path) -> Path:
    return tiny_split.save(tmp_path / "data")


def train(data: Path, *variants: Variant, **options: Any) -> dict[str, Any]:
    options = {"train": QUICK, "device": "cpu", "progress": False} | options
    return dict(train_variants(variants, data, "test", **options))


def test_each_variant_and_seed_has_an_evaluated_run(data: Path) -> None:
    runs = train(data, TINY, TINY.changed("three", n_proxies=3), seeds=(1, 2))
    assert list(runs) == ["tiny", "three"]
    for name, n_proxies in [("tiny", 2), ("three", 3)]:
        assert [run.train_config.seed for run in runs[name]] == [1, 2]
        for run in runs[name]:
            assert run.model_config.to_dict()["n_proxies"] == n_proxies
            assert run.model_config.to_dict()["embedding_dim"] == 4
            assert run.train_config.learning_rate == 0.01
            assert run.train_config.epochs == 1
            assert set(run.metrics()) == {"test-unseen", "test-repeat"}
    assert len({run.path for members in runs.values() for run in members}) == 4


def test_common_options_override_those_of_the_variant(data: Path) -> None:
    runs = train(data, TINY, train=QUICK | {"learning_rate": 0.5})
    assert runs["tiny"][0].train_config.learning_rate == 0.5


def test_each_task_can_have_runs_of_its_own(data: Path) -> None:
    both = train(data, TINY, train_for=("unseen", "repeat"))["tiny"]
    assert [run.train_config.valid_task for run in both] == ["unseen", "repeat"]
    assert {run.train_config.task for run in both} == {"repeat"}
    assert [set(run.metrics()) for run in both] == [{"test-unseen"}, {"test-repeat"}]
    with pytest.raises(ConfigError, match="'repeats' is not a known task"):
        train(data, TINY, train_for=("repeats",))
    with pytest.raises(ConfigError, match="At least one task to train for"):
        train(data, TINY, train_for=())


def test_models_that_count_have_one_run_and_no_idle_options(data: Path) -> None:
    variant = Variant("pairs", "cooccurrence")
    runs = train(data, variant, seeds=(1, 2), train={"epochs": 3, "valid_min_prefix": 2})
    assert len(runs["pairs"]) == 1
    assert runs["pairs"][0].train_config.valid_min_prefix == 2
    again = train(data, variant, seeds=(5,), train={"epochs": 9, "valid_min_prefix": 2})
    assert again["pairs"][0].path == runs["pairs"][0].path


def test_what_is_there_is_not_done_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train(data, TINY)["tiny"][0]
    kept = {path: path.stat().st_mtime_ns for path in first.path.glob("ranks-*.parquet")}
    assert len(kept) == 2
    monkeypatch.setattr(comparison, "evaluate_run", lambda *args, **kw: pytest.fail("again"))
    second = train(data, TINY, Variant("same", TINY.model, TINY.model_config, TINY.train))
    assert second["tiny"][0].path == second["same"][0].path == first.path
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_all_models_have_small_settings() -> None:
    variants = model_variants("all", "small")
    assert [variant.name for variant in variants] == [name for name in MODELS if name != "hrnn"]
    assert model_variants("hrnn", "small")[0].train  # it needs users, and is named for that
    assert all(variant.train["learning_rate"] > 0 for variant in variants if variant.learns)


def test_models_are_named_or_refused() -> None:
    chosen = model_variants("proxysr, popularity", "small")
    assert [variant.name for variant in chosen] == ["proxysr", "popularity"]
    assert chosen[1] == Variant("popularity", "popularity")
    assert model_variants("sasrec", "") == [Variant("sasrec", "sasrec")]
    with pytest.raises(ConfigError, match="'sasrec-smal' is not a known preset. .*'sasrec-small'"):
        model_variants("sasrec", "smal")
    with pytest.raises(ConfigError, match="'sasreck' is not a known model"):
        model_variants("sasreck", "")
    with pytest.raises(ConfigError, match="No model is named in ' '"):
        model_variants(" ", "small")


def test_names_have_to_differ(data: Path) -> None:
    with pytest.raises(ConfigError, match="tiny is there twice"):
        train(data, TINY, TINY)
    with pytest.raises(ConfigError, match="At least one seed"):
        train(data, TINY, seeds=())


def test_lists_in_text() -> None:
    assert names_in(" a, b,,c ") == ["a", "b", "c"]
    assert numbers_in("3, 10") == [3, 10]
    with pytest.raises(ConfigError, match="Whole numbers between commas are meant; received '3;4'"):
        numbers_in("3;4")


def test_synthetic_data_of_another_size() -> None:
    folder = prepared_data("", "test", n_sessions=100, n_items=150, n_interests=2)
    split = SessionSplit.load(folder)
    assert sum(len(part) for part in (split.train, split.valid, split.test)) <= 100
    assert prepared_data(folder, "test", n_sessions=5) == folder
