"""What is packed comes back the same, as the page would read it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from proxysr.config import ConfigError
from proxysr.explorer.packing import ALIGNED, KINDS, pack
from tests.explorer.unpacking import unpack

arrays = st.sampled_from(KINDS).flatmap(
    lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=9))
)
plain = st.none() | st.booleans() | st.integers() | st.text() | st.floats()
names = st.text().filter(lambda name: name != "$")
trees = st.recursive(
    plain | arrays,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        kinds = one.dtype.str[1:] == other.dtype.str[1:]
        return kinds and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and not math.isfinite(one):
        return other is None
    return bool(one == other) and type(one) is type(other)


@given(trees)
def test_what_is_packed_comes_back(tree: Any) -> None:
    header, blob = pack(tree)
    sent = json.loads(json.dumps(header, allow_nan=False))
    assert same(tree, unpack(sent, blob))


def test_arrays_are_aligned_and_little_endian() -> None:
    tree = {"a": np.array([1, 2, 3], np.uint8), "b": np.array([[1.5]], ">f4"), "c": np.arange(0.0)}
    header, blob = pack(tree)
    assert [header[name]["at"] % ALIGNED for name in "abc"] == [0, 0, 0]
    assert len(blob) == 16
    assert np.frombuffer(blob, "<f4", 1, header["b"]["at"])[0] == 1.5
    assert header["b"] == {"$": "f4", "at": 8, "n": [1, 1]}
    assert pack({"n": np.float64(2), "k": np.int64(3), "x": np.float32("nan")})[0] == {
        "n": 2.0, "k": 3, "x": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (np.arange(3), "Arrays are of f4, .*; received one of int64"),
        ({"$": 1}, r"Names in a payload are texts other than '\$'"),
        ({3: 1}, "Names in a payload are texts"),
        ({"a": {1, 2}}, "holds plain values and arrays; received a <class 'set'>"),
    ],
)
def test_what_no_page_reads_is_refused(tree: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pack(tree)
