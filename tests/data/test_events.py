"""Logs of every kind: column names, times, ids, and rows that are malformed."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from proxysr.config import ConfigError
from proxysr.data import BadRowsError, open_events, read_events

HEADER = "item_id,timestamp,session_id\n"


def write(folder: Path, text: str, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def frame(times: Any, **more: Any) -> pd.DataFrame:
    return pd.DataFrame({"item_id": "a", "timestamp": times, "session_id": 1} | more)


def test_the_callers_column_names(tmp_path: Path) -> None:
    path = write(tmp_path, "Wann;Was;Wer\n7;x;u\n8;y;v\n")
    events = read_events(path, item="Was", time="Wann", user="Wer")
    assert events.columns.tolist() == ["item_id", "timestamp", "user_id"]
    assert events["item_id"].tolist() == ["x", "y"]
    assert events["timestamp"].tolist() == [7, 8]
    assert events["user_id"].tolist() == ["u", "v"]
    assert events.attrs["source"]["name"] == "log.csv"
    assert str(events.attrs["bad_rows"]) == "log.csv: all 2 rows are well-formed."


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.tsv", "log.txt.gz", "log.parquet"])
def test_every_kind_of_file_reads_the_same(tmp_path: Path, name: str) -> None:
    table = pd.DataFrame(
        {
            "item_id": ["a", 'say "b"', "ü, c", "x\ny"],
            "timestamp": [10, 20, 30, 40],
            "session_id": ["s", "s", "t", "t"],
            "title": ["A", None, "C", None],
        }
    )
    path = tmp_path / name
    if name.endswith("parquet"):
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if "tsv" in name else ",")
    events = read_events(path)
    assert events["item_id"].tolist() == table["item_id"].tolist()
    assert events["timestamp"].tolist() == [10, 20, 30, 40]
    assert events["title"].isna().tolist() == [False, True, False, True]
    assert read_events(table).equals(events)


def test_a_byte_order_mark_and_other_line_ends(tmp_path: Path) -> None:
    for text in (
        "\ufeff" + HEADER + "a,1,s\nb,2,s\n",
        HEADER.replace("\n", "\r\n") + "a,1,s\r\nb,2,s",
    ):
        assert read_events(write(tmp_path, text))["item_id"].tolist() == ["a", "b"]
    mixed = write(tmp_path, HEADER + "a,1,s\r\n\nb,2,s\r\n")
    assert read_events(mixed)["item_id"].tolist() == ["a", "b"]


def test_a_file_without_header_and_quotes(tmp_path: Path) -> None:
    path = write(tmp_path, 'u\t5\t"a\n u\t6\tb"\n', "log.tsv")
    columns = ("user_id", "timestamp", "item_id")
    events = read_events(path, columns=columns, quote="", delimiter="\t")
    assert events["item_id"].tolist() == ['"a', 'b"']
    assert events["user_id"].tolist() == ["u", "u"]


def test_ids_become_text() -> None:
    events = read_events(
        pd.DataFrame(
            {
                "item_id": [1, "b", 2.5],
                "timestamp": [1, 2, 3],
                "session_id": [1.0, None, 3.5],
                "user_id": pd.Series([7, 8, None], dtype="Int64"),
            }
        ),
    )
    assert events["item_id"].tolist() == ["1", "b", "2.5"]
    assert events["session_id"].tolist()[::2] == ["1", "3.5"]
    assert events["session_id"].isna()[1]
    assert events["user_id"].tolist()[:2] == ["7", "8"]


def test_categories_and_words_for_nothing() -> None:
    table = frame([1, 2], session_id=pd.Categorical(["x", "y"]), user_id=["NA", "u"])
    for words in (("NA",), "NA", [" NA "]):
        events = read_events(table, missing=words)
        assert events["session_id"].tolist() == ["x", "y"]
        assert events["user_id"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([1_400_000_000, 1_400_000_001], "s"),
        ([1_400_000_000.25, 1_400_000_001.0], "s"),
        ([1_400_000_000_123, 1_400_000_000_124], "ms"),
        ([1_400_000_000_123_456, 1_400_000_000_123_457], "us"),
        ([1_400_000_000_123_456_000, 1_400_000_000_123_457_000], "ns"),
        ([0, 1], "order"),
        ([-3, 2], "order"),
        (["2014-05-13T16:53:20Z", "2014-05-13T16:53:21Z"], "date"),
        (pd.to_datetime(["2014-05-13", "2014-05-14"]), "date"),
        (pd.to_datetime(["2014-05-13", "2014-05-14"]).tz_localize("Asia/Tokyo"), "date"),
        ([pd.Timestamp("2014-05-13").date(), pd.Timestamp("2014-05-14").date()], "date"),
    ],
)
def test_times_and_their_units(times: Any, unit: str, tmp_path: Path) -> None:
    table = frame(times)
    opened = open_events(table)
    assert opened.time_unit == unit
    events = opened.frame()
    if unit == "date":
        expected = pd.to_datetime(pd.Series(times), utc=True).dt.tz_localize(None)
        assert (events["timestamp"] == expected).all()
    else:
        assert events["timestamp"].tolist() == pytest.approx(times, abs=256 if unit == "ns" else 0)
    if unit in ("ms", "order"):
        table.to_csv(tmp_path / "log.csv", index=False)
        assert open_events(tmp_path / "log.csv").time_unit == unit
    again = open_events(events)
    assert again.table.time.to_pyarrow() == opened.table.time.to_pyarrow()


DATES = {
    "2009-05-04": "2009-05-04 00:00:00",
    "2009-5-4 7:08": "2009-05-04 07:08:00",
    "2009-05-04T23:08:57Z": "2009-05-04 23:08:57",
    " 2009-05-04 23:08:57 ": "2009-05-04 23:08:57",
    "2009-05-04 23:08:57.25": "2009-05-04 23:08:57.25",
    "2009-05-04 23:08:57 UTC": "2009-05-04 23:08:57",
    "2009-05-04T23:08:57+02:00": "2009-05-04 21:08:57",
    "2009-05-04T23:08:57.5-0130": "2009-05-05 00:38:57.5",
    "1969-12-31 23:59:59": "1969-12-31 23:59:59",
    "2026-03-01 10:00:58+00": "2026-03-01 10:00:58",
    "2026-03-01 10:00:58.5-05": "2026-03-01 15:00:58.5",
    "2026-03-01t10:00:58z": "2026-03-01 10:00:58",
    "2026-03-01T10:00:58+05:30": "2026-03-01 04:30:58",
}
NO_DATES = ["2009-02-30", "2009-05-04 25:00:00", "2009-05-04 23:08:57 Europe/Berlin", "04.05.2009"]
NO_DATES += ["epoch", "infinity", "290000-01-01", "12", "2026-03-01T10:00:58+99:99"]
NO_DATES += ["2026-03-01T10:00:58+05:60", "2026-03-01T10:00:58+19", "20260301T100058Z"]


def refused(times: list[str]) -> list[str]:
    """Why each of these times is malformed, in a log of others."""
    usual = ["2000-01-01"] * 20 if times is NO_DATES else ["1500000000"] * 20
    reasons = []
    for first in range(0, len(times), 5):  # five are named
        table = frame([*usual, *times[first : first + 5]])
        report = read_events(table, on_bad_rows="drop").attrs["bad_rows"]
        assert [row.place for row in report.first] == [f"row {20 + n}" for n in range(report.n_bad)]
        reasons += [row.reason for row in report.first]
    return reasons


def test_dates_that_are_taken_and_refused() -> None:
    events = read_events(frame([*DATES]))
    assert events["timestamp"].tolist() == [*map(pd.Timestamp, DATES.values())]
    expected = "is not an ISO 8601 date, such as 2026-03-01T10:00:58Z"
    assert refused(NO_DATES) == [f"time {text!r} {expected}" for text in NO_DATES]


def test_numbers_that_are_refused() -> None:
    none, large = ["nan", "inf", "-Infinity", "x", "2000-01-01"], ["1e300", "9" * 30, "9" * 19]
    assert refused(none + large) == [
        *(f"time '{text}' is not a number (unit: s)" for text in none),
        *(f"time '{text}' is too large a number (unit: s)" for text in large),
    ]


def test_a_unit_can_be_said() -> None:
    assert open_events(frame([1, 2]), time_unit="s").time_unit == "s"
    with pytest.raises(ConfigError, match="time_unit='ms' is for numbers, but the time column hol"):
        open_events(frame(["2000-01-01"]), time_unit="ms")
    with pytest.raises(ConfigError, match="'hours' is not a known time unit"):
        open_events(frame([1]), time_unit="hours")  # type: ignore[arg-type]


HOSTILE = (
    "session_id,item_id,timestamp\n"
    "1,a,10\n"
    "1,b\n"  # 3
    "\n"
    '2,"x, y",30\n'
    '2,"two\nlines",40\n'  # 6, 7
    "3,c,50,extra\n"  # 8
    "3,d,60\n"
    '"bad"quote,e,70\n'  # 10
    '4,un"quoted,80\n'
    '4,"",90\n'  # 12
    "5,f,soon\r\n"  # 13
    '5,"open,95\n'  # 14
    "6,g\udcff,96\n"  # 15
    ",h,97\n"  # 16
    "7,i,\n"  # 17
    "8,j,98\n"
)


def test_malformed_rows_are_counted_and_the_first_ones_named(tmp_path: Path) -> None:
    path = write(tmp_path, HOSTILE)
    with pytest.raises(BadRowsError, match="9 of 15 rows are malformed") as caught:
        read_events(path)
    report = caught.value.report
    assert report.reasons == {
        "broken quotes": 2,
        "wrong number of fields": 2,
        "no item": 1,
        "no session and no user": 1,
        "no time": 1,
        "not UTF-8": 1,
        "unreadable time": 1,
    }
    assert [f"{row.place}: {row.reason}" for row in report.first] == [
        "line 3: 2 fields instead of 3: '1,b'",
        "line 8: 4 fields instead of 3: '3,c,50,extra'",
        "line 10: broken quotes in '\"bad\"quote,e,70'",
        "line 12: no item",
        "line 13: time 'soon' is neither a number nor an ISO 8601 date, "
        "such as 2026-03-01T10:00:58Z",
    ]
    message = str(caught.value)
    assert "log.csv, line 12: no item" in message
    assert "… and 4 more" in message
    assert "on_bad_rows='drop' (--on-bad-rows drop)" in message
    events = read_events(path, on_bad_rows="drop")
    assert events["item_id"].tolist() == ["a", "x, y", "two\nlines", "d", 'un"quoted', "j"]
    assert events.attrs["bad_rows"] == report
    assert report.to_dict()["malformed"] == 9


def test_lines_are_right_where_the_file_is_well_formed(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + 'a,1,s\n\n"b\nb",2,s\n,3,s\n"",4,s\n')
    with pytest.raises(BadRowsError, match=r"log.csv, line 6: no item;\n.*line 7: no item"):
        read_events(path)


def test_an_open_quote_costs_its_own_line_only(tmp_path: Path) -> None:
    lines = [f"i{number},{number},s\n" for number in range(200)]
    path = write(tmp_path, HEADER + '"open,1,s\n' + "".join(lines))
    events = read_events(path, on_bad_rows="drop")
    assert len(events) == len(lines)
    assert events.attrs["bad_rows"].reasons == {"broken quotes": 1}


CELLS = st.text(alphabet='ab 1,"\n;é', max_size=5)


@settings(max_examples=14, phases=[Phase.explicit, Phase.generate])
@given(
    rows=st.lists(
        st.tuples(CELLS, st.sampled_from(["5", "6", "", "x"]), CELLS), min_size=1, max_size=14
    ),
    hostile=st.lists(st.tuples(st.integers(0, 14), st.sampled_from(["a", "a,1", "a,b,c,d"]))),
)
def test_files_against_a_literal_reader(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    hostile: list[tuple[int, str]],
) -> None:
    records = []
    for row in rows:
        text = io.StringIO()
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(row)
        records.append((text.getvalue(), row))
    for place, line in hostile:
        records.insert(place, (line + "\n", None))
    path = write(tmp_path_factory.mktemp("hostile"), HEADER + "".join(text for text, _ in records))
    good, first_bad, line = [], [], 2
    for text, row in records:
        if row is None or not row[0].strip() or not row[2].strip() or not row[1].isdigit():
            first_bad.append(f"line {line}")
        else:
            good.append((row[0].strip(), int(row[1]), row[2].strip()))
        line += text.count("\n")
    if not good:
        with pytest.raises(ValueError, match="No event could be read"):
            read_events(path, on_bad_rows="drop")
        return
    events = read_events(path, on_bad_rows="drop")
    assert list(events.itertuples(index=False, name=None)) == good
    report = events.attrs["bad_rows"]
    assert report.n_rows == len(records)
    assert [row.place for row in report.first] == first_bad[:5]


def test_periods_in_parquet_are_not_taken_for_numbers(tmp_path: Path) -> None:
    table = frame(pd.period_range("2026-01-01", periods=2, freq="D"))
    table.to_parquet(tmp_path / "log.parquet")
    with pytest.raises(ConfigError, match=r"'timestamp' of log\.parquet has periods of pandas, "):
        read_events(tmp_path / "log.parquet")


def test_frames_and_parquet_name_rows(tmp_path: Path) -> None:
    table = frame([1, 2, None], item_id=["a", None, "c"])
    table.to_parquet(tmp_path / "log.parquet")
    for source in (table, tmp_path / "log.parquet"):
        with pytest.raises(BadRowsError, match=r"row 1: no item;\n.*row 2: no time"):
            read_events(source)


def test_a_user_or_a_session_is_enough() -> None:
    both = frame([1, 2, 3], session_id=["s", None, None], user_id=[None, "u", None])
    with pytest.raises(BadRowsError, match="row 2: no session and no user"):
        read_events(both)
    assert len(read_events(both, on_bad_rows="drop")) == 2


def test_rows_of_other_kinds_are_left_out_unjudged() -> None:
    table = frame([1, None, 3], event=["view", "buy", None])
    opened = open_events(table, only=lambda rows: rows.event == "view")
    assert (opened.n_read, opened.bad_rows.n_rows, opened.bad_rows.n_bad) == (3, 1, 0)


def test_a_table_of_another_database() -> None:
    connection = ibis.duckdb.connect()
    connection.con.execute(
        "CREATE TABLE visits AS SELECT unnest(['b', 'a', 'a']) AS sku, "
        "unnest([TIMESTAMPTZ '2020-01-01 00:00:02+00', '2020-01-01 00:00:01+00', NULL]) AS at, "
        "1 AS visit"
    )
    names = {"item": "sku", "time": "at", "session": "visit"}
    opened = open_events(connection.table("visits"), on_bad_rows="drop", **names)
    assert opened.connection is connection
    assert opened.source["name"] == "visits"
    events = opened.frame()
    assert events["item_id"].tolist() == ["a", "b"]
    assert events["timestamp"].tolist() == [pd.Timestamp(f"2020-01-01 00:00:0{s}") for s in (1, 2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"item": "itme"}, "'itme' is not a known column of the frame. Known: item_id, session_id"),
        ({"user": "session"}, "'session' is not a known column .* Did you mean 'session_id'"),
        ({"on_bad_rows": "ignore"}, "'ignore' is not a known choice"),
    ],
)
def test_wrong_names_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_events(frame([1]), **options)


def test_an_option_that_is_misspelt_is_told_with_what_is_near() -> None:
    with pytest.raises(TypeError, match="'itme' is not a known option of read_events. Did you mea"):
        read_events(frame([1]), itme="sku")


def test_a_log_needs_sessions_or_users() -> None:
    with pytest.raises(
        ConfigError, match="the frame has no column session_id or user_id. Say whic"
    ):
        read_events(frame([1]).drop(columns="session_id"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="absent.csv is not a file. Name a CSV, TSV or Parquet"):
        read_events(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match=r"of no kind that can be read: its name ends in '.json'"):
        read_events(write(tmp_path, "{}", "log.json"))
    with pytest.raises(ValueError, match="is empty: it has neither names of columns nor data"):
        read_events(write(tmp_path, ""))
    with pytest.raises(ValueError, match="log.csv has two columns 'item_id'. Rename or drop one"):
        read_events(write(tmp_path, "item_id,item_id,timestamp\n"))
    with pytest.raises(ValueError, match="No event could be read"):
        read_events(write(tmp_path, HEADER))
    path = tmp_path / "broken.csv.gz"
    path.write_bytes(gzip.compress((HEADER + "a,1,s\n" * 1000).encode())[:-40])
    with pytest.raises(ValueError, match="broken.csv.gz cannot be read to its end: "):
        read_events(path)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(ValueError, match="broken.parquet cannot be read to its end: "):
        read_events(tmp_path / "broken.parquet")


def test_large_numbers_of_rows_keep_their_order(tmp_path: Path) -> None:
    n = 400_000
    table = pd.DataFrame({"item_id": np.arange(n), "timestamp": 5, "session_id": "s"})
    table.to_csv(tmp_path / "log.csv", index=False)
    events = read_events(tmp_path / "log.csv")
    assert (events["item_id"].astype("int64") == np.arange(n)).all()
