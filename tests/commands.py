"""Commands as they are shown in pages and figures, held against the command line and notebooks."""

from __future__ import annotations

import shlex

import pytest

from proxysr.__main__ import parsed
from proxysr.notebooks.parameter_files import read_params
from proxysr.notebooks.parameters import fitting, overridden, sections_of
from proxysr.notebooks.running import chosen_notebooks


def check(command: str) -> None:
    """Fail unless the command is understood, with the parameters of its notebooks and presets."""
    words = shlex.split(command, comments=True)
    if words[:3] == ["python", "-m", "tests.browser.pictures"]:
        pytest.importorskip("playwright")
        from tests.browser.pictures import parser

        parser().parse_args(words[3:])
        return
    assert words[0] == "proxysr", command
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
