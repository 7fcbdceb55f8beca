"""Command-line options: those that commands share, those of a settings class, and ``--set``."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from proxysr.config import ConfigError, Settings, plain_type


def add_run(parser: argparse.ArgumentParser, *, data: bool = True, compare: bool = False) -> None:
    """Declare ``RUN_DIR`` and, if wanted, ``--data`` and ``--compare``."""
    parser.add_argument("run_dir", metavar="RUN_DIR", help="folder that `proxysr train` wrote")
    if data:
        parser.add_argument("--data", metavar="DATA_DIR", help="the prepared data, if it has moved")
    if compare:
        parser.add_argument("--compare", metavar="RUN_DIR", help="a second run of the same data")


def add_split(parser: argparse.ArgumentParser) -> None:
    """Declare ``--split``: the part of the data."""
    from proxysr.data.sessions import (
        PARTS,
    )  # imports numpy, which the list of commands does not need

    parser.add_argument("--split", choices=PARTS, default="test", help="part of the data [test]")


def add_targets(parser: argparse.ArgumentParser, default_task: str) -> None:
    """Declare ``--split`` and ``--task``.

    Parameters
    ----------
    parser : ArgumentParser
    default_task : str
        The default, in words, for the help.
    """
    from proxysr.data.sessions import Task

    add_split(parser)
    text = f"next unseen item, or any next item [{default_task}]"
    parser.add_argument("--task", choices=get_args(Task), help=text)


def add_settings(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, cls: type[Settings]
) -> None:
    """Declare one option for each field of ``cls``; options not given stay out of the namespace.

    Values stay text: the settings class parses and checks them, so that the command line and
    Python have the same rules.
    """
    for name, field in cls.model_fields.items():
        kind, _ = plain_type(field)
        option: dict[str, Any] = {"metavar": {int: "N", float: "X"}.get(kind, "TEXT")}
        if kind is bool:
            option = {"action": argparse.BooleanOptionalAction}
        elif get_origin(kind) is Literal:
            option = {"metavar": "{" + ",".join(get_args(kind)) + "}"}
        text = f"{_meaning(field)} [{shown(field.default)}]".replace("%", "%%")
        parser.add_argument(
            f"--{name.replace('_', '-')}", dest=name, default=argparse.SUPPRESS, help=text, **option
        )


def given(args: argparse.Namespace, cls: type[Settings]) -> dict[str, Any]:
    """The fields of ``cls`` that were given on the command line."""
    values = vars(args)
    return {name: values[name] for name in cls.model_fields if name in values}


def add_set(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    owner: str,
    where: str = "`proxysr train --help` lists them",
) -> None:
    """Declare ``--set NAME=VALUE …`` for settings of ``owner``; ``where`` says where they are."""
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", dest="assignments",
        help=f"settings of {owner}; {where}",
    )  # fmt: skip


def assigned(assignments: Sequence[str]) -> dict[str, str]:
    """Names and values of ``--set`` as a dict.

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
    """The fields of a settings class with default and description, for ``--help``."""
    paragraphs = []
    for name, field in cls.model_fields.items():
        lines = textwrap.wrap(_meaning(field), width=66) or [""]
        paragraphs.append(f"  {f'{name}={shown(field.default)}':<30}  {lines[0]}")
        paragraphs += [" " * 34 + line for line in lines[1:]]
    return "\n".join(paragraphs) or "  none"


def shown(value: Any) -> str:
    """A default as it is typed on the command line."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").replace("`", "").split())
