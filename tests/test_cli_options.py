"""Options made from settings, and tables as the command line shows them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import pytest

from proxysr.cli.answer import table
from proxysr.cli.options import add_settings, given
from proxysr.config import Settings


@dataclass(frozen=True, kw_only=True)
class Everything(Settings):
    """Every kind of field that becomes an option."""

    count: int | None = None
    """Per cent: 100%."""
    kind: Literal["a", "b"] = "a"
    """A choice."""
    loud: bool = False
    """A switch."""
    sizes: tuple[int, ...] = (1, 2)
    """A ``list``."""


def test_options_come_from_fields(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser(prog="x")
    add_settings(parser, Everything)
    assert given(parser.parse_args([]), Everything) == {}
    args = parser.parse_args(["--count", "3", "--kind", "b", "--loud", "--sizes", "4,5"])
    config = Everything.from_dict(given(args, Everything))
    assert config == Everything(count=3, kind="b", loud=True, sizes=(4, 5))
    assert given(parser.parse_args(["--no-loud"]), Everything) == {"loud": False}
    page = " ".join(parser.format_help().split())
    assert "--count N Per cent: 100%. [none]" in page
    assert "--kind {a,b} A choice. [a]" in page
    assert "A list. [1,2]" in page


def test_tables_are_aligned() -> None:
    frame = pd.DataFrame(
        {"step": ["read", "kept"], "n": pd.array([12345, None], "Int64"), "share": [0.5, 0.25]}
    )
    assert table(frame).splitlines() == [
        "step       n   share",
        "read  12,345  0.5000",
        "kept       –  0.2500",
    ]
