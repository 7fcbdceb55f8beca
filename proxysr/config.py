"""Settings: one class for each group of options, checked by pydantic, with plain error messages.

How to prepare data, a model's hyper-parameters, how to train: each is a subclass of
:class:`Settings`. A field is declared once, with its type, range, default and docstring; the
command line, YAML and JSON files and Python all go through that declaration.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Mapping
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticKnownError

Count = Annotated[int, Field(ge=1)]
"""A whole number from 1 on."""
Whole = Annotated[int, Field(ge=0)]
"""A whole number from 0 on."""
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
AtLeastOne = Annotated[float, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
"""From 0 to below 1, such as a dropout rate."""
Part = Annotated[float, Field(ge=0, le=1)]
"""From 0 to 1."""
LARGEST = 2**63 - 1
"""Largest whole number."""


class ConfigError(ValueError):
    """A setting that does not exist, has the wrong type or is out of range."""


class Settings(BaseModel):
    """Base of every class of options: typed, in range, frozen, and plain data on request."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_sentence(error.errors()[0], type(self))) from None
        self.check()

    def check(self) -> None:
        """Check rules between fields; raise :class:`ConfigError`."""

    @field_validator("*", mode="before")
    @classmethod
    def _as_typed(cls, value: Any, info: Any) -> Any:
        """Convert text to a list or None; refuse a boolean for a number and a number for one."""
        kind, optional = plain_type(cls.model_fields[info.field_name])
        if optional and value in (None, "none", "None"):
            return None
        if get_origin(kind) is tuple and isinstance(value, str):
            return value.split(",") if value else ()
        if (isinstance(value, bool) and kind in (int, float)) or (
            kind is bool and not isinstance(value, bool | str)
        ):
            raise ValueError("another type")
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _in_64_bits(cls, value: Any) -> Any:
        """Refuse whole numbers that neither PyTorch nor a database can hold."""
        if isinstance(value, int) and value > LARGEST:
            raise PydanticKnownError("less_than_equal", {"le": LARGEST})
        return value

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from plain data; an unknown key is an error that names its nearest match."""
        return cls(**{str(name): value for name, value in values.items()})  # YAML has numbers, too

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-ready values; ``from_dict`` reverses it."""
        return self.model_dump(mode="json")

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed (checked as at construction)."""
        return self.from_dict(self.to_dict() | changes)


def plain_type(field: FieldInfo) -> tuple[Any, bool]:
    """The type of a field without its range and without None, and whether None is allowed."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    optional = NoneType in get_args(field.annotation)
    kind = kinds[0] if optional else field.annotation
    return (get_args(kind)[0] if get_origin(kind) is Annotated else kind), optional


def coerce(value: Any, kind: Any, name: str) -> Any:
    """``value`` converted as for a field ``name`` of this type; text is parsed.

    Raises
    ------
    ConfigError
        If the value cannot be that type without losing information.
    """
    return getattr(_only(name, kind)(**{name: value}), name)


@cache
def _only(name: str, kind: Any) -> type[Settings]:
    """A settings class with one field."""
    fields: Any = {name: (kind, ...)}
    return create_model("Value", __base__=Settings, **fields)


def unknown(name: str, known: Iterable[str], what: str) -> str:
    """One sentence for a misspelt name: what was received, the nearest match, what is allowed."""
    known = sorted(known)
    hint = nearest(name, known)
    return f"{name!r} is not a known {what}.{hint} Known: {', '.join(known) or 'none'}."


def nearest(name: str, known: Iterable[str]) -> str:
    """The question "Did you mean …?" with the nearest match of a misspelt name, or "".

    Capital letters are taken for small ones.
    """
    folded = name.casefold()

    def similarity(candidate: str) -> tuple[float, int]:
        """Ratio of equal letters; ties (--item, --time for --itme) go to the longer equal start."""
        ratio = difflib.SequenceMatcher(None, candidate.casefold(), folded).ratio()
        pairs = zip(candidate.casefold(), folded, strict=False)
        return ratio, len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))

    known = list(known)
    near = difflib.get_close_matches(folded, [candidate.casefold() for candidate in known])
    matches = [candidate for candidate in known if candidate.casefold() in near]
    return f" Did you mean {max(matches, key=similarity)!r}?" if matches else ""


def require(ok: bool, message: str) -> None:
    """Raise :class:`ConfigError` with ``message`` unless ``ok``."""
    if not ok:
        raise ConfigError(message)


def require_kind(value: object, kind: type, what: str, such_as: str) -> None:
    """Raise :class:`ConfigError` unless ``value`` is of that class; ``such_as`` is an example.

    >>> require_kind({}, Settings, "config", "Settings()")
    Traceback (most recent call last):
    proxysr.config.ConfigError: config is of Settings, such as Settings(); received one of dict.
    """
    received = type(value).__name__
    require(
        isinstance(value, kind),
        f"{what} is of {kind.__name__}, such as {such_as}; received one of {received}.",
    )


def _sentence(error: ErrorDetails, cls: type[Settings]) -> str:
    """The message for the first error: what was wrong, what was received and what is allowed."""
    name, received = str(error["loc"][0]), error["input"]
    if error["type"] == "extra_forbidden":
        return unknown(name, cls.model_fields, f"option of {cls.__qualname__}")
    kind, _ = plain_type(cls.model_fields[name])
    if get_origin(kind) is Literal:
        allowed = ", ".join(map(repr, get_args(kind)))
        hint = nearest(str(received), map(str, get_args(kind)))
        return f"{name} is one of {allowed}; received {received!r}.{hint}"
    bounds = _bounds(cls.model_fields[name], error)
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    if get_origin(kind) is dict:
        return f"{name} is a mapping of names to values; received {received!r}."
    if not bounds and get_origin(kind) is tuple:
        kind = get_args(kind)[0] if len(error["loc"]) > 1 else tuple
    shown = repr(received)
    if bounds:
        shown = str(float(received) if kind is float else received)
    return f"{name} is {bounds or words.get(kind, 'a list')}; received {shown}."


def _bounds(field: FieldInfo, error: ErrorDetails) -> str:
    """The range that a number violates, in words; "" if the value is not a number."""
    if not error["type"].startswith(("greater", "less")):
        return ""
    limits: dict[str, Any] = dict(error.get("ctx", {}))
    for limit in field.metadata:  # both ends, whichever was passed
        limits |= {e: getattr(limit, e) for e in ("ge", "gt", "le", "lt") if hasattr(limit, e)}
    if len(limits) == 2:
        low = f"[{limits['ge']:g}" if "ge" in limits else f"({limits['gt']:g}"
        high = f"{limits['le']:g}]" if "le" in limits else f"{limits['lt']:g})"
        return f"in {low}, {high}"
    [(end, limit)] = limits.items()
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    by_zero = {("ge", 0): "not negative", ("gt", 0): "positive"}
    return by_zero.get((end, limit), f"{words[end]} {limit:g}")
