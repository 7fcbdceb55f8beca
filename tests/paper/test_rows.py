"""Runs become rows: of several settings of one model, validation chooses, and never the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxysr.analysis.significance import CompareConfig
from proxysr.data.sources import SOURCES
from proxysr.experiments import Spec, Variant, run_spec
from proxysr.paper.evidence import find_runs
from proxysr.paper.known_users import data_of_shares, share_specs
from proxysr.paper.page import results_page
from proxysr.paper.rows import Row, main_rows, runs_by_data
from proxysr.paper.tabulated import tabulated
from proxysr.run import RunDir

BEST, OTHER = "cooccurrence (window 2)", "cooccurrence (window 50)"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two settings of one model, of which the test sessions like the other better."""
    folder = tmp_path_factory.mktemp("rows")
    sizes = {"n_sessions": 200, "n_items": 60, "n_interests": 2}
    SOURCES["synthetic"].prepare("synthetic", **sizes).save(folder / "shop")
    settings = [
        Variant(f"window {n}", "cooccurrence", {"window": n, "direction": "forward"})
        for n in (50, 2)
    ]
    spec = Spec(folder / "shop", [*settings, Variant("popularity", "popularity")])
    assert run_spec(spec, folder / "runs", device="cpu", progress=False).holes == []
    return folder / "runs"


@pytest.fixture(scope="module")
def rows(runs: Path) -> list[Row]:
    (data,) = runs_by_data(find_runs([runs])[0])
    return main_rows(data, "unseen").models


def page_of(folders: list[Path], reference: str, config: CompareConfig) -> str:
    evidence, holes = find_runs(folders)
    assert holes == []
    logs = tabulated(evidence, reference=reference, config=config)
    return results_page(logs, reference=reference)


def test_settings_of_one_model_are_ordered_by_validation(rows: list[Row]) -> None:
    assert [row.label for row in rows] == [BEST, OTHER, "popularity"]
    validation = [RunDir(row.runs[0].path).history()["R@20"].max() for row in rows]
    assert [row.validation("unseen") for row in rows] == [(True, v) for v in validation]
    assert rows[0].validation("repeat") == (False, validation[0])
    assert validation[0] > validation[1]
    assert rows[0].mean("unseen", "R@20") < rows[1].mean("unseen", "R@20")


def test_the_reference_is_the_row_that_validation_chose(runs: Path) -> None:
    config = CompareConfig(resamples=1000)
    for reference in ("cooccurrence", "narm"):  # of the second there is no run
        page = page_of([runs], reference, config)
        assert page.count(f"; differences to {BEST}.") == 2
        assert OTHER in page
    page = page_of([runs], "cooccurrence", config)
    assert page.splitlines()[2].startswith(
        "**cooccurrence has the highest R@20 in 2 of 2 tables of models, on 1 data set; in 2 it is "
        "ahead of every other model"
    )
    assert page.count(f"Of the settings of cooccurrence, validation chose {BEST}.") == 2
    assert f"{OTHER}," not in page.partition("## shop")[0]


def test_settings_of_one_model_alone_have_no_leader(runs: Path) -> None:
    alone = [path.parent for path in runs.glob("*/config.json")
             if RunDir(path.parent).model_name == "cooccurrence"]  # fmt: skip
    page = page_of(alone, "cooccurrence", CompareConfig(resamples=1000))
    assert "highest" not in page
    assert page.count(f"; differences to {BEST}.") == 2


def test_a_table_of_users_has_runs_of_one_setting(tmp_path: Path) -> None:
    """Another setting is no further seed: the one with more rows is taken, and the rest counted."""
    sizes = {"n_sessions": 300, "n_items": 60, "n_users": 8, "n_interests": 2}
    SOURCES["synthetic"].prepare("synthetic", **sizes).save(tmp_path / "shop")
    data = data_of_shares(tmp_path / "shop", (0, 50), tmp_path / "runs", min_sessions=3)
    small = Variant.of_preset("proxysr", "proxysr-small")
    options: dict[str, Any] = {"train": {"epochs": 1}, "seeds": [0]}
    both = share_specs(small, data, **options)
    wider = small.changed("proxysr", n_proxies=5)
    at_zero = share_specs(wider, {0: data[0]}, **(options | {"seeds": [0, 1]}))
    assert run_spec([*both, *at_zero], tmp_path / "runs", device="cpu", progress=False).holes == []
    (log,) = tabulated(find_runs([tmp_path / "runs"])[0], config=CompareConfig(resamples=50))
    (table,) = [table for table in log.tables if table.title.startswith("Table 4")]
    assert table.n_runs == 2
    assert {row["seeds"] for row in table.rows} == {"1"}
    assert table.notes == ["Left out: 2 run(s) of other settings."]
