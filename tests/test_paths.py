"""The same folders whatever folder a tool was started from."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxysr import paths
from tests.conftest import ROOT


@pytest.mark.parametrize("start", ["", "notebooks", "tests/data"])
def test_the_checkout_is_found_from_inside(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXYSR_HOME", raising=False)
    monkeypatch.chdir(ROOT / start)
    assert paths.project_root() == ROOT
    assert paths.notebooks() == ROOT / "notebooks"
    assert paths.figures() == ROOT / "figures"


def test_the_checkout_of_the_package_is_found_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROXYSR_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert paths.project_root() == ROOT


def test_another_checkout_wins_where_one_stands_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROXYSR_HOME", raising=False)
    inside = tmp_path / "notebooks" / "deeper"
    inside.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(inside)
    assert paths.project_root() == tmp_path


def test_an_installed_package_falls_back_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROXYSR_HOME", raising=False)
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "site" / "proxysr" / "paths.py"))
    monkeypatch.chdir(tmp_path)
    assert paths.project_root() == tmp_path


def test_environment_variables_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYSR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PROXYSR_RUNS", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PROXYSR_CACHE", str(tmp_path / "cache"))
    assert paths.notebooks() == tmp_path / "home" / "notebooks"
    assert paths.runs() == tmp_path / "elsewhere"
    assert paths.cache() == tmp_path / "cache"


def test_defaults_of_runs_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYSR_HOME", str(tmp_path))
    monkeypatch.delenv("PROXYSR_RUNS", raising=False)
    monkeypatch.delenv("PROXYSR_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert paths.runs() == tmp_path / "runs"
    assert paths.cache() == tmp_path / "xdg" / "proxysr"
