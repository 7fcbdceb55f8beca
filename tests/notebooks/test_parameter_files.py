"""Parameter files fit the notebooks they are for; sections are for one notebook."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxysr import paths
from proxysr.config import ConfigError
from proxysr.experiments import model_variants
from proxysr.experiments.presets import PRESETS
from proxysr.notebooks import parameters
from proxysr.notebooks.parameters import (
    about,
    fitting,
    overridden,
    parameters_of,
    read_params,
    sections_of,
    shipped,
)
from proxysr.notebooks.running import chosen_notebooks
from proxysr.paper.printed import DATASETS
from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FILES = sorted(shipped())
A, B = Path("01_a.ipynb"), Path("02_b.ipynb")
NAMES = {A: ("k", "both"), B: ("z", "both")}


@pytest.mark.parametrize("name", FILES)
def test_files_that_come_with_proxysr_fit_the_notebooks(name: str) -> None:
    params = read_params(name)
    sections = sections_of(params)
    assert sections.keys() == params.keys(), "00 writes to the data_dir that others read"
    fits = fitting(chosen_notebooks(list(sections)) if sections else [], params)
    assert {notebook.stem: values for notebook, values in fits.items()} == sections
    for notebook, values in fits.items():
        declared = parameters_of(notebook)
        for key in values:
            if ast.literal_eval(declared[key]["default"]) in PRESETS:
                assert values[key] in PRESETS, f"{key} of {notebook.stem}"
            if key.endswith("_dir"):
                assert paths.placed(values[key]) != values[key], "no folder of the caller is meant"
        if "models" in values:
            assert model_variants(values["models"], values["presets"])
            assert values["published"] in DATASETS


def test_each_says_what_it_is_and_comes_with_the_package() -> None:
    assert {"small", "full-diginetica", "full-retailrocket", "full-lastfm1k"} <= {*FILES}
    for path in shipped().values():
        assert path.read_text().startswith("# "), path
        assert len(about(path)) > 20
    assert '"notebooks/parameter_files/*.yaml"' in (ROOT / "pyproject.toml").read_text()


def test_small_is_the_defaults() -> None:
    assert read_params("small") == {}, "the defaults of every notebook are its small run"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_has_a_full_run(path: Path) -> None:
    files = [name for name in FILES if name.startswith("full-")]
    having = [name for name in files if path.stem in read_params(name)]
    assert having, f"give {path.stem} a section in one of {', '.join(files)}"


def literal(notebook: Path, params: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for name in NAMES[notebook]:
        if name in params:
            values[name] = params[name]
        if name in params.get(notebook.stem, {}):
            values[name] = params[notebook.stem][name]
    return values


def some(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), st.integers(0, 9))


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two notebooks with whole numbers as parameters, one of which they share."""

    def known(notebook: Path) -> dict[str, Any]:
        return {n: {"name": n, "inferred_type_name": "int"} for n in NAMES[notebook]}

    monkeypatch.setattr(parameters, "parameters_of", known)


@pytest.mark.usefixtures("declared")
def test_sections_win_over_the_rest_and_overrides_over_all() -> None:
    @given(some("k", "z", "both"), some("k", "both"), some("z", "both"), some("k", "z", "both"))
    def check(common: dict[str, Any], a: dict[str, Any], b: dict[str, Any], by: Any) -> None:
        params = common | {"01_a": a, "02_b": b}
        assert fitting([A, B], params) == {path: literal(path, params) for path in (A, B)}
        after = fitting([A, B], overridden(params, by))
        for path in (A, B):
            ours = {name: by[name] for name in NAMES[path] if name in by}
            assert after[path] == literal(path, params) | ours

    check()


@pytest.mark.usefixtures("declared")
def test_sections_of_notebooks_that_do_not_run_are_left_alone() -> None:
    params = {"01_a": {"k": 1}, "02_b": {"anything": 1}}
    assert fitting([A], params, others=["02_b"]) == {A: {"k": 1}}


@pytest.mark.usefixtures("declared")
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"01_aa": {"k": 1}}, "'01_aa' is not a known notebook. Did you mean '01_a'"),
        ({"01_a": {"z": 1}}, "'z' is not a known parameter of 01_a. Known: both, k"),
        ({"bot": 1}, "'bot' is not a known parameter of 01_a, 02_b. Did you mean 'both'"),
        ({"02_b": {"both": "x"}}, "both is a whole number; received 'x'"),
    ],
)
def test_what_fits_no_notebook_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fitting([A, B], params)


def test_a_name_goes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small").write_text("k: 1")
    assert read_params("small") == {}
    assert read_params("./small") == {"k": 1}
    assert read_params(tmp_path / "small") == {"k": 1}
    with pytest.raises(ConfigError, match="absent.yaml is no file, and no parameters of that name"):
        read_params("absent.yaml")


def test_folders_of_data_and_runs_are_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXYSR_DATA", "/srv/data")
    monkeypatch.setenv("PROXYSR_RUNS", "/srv/runs")
    assert paths.placed("$PROXYSR_DATA/shop") == "/srv/data/shop"
    assert paths.placed("$PROXYSR_RUNS") == "/srv/runs"
    assert paths.placed("$PROXYSR_DATABASE") == "$PROXYSR_DATABASE"
    assert paths.placed("x/$PROXYSR_DATA") == "x/$PROXYSR_DATA"
    monkeypatch.delenv("PROXYSR_DATA")
    monkeypatch.setenv("PROXYSR_HOME", str(tmp_path))
    assert paths.placed("$PROXYSR_DATA/shop") == f"{tmp_path}/data/shop"
