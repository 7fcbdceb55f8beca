"""pyproject.toml, environment.yml, requirements.lock, CITATION.cff and CHANGELOG.md agree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from tests.conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
CONDA_NAMES = {
    "torch": "pytorch",
    "ibis-framework[duckdb]": "ibis-duckdb",
    "kaleido": "python-kaleido",
    "playwright": "playwright-python",
}


def conda_of(text: str) -> tuple[str, str]:
    """What a requirement of pyproject.toml is called at conda-forge, and its bound."""
    requirement = Requirement(text)
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    name = requirement.name + extras
    return CONDA_NAMES.get(name, name).lower(), str(requirement.specifier)


def conda_dependencies() -> list[tuple[str, str]]:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    found = [re.fullmatch(r"([a-z0-9-]+)(>=[0-9.]+)?", d) for d in environment["dependencies"]]
    assert all(found), "each dependency is a name and at most a lower bound"
    return [(match[1], match[2] or "") for match in found if match]


def test_conda_users_get_the_same_packages() -> None:
    wanted = [("python", PROJECT["requires-python"]), ("pip", "")]
    extras = [EXTRAS[name] for name in EXTRAS if name != "spark"]  # large, and only for clusters
    for requirements in (PROJECT["dependencies"], *extras):
        wanted += map(conda_of, requirements)
    assert conda_dependencies() == wanted


def test_conda_users_read_about_cpu_and_gpu() -> None:
    text = (ROOT / "environment.yml").read_text()
    torch = next(spec for name, spec in conda_dependencies() if name == "pytorch")
    for build in ("pytorch-cpu", "pytorch-gpu"):
        assert f"#   - {build}{torch} " in text


LOCKS = ("requirements.lock", "requirements-spark.lock")


def locked(*names: str) -> dict[str, str]:
    lines = [line for name in names for line in (ROOT / name).read_text().splitlines()]
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_exact_versions_and_nothing_else(name: str) -> None:
    lines = (ROOT / name).read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    for line in pins:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9a-z.]*", line), line
    assert pins == sorted(pins, key=str.lower)
    assert len(locked(name)) == len(pins)
    assert {"requirements.lock": "torch==2.13.0"}.get(name, "pyspark==4.3.0") in pins


@pytest.mark.parametrize("extra", [None, *EXTRAS])
def test_the_lock_satisfies_pyproject(extra: str | None) -> None:
    pins = locked(*LOCKS)
    for text in PROJECT["dependencies"] if extra is None else EXTRAS[extra]:
        requirement = Requirement(text)
        version = pins[re.sub(r"[-_.]+", "-", requirement.name).lower()]
        assert requirement.specifier.contains(version), f"{text}: locked at {version}"


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["preferred-citation"]["doi"] == "10.1145/3404835.3462958"
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert "proxysr contributors" in (ROOT / "LICENSE").read_text()


def test_a_wheel_has_all_that_the_package_reads(tmp_path: Path) -> None:
    source = tmp_path / "source"
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "proxysr", source / "proxysr", ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    words = "-m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w"
    command = [sys.executable, *words.split(), str(tmp_path), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("proxysr/")}
    files = (path for path in (ROOT / "proxysr").rglob("*") if path.is_file())
    wanted = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert packed == wanted


def test_the_demo_needs_no_extra() -> None:
    core = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert {"plotly", "openTSNE", "scikit-learn", "scipy"} <= core, "the page is made of it"
