"""Data of the tests of tuning."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.small import cycles, split_of


@pytest.fixture(scope="session")
def tune_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    split = split_of(cycles(40, seed=1), cycles(15, seed=2), cycles(15, seed=3))
    return split.save(tmp_path_factory.mktemp("tuning") / "split")
