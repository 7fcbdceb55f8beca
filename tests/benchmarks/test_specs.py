"""The specs of the page of results: each can be read, and each kept run is of one of their rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxysr.experiments.spec import Variant, read_spec
from proxysr.paper.evidence import Evidence
from proxysr.paper.kept import read_kept

ROOT = Path(__file__).parents[2]
SPECS = {path.stem: path for path in (ROOT / "benchmarks" / "specs").glob("*.yaml")}


def is_of(run: Evidence, variant: Variant, train: Any) -> bool:
    """Whether all that a row sets is what the run was trained with."""
    asked = {**variant.train, **train}
    return run.model_name == variant.model and all(
        json.loads(json.dumps(dict(some))).items() <= settings.to_dict().items()
        for some, settings in ((variant.model_config, run.model_config), (asked, run.train_config))
    )


@pytest.mark.parametrize("name", SPECS)
def test_kept_runs_are_rows_of_their_spec(name: str) -> None:
    spec = read_spec(SPECS[name])
    assert list(spec.data) == [name]
    for run in read_kept(ROOT / "docs" / "results" / name):
        rows = [one.name for one in spec.variants if is_of(run, one, spec.train)]
        assert len(rows) == 1, f"{run.path.name} is of {rows}"
        assert run.train_config.seed in spec.seeds


def test_each_log_of_the_page_has_a_spec() -> None:
    assert {run.log for run in read_kept(ROOT / "docs" / "results")} <= set(SPECS)
