"""What a benchmark leaves tells the machine, the command and ratios."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.record import record
from proxysr.files import read_json


def test_one_file_tells_machine_versions_command_and_ratios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["x.py", "data/shop", "--steps", "3"])
    path = record(
        "some_speed", tmp_path / "new", settings={"out": tmp_path}, result=[1], ratios={"a": 0.5}
    )
    about = read_json(path)
    assert path == tmp_path / "new" / "some_speed.json"
    assert about["command"] == "python -m benchmarks.some_speed data/shop --steps 3"
    assert about["settings"] == {"out": tmp_path.name}, "folders above are nobody's business"
    assert (about["ratios"], about["result"]) == ({"a": 0.5}, [1])
    assert {"cpu", "cores", "threads"} <= set(about["machine"])
    assert {"python", "torch", "proxysr"} <= set(about["versions"])
    assert about["date"][:2] == "20"
