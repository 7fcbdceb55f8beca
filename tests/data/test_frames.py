"""Frames of every library, and messages about what is none."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from proxysr.config import ConfigError
from proxysr.data import prepare, read_events

LOG = pd.DataFrame({"session_id": [1, 1], "item_id": ["a", "b"], "timestamp": [1, 2]})
ARROW = pa.table({"session_id": [1, 1], "item_id": ["a", "b"], "timestamp": [1, 2]})


class Streaming:
    """As a frame of polars: known by nothing but the Arrow protocol."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


class Lazy:
    """As a lazy frame of polars."""

    def collect(self) -> Streaming:
        return Streaming(ARROW)


def relation() -> Any:
    log = ARROW
    return duckdb.connect().from_arrow(log)


@pytest.mark.parametrize(
    "source",
    [
        LOG,
        ARROW,
        ARROW.to_reader(),
        ARROW.to_batches()[0],
        Streaming(ARROW),
        Lazy(),
        relation(),
        LOG.convert_dtypes(dtype_backend="pyarrow"),
        LOG.astype("category"),
        pa.table({n: ARROW[n].dictionary_encode() for n in ARROW.column_names}),
    ],
    ids=lambda source: type(source).__name__,
)
def test_frames_of_other_libraries(source: Any) -> None:
    events = read_events(source)
    assert events.to_dict("list") == {
        "item_id": ["a", "b"],
        "timestamp": [1, 2],
        "session_id": ["1", "1"],
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            [{"item_id": 1}],
            r"^a list is no log\. Taken are: .* Hand in pandas\.DataFrame\(rows",
        ),
        (["a.csv", "b.csv"], "a list is no log.* Hand in one log at a time, or join them first"),
        ({"item_id": [1]}, r"a dict is no log.* Hand in pandas\.DataFrame\(columns\)"),
        (
            None,
            r"None is no log\. Taken are: a path, a pandas, polars or Arrow table",
        ),
        (np.zeros(3), r"a numpy\.ndarray is no log\. Taken are: .*an Ibis table\.$"),
    ],
)
def test_what_is_no_log_is_named(source: Any, message: str) -> None:
    for read in (read_events, prepare):
        with pytest.raises(TypeError, match=message):
            read(source)


EXTRA = {
    "sparse": pd.arrays.SparseArray([0, 1]),
    "float16": np.array([1, 2], dtype="float16"),
    "objects": [object(), {1, 2}],
    "periods": pd.Series(pd.period_range("2026", periods=2)),
    "complex": np.array([1j, 2]),
    "intervals": pd.Series(pd.interval_range(0, 2)),
}


def test_columns_that_nobody_asked_for_do_not_matter() -> None:
    assert len(read_events(LOG.assign(**EXTRA))) == 2


@pytest.mark.parametrize("kind", EXTRA)
def test_ids_may_be_of_any_type(kind: str) -> None:
    assert len(read_events(LOG.assign(item_id=EXTRA[kind]))) == 2


@pytest.mark.parametrize(
    ("freq", "second"), [("D", "2026-01-02"), ("M", "2026-02-01"), ("Y", "2027-01-01")]
)
def test_periods_are_the_times_at_which_they_begin(freq: str, second: str) -> None:
    periods = pd.Series(pd.period_range("2026-01-01", periods=2, freq=freq))
    for times in (periods, periods.astype("category"), periods.astype(object)):
        events = read_events(LOG.assign(timestamp=times))
        assert events["timestamp"].tolist() == [pd.Timestamp("2026-01-01"), pd.Timestamp(second)]
        assert events.attrs["time_unit"] == "date"


def test_a_column_has_one_meaning() -> None:
    with pytest.raises(ConfigError, match="'session_id' of the frame cannot be item_id and sess"):
        read_events(LOG, item="session_id")
    with pytest.raises(ConfigError, match="'item_id' of the frame cannot be item_id and timestamp"):
        read_events(LOG, time="item_id")
    events = read_events(LOG, title="item_id", user="session_id")
    assert events["title"].tolist() == ["a", "b"]
    assert events["user_id"].tolist() == ["1", "1"]


@pytest.mark.parametrize("option", ["item", "time", "session", "user", "title"])
def test_no_name_is_no_default(option: str) -> None:
    with pytest.raises(ConfigError, match="'' is not a known column of the frame"):
        read_events(LOG, **{option: ""})


def test_names_of_columns_that_mean_something_here(tmp_path: Any) -> None:
    ours = ("broken_record", "proxysr_row", "proxysr_line", "row", "fault", "wanted", "time", "sub")
    log = LOG.assign(**dict.fromkeys(ours, "x"))
    assert len(read_events(log)) == 2
    log.to_csv(tmp_path / "log.csv", index=False)
    log.to_parquet(tmp_path / "log.parquet")
    for file in ("log.csv", "log.parquet"):
        assert len(read_events(tmp_path / file)) == 2
    (tmp_path / "log.csv").write_text((tmp_path / "log.csv").read_text() + "short\n")
    assert len(read_events(tmp_path / "log.csv", on_bad_rows="drop")) == 2


def test_columns_may_be_called_by_numbers() -> None:
    log = LOG.set_axis([0, 1, 2], axis="columns")
    for numbers in ((0, 1, 2), ("0", "1", "2")):
        events = read_events(log, session=numbers[0], item=numbers[1], time=numbers[2])
        assert events["item_id"].tolist() == ["a", "b"]
    with pytest.raises(ConfigError, match="'3' is not a known column of the frame.* 0, 1, 2"):
        read_events(log, session=0, item=3, time=2)
    twice = pd.DataFrame([[1, "a", 1, "x", "y"]], columns=["session_id", "item_id", 1, "x", "x"])
    assert len(read_events(twice, time=1)) == 1
    with pytest.raises(ConfigError, match="the frame has two columns 'x'"):
        read_events(twice, time=1, title="x")
