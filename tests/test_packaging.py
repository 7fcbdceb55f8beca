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
from tools.dependencies import read_lock

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
CONDA_NAMES = {
    "torch": "pytorch",
    "ibis-framework[duckdb]": "ibis-duckdb",
    "kaleido": "python-kaleido",
    "playwright": "playwright-python",
}


NOT_AT_CONDA = "axe-playwright-python"
"""Tests that need it are skipped where it is not."""


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
        wanted += [conda_of(text) for text in requirements if not text.startswith(NOT_AT_CONDA)]
    assert conda_dependencies() == wanted


def test_conda_users_read_about_cpu_and_gpu() -> None:
    text = (ROOT / "environment.yml").read_text()
    torch = next(spec for name, spec in conda_dependencies() if name == "pytorch")
    for build in ("pytorch-cpu", "pytorch-gpu"):
        assert f"#   - {build}{torch} " in text


LOCKS = ("requirements.lock", "requirements-spark.lock", "requirements-cuda.lock")


def locked(*names: str) -> dict[str, str]:
    pins = [pin for name in names for pin in read_lock((ROOT / name).read_text())]
    return {re.sub(r"[-_.]+", "-", pin.name).lower(): pin.version for pin in pins}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_exact_versions_and_nothing_else(name: str) -> None:
    pins = read_lock((ROOT / name).read_text())
    for pin in pins:
        assert re.fullmatch(r"[0-9][0-9a-z.]*", pin.version), pin
        assert pin.hashes or name == "requirements-spark.lock", f"{pin.name} has no hash"
    names = [re.sub(r"[-_.]+", "-", pin.name).lower() for pin in pins]
    assert names == sorted(set(names))
    exact = {"requirements.lock": "torch==2.13.0", "requirements-spark.lock": "pyspark==4.3.0"}
    assert exact.get(name, "triton==3.7.1") in {f"{pin.name}=={pin.version}" for pin in pins}


def test_the_default_build_of_torch_is_for_the_cpu_alone() -> None:
    text = (ROOT / "requirements.lock").read_text()
    cpu, cuda = (read_lock((ROOT / name).read_text()) for name in LOCKS[::2])
    added = {pin.name for pin in cuda} - {pin.name for pin in cpu}
    assert added
    assert all(name.startswith(("nvidia", "cuda", "triton")) for name in added)
    assert [pin for pin in cuda if pin.name not in {*added, "torch"}] == [
        pin for pin in cpu if pin.name != "torch"
    ]
    torch = next(pin for pin in cpu if pin.name == "torch")
    builds = re.findall(r"^#   ([0-9a-f]{64})  torch-(\S+?)-cp(\S+)$", text, flags=re.MULTILINE)
    assert {digest for digest, _, _ in builds} == {*torch.hashes}
    for _, version, build in builds:
        assert version == f"{torch.version}+cpu" or "macosx" in build


def test_locks_name_no_index() -> None:
    for name in LOCKS:
        assert "://" not in (ROOT / name).read_text()


def test_the_list_of_licences_is_of_what_is_locked() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    rows = re.findall(r"^\| (\S+) \| ([0-9]\S*) \|", page, flags=re.MULTILINE)
    cpu, cuda = (read_lock((ROOT / name).read_text()) for name in LOCKS[::2])
    pins = cpu + [pin for pin in cuda if pin.name not in {one.name for one in cpu}]
    assert rows == [(pin.name, pin.version) for pin in pins]
    licences = re.findall(r"^\| \S+ \| [0-9]\S* \| ([^|]+) \|", page, flags=re.MULTILINE)
    assert not {*licences} & {"", "not installed here", "see its files"}


def test_a_line_of_a_lock_is_read_as_it_is_written() -> None:
    pin = read_lock(f"a-b==1.2 ; os_name == 'nt' \\\n    --hash=sha256:{'0' * 64}\n")[0]
    assert pin == ("a-b", "1.2", "os_name == 'nt'", ("0" * 64,))
    assert read_lock(str(pin)) == [pin]
    with pytest.raises(ValueError, match="no line of a lock: 'a>=1'"):
        read_lock("a>=1\n")


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
