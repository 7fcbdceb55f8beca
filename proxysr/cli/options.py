"""Command-line options made from the fields of a settings class, and ``--set``."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from proxysr.config import ConfigError, Settings, plain_type


def formatter(prog: str) -> argparse.HelpFormatter:
    """Help as wide as the code, with its paragraphs left alone."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=100)


def add_targets(parser: argparse.ArgumentParser, default_task: str) -> None:
    """``--split`` and ``--task``: which targets are meant.

    Parameters
    ----------
    parser : ArgumentParser
    default_task : str
        Whose task it is if none is named, for the help.
    """
    from proxysr.data.sessions import PARTS, Task  # numpy, which the list of commands does without

    parser.add_argument("--split", choices=PARTS, default="test", help="part of the data [test]")
    parser.add_argument(
        "--task",
        choices=get_args(Task),
        help=f"next unseen item, or any next item [{default_task}]",
    )


def add_settings(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, cls: type[Settings]
) -> None:
    """One option for each field of ``cls``; what is not given stays out of the namespace.

    Values are left as text: the settings class parses and checks them, so that a run from
    the command line and one from Python are refused for the same reasons.
    """
    for name, field in cls.model_fields.items():
        hint, _ = plain_type(field)
        option = "--" + name.replace("_", "-")
        doc = _meaning(field).replace("%", "%%")
        common: dict[str, Any] = {
            "dest": name,
            "default": argparse.SUPPRESS,
            "help": f"{doc} [{shown(field.default)}]",
        }
        if hint is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, **common)
        elif get_origin(hint) is Literal:
            parser.add_argument(option, metavar="{" + ",".join(get_args(hint)) + "}", **common)
        else:
            parser.add_argument(option, metavar={int: "N", float: "X"}.get(hint, "TEXT"), **common)


def given(args: argparse.Namespace, cls: type[Settings]) -> dict[str, Any]:
    """The fields of ``cls`` that the command line names."""
    named = vars(args)
    return {name: named[name] for name in cls.model_fields if name in named}


def add_set(parser: argparse.ArgumentParser | argparse._ArgumentGroup, what: str) -> None:
    """``--set NAME=VALUE …``."""
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        dest="assignments",
        help=f"settings of {what}, listed below",
    )


def assigned(assignments: Sequence[str]) -> dict[str, str]:
    """The names and values of ``--set``.

    Raises
    ------
    ConfigError
        If one is not of the form NAME=VALUE, or a name occurs twice.
    """
    values: dict[str, str] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"--set takes NAME=VALUE, such as n_proxies=100; received {text!r}.")
        if name in values:
            raise ConfigError(f"--set names {name} twice: {values[name]!r} and {value!r}.")
        values[name] = value
    return values


def settings_help(cls: type[Settings]) -> str:
    """The fields of a settings class with defaults and meaning, for ``--help``."""
    paragraphs = []
    for name, field in cls.model_fields.items():
        lines = textwrap.wrap(_meaning(field), width=66) or [""]
        paragraphs.append(f"  {f'{name}={shown(field.default)}':<30}  {lines[0]}")
        paragraphs += [" " * 34 + line for line in lines[1:]]
    return "\n".join(paragraphs) or "  none"


def shown(value: Any) -> str:
    """A default as one would type it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").replace("`", "").split())
