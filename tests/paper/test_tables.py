"""The runs of each table, as specs: what is judged how, and which settings a model has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxysr.config import ConfigError
from proxysr.experiments import Spec, Variant
from proxysr.experiments.presets import preset
from proxysr.experiments.running import Cell, Results
from proxysr.paper import tables
from tests.paper.test_paper_command import data as data  # a fixture


def test_all_models_of_a_table_are_judged_after_as_many_clicks() -> None:
    """The preset of the paper's ProxySR is judged after three: that is of Diginetica."""
    request = tables.Request(Path("data"), Path("runs"))
    spec = request.spec(request.variants("proxysr,cooccurrence"))
    assert spec.train["valid_min_prefix"] == 1
    asked = replace(request, train={"valid_min_prefix": 3})
    assert asked.spec([asked.proxysr]).train == {"valid_min_prefix": 3}
    third = replace(request, presets="third")
    assert third.spec(third.variants("proxysr,popularity")).train == {"valid_min_prefix": 3}
    assert replace(third, train={"valid_min_prefix": 2}).options == {"valid_min_prefix": 2}
    assert replace(request, presets="small").options == {"valid_min_prefix": 1}


@pytest.mark.parametrize(
    ("table", "presets", "at_defaults"),
    [
        ("table6", "third", ["hrnn"]),
        ("table6", "online-retail", []),
        ("table6", "small", []),
        ("figure4", "online-retail", ["gcegnn", "mean"]),
        ("figure4", "third", []),
    ],
)
def test_models_beside_proxysr_have_defaults_where_a_preset_is_missing(
    table: str, presets: str, at_defaults: list[str], data: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """And it is said before the runs begin, none of which is made here."""
    specs: list[Spec] = []

    def noted(spec: Spec, *args: Any, **options: Any) -> Results:
        specs.append(spec)
        cell = Cell("d", data, spec.variants[0], "unseen", 0, "test", (), hole="not made")
        return Results([cell])

    monkeypatch.setattr(tables, "run_spec", noted)
    request = tables.Request(data, tmp_path, presets=presets)
    assert tables.run_table(table, request).holes
    written = capsys.readouterr().err
    assert written.splitlines() == [
        f"{model} has its defaults: there is no preset '{model}-{presets}'."
        for model in at_defaults
    ]
    for variant in (variant for spec in specs for variant in spec.variants):
        lacks = variant.model in at_defaults
        expected = {} if lacks else preset(f"{variant.model}-{presets}").model_config
        assert variant.model_config == expected
    for model in at_defaults:
        assert request.beside(model) == Variant(model, model)
    with pytest.raises(ConfigError, match="'proxysr-smal' is not a known preset"):
        tables.run_table(table, replace(request, presets="smal"))
