"""Commands as they are shown in pages and figures, held against what they call."""

from __future__ import annotations

import itertools
import re
import shlex
import tomllib
from typing import Any

import pytest

from proxysr.__main__ import parsed
from proxysr.notebooks.parameters import (
    fitting,
    overridden,
    parameters_of,
    read_params,
    sections_of,
)
from proxysr.notebooks.running import chosen_notebooks
from tests.conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
INSTALLS = {"uv", "python3", ".", "pip", "conda"}


def check_line(line: str) -> None:
    """Fail unless every command of a line is understood; see :func:`check`."""
    for command in re.split(r" && ", line):
        words = shlex.split(command, comments=True)
        while re.fullmatch(r"[A-Z_]+=\S+", words[0]):  # NAME=VALUE before a command
            words = words[1:]
        check(shlex.join(words))


def check(command: str) -> None:
    """Fail unless the command is understood, with its options, parameters, presets and files."""
    words = shlex.split(command, comments=True)
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :]
    if words[0] == "proxysr":
        _check_own(words)
    elif words[:3] == ["python", "-m", "tests.browser.pictures"]:
        pytest.importorskip("playwright")
        from tests.browser.pictures import parser

        parser().parse_args(words[3:])
    elif words[0] == "python":
        _check_program(words[1:])
    elif words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= {*targets}, command
    elif words[0] == "papermill":
        known = parameters_of(ROOT / words[1])
        asked = {name for flag, name in itertools.pairwise(words) if flag == "-p"}
        assert asked <= {*known}, command
    elif words[0] == "pytest":
        assert all((ROOT / word).exists() for word in words[1:] if not word.startswith("-")), (
            command
        )
    else:
        assert words[0] in INSTALLS, f"no test understands `{command}`"
        extras = re.findall(r"(?:\.|proxysr)\[(\w+)\]", command)
        assert {*extras} <= {*PROJECT["optional-dependencies"]}, command
        files = [word for word in words if word.endswith((".yml", ".toml", ".lock"))]
        assert all((ROOT / file).is_file() for file in files), command


def _check_own(words: list[str]) -> None:
    """Fail unless the command line takes these words, and notebooks and presets are there."""
    module, args = parsed(words[1:])
    assert args.command == words[1]
    if args.command == "notebooks":
        params = read_params(args.params) if args.params else {}
        sections = sections_of(params)
        names = args.names or (list(sections) if len(sections) == len(params) else [])
        sets = dict(text.split("=", 1) for text in args.assignments)
        others = [path.stem for path in chosen_notebooks(None)]
        fitting(chosen_notebooks(names), overridden(params, sets), others)
    if args.command == "train" and args.preset:
        assert args.preset in module.PRESETS


def _check_program(words: list[str]) -> None:
    """Fail unless a program of the project is there and knows the options."""
    name = f"{words[1].replace('.', '/')}.py" if words[0] == "-m" else words[0]
    source = (ROOT / name).read_text()
    for option in (word for word in words if word.startswith("--")):
        assert f'"{option}"' in source, f"{name} has no {option}"
