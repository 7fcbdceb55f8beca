"""Every picture of the project says which command made it, and the command is understood."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from proxysr.files import read_json
from tests.commands import check
from tests.conftest import ROOT
from tools.figures import NEEDED, recipes, started_as

FIGURES = ROOT / "figures"
PICTURES = sorted(FIGURES.glob("*/*.png"))
COMMANDS = sorted(recipes(FIGURES))


def test_every_picture_has_its_json_and_every_json_its_picture() -> None:
    assert PICTURES
    # figures that notebooks wrote here lie in no folder
    tables = set(FIGURES.glob("benchmarks/*.json"))
    assert {path.with_suffix(".json") for path in PICTURES} ^ set(
        FIGURES.glob("*/*.json")
    ) <= tables
    for path in PICTURES:
        about = read_json(path.with_suffix(".json"))
        assert about["name"] == path.stem
        assert path.name in about["files"]
        assert about["settings"]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_figures_are_understood(command: str, tmp_path: Path) -> None:
    check(command)
    words, _ = started_as(command, tmp_path)
    assert words[-1] == str(tmp_path)
    assert re.sub(NEEDED, "", command).count("$") == 0
    assert not re.search(r"(_dir=|run |\s)(/|\.\.|data/|runs/)", command), (
        "as $PROXYSR_… it is found"
    )


def test_some_figures_need_no_data() -> None:
    assert any(not NEEDED.search(command) for command in COMMANDS)


def test_make_figures_hands_folders_on() -> None:
    words = ["make", "-C", str(ROOT), "-n", "-o", ".venv/.ready", "figures", "DATA=/d d", "RUNS=/r"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 'PROXYSR_DATA="/d d" PROXYSR_RUNS="/r" .venv/bin/python -m tools.f' in done.stdout
