"""The paper's numbers are all there, and stand beside ours of the same model, task and data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.experiments.presets import ABLATIONS
from proxysr.models import MODELS
from proxysr.paper.printed import (
    DATASETS,
    published_results,
    published_variants,
    with_published,
)


def value_of(table: pd.DataFrame, **keys: str) -> float:
    for name, key in keys.items():
        table = table[table[name] == key]
    return float(table["value"].item())


def test_eleven_models_three_data_sets_two_tasks_six_metrics() -> None:
    table = published_results()
    assert len(table) == 11 * 3 * 2 * 6
    keys = ["task", "dataset", "metric", "model"]
    assert not table.duplicated(keys).any()
    assert [table[key].nunique() for key in keys] == [2, 3, 6, 11]
    assert set(table["dataset"]) == set(DATASETS)
    assert set(table["model"]) <= set(MODELS)
    assert table["value"].between(0, 1).all()


@pytest.mark.parametrize(
    ("task", "dataset", "metric", "printed", "value"),
    [
        ("unseen", "diginetica", "R@20", "ProxySR", 0.4069),
        ("unseen", "diginetica", "MRR@20", "ProxySR", 0.1130),
        ("unseen", "retailrocket", "R@5", "GCE-GNN", 0.1876),
        ("unseen", "lastfm", "MRR@10", "SR-GNN", 0.0355),
        ("repeat", "retailrocket", "R@20", "CSRM", 0.5774),
        ("repeat", "lastfm", "R@5", "RepeatNet", 0.5542),
    ],
)
def test_values_of_tables_2_and_3(
    task: str, dataset: str, metric: str, printed: str, value: float
) -> None:
    found = value_of(
        published_results(), task=task, dataset=dataset, metric=metric, printed=printed
    )
    assert found == value


def test_longer_lists_find_more() -> None:
    wide = published_results().pivot(
        index=["task", "dataset", "model"], columns="metric", values="value"
    )
    for name in ("R", "MRR"):
        assert (wide[f"{name}@5"] <= wide[f"{name}@10"]).all()
        assert (wide[f"{name}@10"] <= wide[f"{name}@20"]).all()
    assert (wide["MRR@20"] <= wide["R@20"]).all()


def test_values_of_tables_4_to_6() -> None:
    assert value_of(published_variants(4), variant="known users 50%", metric="R@20") == 0.1696
    ablation = {"dataset": "diginetica", "variant": "no projection", "metric": "R@20"}
    assert value_of(published_variants(5), **ablation) == 0.3842
    assert value_of(published_variants(6), variant="HRNN proxy", metric="R@20") == 0.1941
    assert published_variants(5)["variant"].nunique() == 8
    with pytest.raises(ConfigError, match=r"These tables are \[4, 5, 6\]; received 2"):
        published_variants(2)


OURS = pd.DataFrame(
    [
        ("srgnn", "unseen", "R@20", 0.3),
        ("srgnn", "repeat", "R@20", 0.4),
        ("no projection", "unseen", "R@20", 0.2),
        ("no projection", "repeat", "R@20", 0.2),
        ("cooccurrence", "unseen", "R@20", 0.5),
    ],
    columns=["run", "task", "metric", "value"],
)


def test_ours_stand_beside_theirs() -> None:
    found = with_published(OURS, "diginetica")
    assert found[list(OURS)].equals(OURS)
    assert found["published"].round(4).fillna(-1).tolist() == [0.3386, 0.4580, 0.3842, -1, -1]


def test_other_data_have_nothing_beside_them() -> None:
    assert np.isnan(with_published(OURS, "")["published"]).all()
    with pytest.raises(ConfigError, match="'digineteca' is not a known data set of the paper's"):
        with_published(OURS, "digineteca")


def test_ablations_go_by_their_names_in_table_5() -> None:
    assert {"ProxySR", *ABLATIONS} == set(published_variants(5)["variant"])


def test_groups_of_hrnn_go_by_their_names_in_table_6() -> None:
    ours = pd.DataFrame({"run": ["HRNN proxy"], "task": ["unseen"], "metric": ["R@20"]})
    assert with_published(ours, "retailrocket")["published"].tolist() == [0.1941]
    assert with_published(ours, "diginetica")["published"].isna().all()
