"""Ids as text: one rule, in Python and in the database."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from proxysr.data import open_events
from proxysr.data.ids import id_text, packed, texts_of

CASES: list[tuple[Any, str | None]] = [
    (101, "101"),
    (101.0, "101"),
    (np.float32(0.1), "0.1"),
    (2.50, "2.5"),
    (1e20, "1e+20"),
    (-0.0, "0"),
    (np.int64(2**53 + 1), "9007199254740993"),
    (decimal.Decimal("101.00"), "101"),
    (decimal.Decimal("1.50"), "1.5"),
    (decimal.Decimal("1E+2"), "100"),
    (True, "true"),
    (np.bool_(False), "false"),
    (b"caf\xc3\xa9", "café"),
    (b"\xff", r"\xff"),
    ("007", "007"),
    ("101.0", "101.0"),
    (" a\t", "a"),
    ("A\u00a0", "A"),
    ("\ufeff\u200bA\u2060\x00", "A"),
    ("a b\u00a0c", "a b\u00a0c"),
    ("", None),
    (" \u3000 ", None),
    (None, None),
    (float("nan"), None),
    (float("inf"), None),
    (pd.NA, None),
    (pd.NaT, None),
    (decimal.Decimal("NaN"), None),
    (datetime.date(2026, 3, 1), "2026-03-01"),
    (pd.Period("2026-03", "M"), "2026-03-01 00:00:00"),
]


@pytest.mark.parametrize(("value", "text"), CASES)
def test_ids_are_text_by_one_rule(value: Any, text: str | None) -> None:
    assert id_text(value) == text


@pytest.mark.parametrize(
    "column",
    [
        [101.0, 102.0],
        pd.Series([101, 102], dtype="Int64"),
        pd.Series([101.0, 102.0], dtype="category"),
        pd.Series([101.0, 102.0], dtype=object),
        pd.Series([101, 102], dtype="float16"),
        pd.arrays.SparseArray([101.0, 102.0]),
        pd.Series([decimal.Decimal("101.00"), decimal.Decimal("102.00")]),
        pd.Series([101, 102], dtype="float64[pyarrow]"),
        pd.Series([b"101", b"102"]),
        pd.Series([b"101", b"102"], dtype=pd.ArrowDtype(pa.binary())),
        pd.Series(["101\u00a0", "\ufeff102"]),
    ],
    ids=lambda column: str(getattr(column, "dtype", "list")),
)
def test_the_same_number_is_the_same_id_whatever_its_type(column: Any) -> None:
    log = pd.DataFrame({"item_id": column, "timestamp": [1, 2], "session_id": 1})
    assert open_events(log).frame()["item_id"].tolist() == ["101", "102"]
    assert texts_of(log["item_id"]).tolist() == ["101", "102"]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([2**53 + 1, None, 7], ["9007199254740993", None, "7"]),
        (np.array([2**63 + 1], np.uint64), ["9223372036854775809"]),
        ([2.5, None, 7.0], ["2.5", None, "7"]),
        ([True, None], ["true", None]),
        (["a", None], ["a", None]),
    ],
    ids=str,
)
def test_categories_may_have_gaps(values: Any, texts: list[str | None]) -> None:
    column = pd.Series(pd.Categorical(values))
    assert [None if pd.isna(text) else text for text in texts_of(column)] == texts
    log = pd.DataFrame({"item_id": column, "user_id": column, "timestamp": 1, "session_id": 1})
    events = open_events(log, on_bad_rows="drop").frame()
    assert events["item_id"].tolist() == [text for text in texts if text is not None]
    assert events["user_id"].tolist() == events["item_id"].tolist()


VALUES = {
    "title": st.text(max_size=6),
    "user_id": st.floats(),
    "item_id": st.integers(-(2**63), 2**63 - 1),
    "session_id": st.decimals(-(10**9), 10**9, places=3),
}
ROWS = st.lists(st.fixed_dictionaries(VALUES), min_size=20, max_size=40)


@settings(max_examples=3, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(ROWS)
def test_the_database_has_the_same_rule(rows: list[dict[str, Any]]) -> None:
    columns = {name: pa.array([row[name] for row in rows]) for name in VALUES}
    columns["session_id"] = columns["session_id"].cast(pa.decimal128(20, 3))
    events = open_events(pa.table(columns | {"timestamp": [5] * len(rows)})).frame()
    for name in VALUES:
        texts = [None if pd.isna(text) else text for text in events[name]]
        assert texts == [id_text(row[name]) for row in rows]


def test_invisible_characters_are_said_once_for_a_log() -> None:
    log = pd.DataFrame(
        {"item_id": ["A\u00a0", " B", "\u200bC"], "timestamp": [1, 2, 3], "session_id": 1}
    )
    opened = open_events(log, time_unit="order")
    assert opened.frame()["item_id"].tolist() == ["A", "B", "C"]
    (remark,) = opened.remarks
    assert remark == (
        "DataFrame: invisible characters at the edges of ids were cut off, in 2 of its rows; one "
        "id was 'A\\xa0'."
    )
    assert not open_events(log.iloc[1:2], time_unit="order").remarks


def test_dates_with_a_zone_among_dates_without_are_told(tmp_path: Path) -> None:
    times = ["2024-01-01T10:00:00+02:00", "2024-01-01 09:00", "2024-01-01T10:00:00Z", "2024-01-01"]
    log = pd.DataFrame({"item_id": list("abcd"), "timestamp": times, "session_id": 1})
    (remark,) = open_events(log).remarks
    assert remark == (
        "DataFrame: 2 of its dates have a time zone, the other 2 have none and are read as UTC. "
        "If they are of another zone, repair them."
    )
    for alike in (log.iloc[[0, 2]], log.iloc[[1, 3]]):
        assert not open_events(alike).remarks
    path = tmp_path / "log.csv"
    log.to_csv(path, index=False)
    assert "2 of its dates have a time zone" in open_events(path).remarks[0]


def test_one_long_id_does_not_make_all_long() -> None:
    even, uneven = packed(["abc", "de"]), packed(["s"] * 1000 + ["x" * 20_000])
    assert even.dtype == np.dtype("<U3")
    assert uneven.dtype == object
    assert uneven[-1] == "x" * 20_000
