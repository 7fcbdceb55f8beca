"""Settings: frozen dataclasses that refuse what they don't know.

Every group of options in the project (how to prepare data, a model's
hyper-parameters, how to train) is a subclass of :class:`Settings`. A field is
declared once, with its type, default and docstring; the command line, the
notebooks and the JSON files of a run are all derived from that declaration.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import itertools
import math
import textwrap
import types
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints


class ConfigError(ValueError):
    """A setting that does not exist, has the wrong type or is out of range."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every options class: typed, checked, and plain data on request."""

    def __post_init__(self) -> None:
        hints = field_types(type(self))
        for field in dataclasses.fields(self):
            value = coerce(getattr(self, field.name), hints[field.name], field.name)
            object.__setattr__(self, field.name, value)
        self.check()

    def check(self) -> None:
        """Check ranges and rules between fields; raise :class:`ConfigError`."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from plain data; an unknown key is an error that names its nearest match."""
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise ConfigError(unknown(key, known, "option of " + cls.__qualname__))
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-ready values; ``from_dict`` reverses it."""
        plain = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed (checked as at construction)."""
        return self.from_dict(self.to_dict() | changes)


def unknown(name: str, known: Iterable[str], what: str) -> str:
    """One sentence for a misspelt name: what was received, the nearest match, what is allowed."""
    known = sorted(known)
    hint = nearest(name, known)
    return f"{name!r} is not a known {what}.{hint} Known: {', '.join(known) or 'none'}."


def nearest(name: str, known: Iterable[str]) -> str:
    """A question after the nearest match of a misspelt name, or nothing if none is near."""

    def likeness(other: str) -> tuple[float, int]:
        """Of two that are as near, such as --item and --time to --itme, the one begun alike."""
        ratio = difflib.SequenceMatcher(None, other, name).ratio()
        alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(other, name, strict=False))
        return ratio, len(list(alike))

    near = difflib.get_close_matches(name, list(known))
    return f" Did you mean {max(near, key=likeness)!r}?" if near else ""


def require(ok: bool, message: str) -> None:
    """Raise :class:`ConfigError` with ``message`` unless ``ok``."""
    if not ok:
        raise ConfigError(message)


def field_types(cls: type) -> dict[str, Any]:
    """Resolved annotations of a settings class."""
    return get_type_hints(cls)


def field_docs(cls: type) -> dict[str, str]:
    """The docstring under each field, for ``--help`` and tables; bases included."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        body = tree.body[0]
        assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class is a class
        for field, doc in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(doc, ast.Expr)
                and isinstance(doc.value, ast.Constant)
            ):
                docs[field.target.id] = " ".join(str(doc.value.value).split())
    return docs


def coerce(value: Any, hint: Any, name: str) -> Any:
    """``value`` as the annotated type of field ``name``; text (from a command line) is parsed.

    Raises
    ------
    ConfigError
        If the value cannot be that type without losing information.
    """
    origin = get_origin(hint)
    if origin is Literal:
        if value in get_args(hint):
            return value
        allowed = ", ".join(map(repr, get_args(hint)))
        hint = nearest(str(value), get_args(hint))
        raise ConfigError(f"{name} is one of {allowed}; received {value!r}.{hint}")
    if origin in (Union, types.UnionType):
        if value is None or value in ("none", "None"):
            return None
        inner = next(arg for arg in get_args(hint) if arg is not types.NoneType)
        return coerce(value, inner, name)
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, Iterable):
            raise ConfigError(f"{name} is a list; received {value!r}.")
        return tuple(coerce(part, get_args(hint)[0], name) for part in parts)
    if hint is bool:
        return _as_bool(value, name)
    if hint is int or hint is float:
        return _as_number(value, hint, name)
    if not isinstance(value, hint):
        raise ConfigError(f"{name} is a {hint.__name__}; received {value!r}.")
    return value


def _as_bool(value: Any, name: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ConfigError(f"{name} is true or false; received {value!r}.")


def _as_number(value: Any, kind: type[int] | type[float], name: str) -> int | float:
    word = "a whole number" if kind is int else "a number"
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    # int("3") is welcome, int(2.5) would lose a half, and True is not the number 1
    if number is None or isinstance(value, bool) or not math.isfinite(number):
        raise ConfigError(f"{name} is {word}; received {value!r}.")
    if not isinstance(value, str) and number != value:
        raise ConfigError(f"{name} is {word}; received {value!r}.")
    return number
