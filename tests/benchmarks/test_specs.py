"""The specs of the page of results: each can be read, and each kept run is of one of their rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxysr.experiments.presets import ABLATIONS
from proxysr.experiments.spec import Variant, read_spec
from proxysr.models import MODELS
from proxysr.paper.evidence import Evidence
from proxysr.paper.kept import read_kept
from proxysr.paper.tables import PROXIES
from proxysr.training import TrainConfig

ROOT = Path(__file__).parents[2]
SPECS = {path.stem: path for path in (ROOT / "benchmarks" / "specs").glob("*.yaml")}
OF_PROXYSR: list[dict[str, Any]] = [*ABLATIONS.values(), *({"n_proxies": k} for k in PROXIES)]
"""What Table 5 and Figure 3 change in the row of ProxySR."""


def variants_of(row: Variant) -> list[Variant]:
    """The row itself; of ProxySR, also those of Table 5 and Figure 3."""
    changes = OF_PROXYSR if row.model == "proxysr" else []
    return [row, *(row.changed(row.name, **change) for change in changes)]


def is_of(run: Evidence, variant: Variant, train: Any) -> bool:
    """Whether all that a row sets, or leaves to the model, is what the run was trained with."""
    if run.model_name != variant.model:
        return False
    by_model = TrainConfig().resolved(MODELS[variant.model], run.model_config)
    asked = {"averaging": by_model.averaging, **variant.train, **train}
    return all(
        json.loads(json.dumps(dict(some))).items() <= settings.to_dict().items()
        for some, settings in ((variant.model_config, run.model_config), (asked, run.train_config))
    )


@pytest.mark.parametrize("name", SPECS)
def test_kept_runs_are_rows_of_their_spec(name: str) -> None:
    spec = read_spec(SPECS[name])
    assert list(spec.data) == [name]
    for run in read_kept(ROOT / "docs" / "results" / name):
        rows = [
            row.name
            for row in spec.variants
            if any(is_of(run, one, spec.train) for one in variants_of(row))
        ]
        assert len(rows) == 1, f"{run.path.name} is of {rows}"
        assert run.train_config.seed in spec.seeds


def test_each_log_of_the_page_has_a_spec() -> None:
    assert {run.log for run in read_kept(ROOT / "docs" / "results")} <= set(SPECS)
