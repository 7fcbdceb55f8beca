"""The page's ``unpack`` in Python: the tree from the two parts that ``pack`` makes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from proxysr.explorer.packing import MARK


def unpack(header: Any, blob: bytes) -> Any:
    """Arrays are read-only; it is a ``ValueError`` if one exceeds the bytes."""
    if isinstance(header, list):
        return [unpack(value, blob) for value in header]
    if not isinstance(header, Mapping):
        return header
    if MARK not in header:
        return {name: unpack(value, blob) for name, value in header.items()}
    kind, shape, start = header[MARK], header["n"], header["at"]
    return np.frombuffer(blob, f"<{kind}", math.prod(shape), start).reshape(shape)
