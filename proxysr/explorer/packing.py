"""Packs a tree of plain values and arrays as JSON and one block of bytes, for a browser.

Each array becomes ``{"$": dtype, "at": offset, "n": shape}``; its data are in the block at that
offset, little endian, aligned to 8 bytes, so that the page reads it without copying. Everything
else stays JSON; numbers that are not finite become null. In arrays, NaN stays NaN.

>>> header, blob = pack({"n": 2, "xy": np.zeros((2, 2), np.float32)})
>>> header, len(blob)
({'n': 2, 'xy': {'$': 'f4', 'at': 0, 'n': [2, 2]}}, 16)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from proxysr.config import ConfigError, require

KINDS = ("f4", "f8", "i1", "i2", "i4", "u1", "u2", "u4")
"""Types of arrays that a browser has, by NumPy's short names."""
ALIGNED = 8
MARK = "$"


def pack(tree: Any) -> tuple[Any, bytes]:
    """A tree of dicts, lists, texts, numbers and arrays as (JSON value, bytes).

    Raises
    ------
    ConfigError
        If it holds anything else, or an array of a type that browsers lack.
    """
    parts: list[bytes] = []
    header = _packed(tree, parts, [0])
    return header, b"".join(parts)


def _packed(value: Any, parts: list[bytes], end: list[int]) -> Any:
    if isinstance(value, np.ndarray):
        kind = value.dtype.kind + str(value.dtype.itemsize)
        require(
            kind in KINDS,
            f"Arrays are of {', '.join(KINDS)}; received one of {value.dtype}. Convert it before.",
        )
        data = np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes()
        entry = {MARK: kind, "at": end[0], "n": list(value.shape)}
        data += bytes(-len(data) % ALIGNED)
        parts.append(data)
        end[0] += len(data)
        return entry
    if isinstance(value, Mapping):
        require(
            MARK not in value and all(isinstance(name, str) for name in value),
            f"Names in a payload are texts other than {MARK!r}; received {list(value)[:5]}.",
        )
        return {name: _packed(inner, parts, end) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(inner, parts, end) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    raise ConfigError(f"A payload holds plain values and arrays; received a {type(value)}.")
