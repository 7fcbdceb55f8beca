"""A project of its own, whose notebooks a test writes."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("PROXYSR_HOME", str(tmp_path))
    return tmp_path
