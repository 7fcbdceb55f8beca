from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxysr.explorer import ProxyExplorer
from proxysr.explorer.scene import Scene
from proxysr.run import RunDir
from tests.explorer.small import run_of, view_of
from tests.explorer.standin import hostile_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return run_of(tmp_path_factory.mktemp("explorer"))


@pytest.fixture(scope="session")
def view(run: RunDir) -> Any:
    return view_of(run)


@pytest.fixture(scope="session")
def scene(view: Any) -> Scene:
    return Scene(view)


@pytest.fixture
def explorer(view: Any) -> ProxyExplorer:
    return ProxyExplorer(view)


@pytest.fixture(scope="session")
def hostile_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose titles, ids and labels are markup; not to be changed."""
    return hostile_run(tmp_path_factory.mktemp("hostile"))
