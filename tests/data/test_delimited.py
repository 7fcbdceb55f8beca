"""Text files: one rule for every row, whoever reads it."""

from __future__ import annotations

import time
from pathlib import Path

import duckdb
import ibis
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from proxysr.config import ConfigError
from proxysr.data import BadRowsError, read_events
from proxysr.data.delimited import Dialect, Record, is_odd, records, scan

HEADER = "session_id,item_id,timestamp,note\n"
QUICK = settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.generate])


def write(folder: Path, text: str | bytes, name: str = "log.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder: Path, text: str, **options: object) -> tuple[list[str], dict[str, int]]:
    """The items of a log, and how many of its rows are malformed for which reason."""
    events = read_events(write(folder, text), on_bad_rows="drop", **options)
    return events["item_id"].tolist(), events.attrs["bad_rows"].reasons


NOTES = [
    '"' + "".join(f"x{n},y{n},{n},z\n" for n in range(300)) + '"',  # lines that are no rows
    "n" * 200_000,
    '"' + "n" * 200_000 + '"',
    '"says ""no"" twice"',
    ' "blanks around, it" ',
    'a "quote" inside',
    "",
]


def test_a_malformed_row_changes_no_other(tmp_path: Path) -> None:
    rows = "".join(f"s,i{n},{n},{note}\n" for n, note in enumerate(NOTES))
    items = [f"i{n}" for n in range(len(NOTES))]
    assert read(tmp_path, HEADER + rows) == (items, {})
    short, opened = "s,short\n", 's,"open,3,\n'
    for text in (rows + short, short + rows):
        assert read(tmp_path, HEADER + text) == (items, {"wrong number of fields": 1})
    assert read(tmp_path, HEADER + rows + opened) == (items, {"broken quotes": 1})


def test_fields_beyond_the_columns(tmp_path: Path) -> None:
    text = HEADER + "s,a,1,x,\ns,b,2,x,,\ns,c,3,x,y\ns,d,4\n"
    assert read(tmp_path, text) == (["a", "b"], {"wrong number of fields": 2})


def test_files_that_were_joined(tmp_path: Path) -> None:
    rows = '"s",a,1,\ns,b,2,\n'
    text = f"\ufeff{HEADER}{rows}\ufeff{HEADER}\ufeff{rows}"
    assert read(tmp_path, text) == (["a", "b", "a", "b"], {"unreadable time": 1})


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path: Path, end: str) -> None:
    text = (HEADER + "s,a,1,\ns,b,2,\n\n").replace("\n", end)
    assert read(tmp_path, text)[0] == ["a", "b"]
    assert read(tmp_path, text + "s,c,3,\r\n" + "s,d,4,\n")[0] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("delimiter", ["::", "|", " ", "\t", " - ", "#:#:#"])
def test_files_without_names_of_columns(tmp_path: Path, delimiter: str) -> None:
    text = "\n".join(
        delimiter.join(row) for row in (("u1", "a", "5", "10"), ("u1", "b", "3", "20"))
    )
    options = {"header": False, "user": 1, "item": 2, "time": "4"}
    result = read(tmp_path, text, delimiter=delimiter, **options)
    assert result == (["a", "b"], {})
    if delimiter in ("::", "|", "\t"):
        assert read(tmp_path, text, **options) == result
    with pytest.raises(ConfigError, match=r"'item_id' is not a known column of log\.csv.* 1, 2, 3"):
        read(tmp_path, text, header=False, user=1, time=4, delimiter=delimiter)


def test_what_a_delimiter_and_a_quote_may_be(tmp_path: Path) -> None:
    for options in ({"delimiter": ""}, {"delimiter": 'a"'}, {"delimiter": "\n"}):
        with pytest.raises(ConfigError, match="delimiter is text without quotes and line breaks"):
            read(tmp_path, HEADER, **options)
    with pytest.raises(ConfigError, match="quote is one character or none; received 'ab'"):
        read(tmp_path, HEADER, quote="ab")
    assert read(tmp_path, HEADER + "s,'a,b',1,\n", quote="'")[0] == ["a,b"]


def test_names_of_columns_over_two_lines(tmp_path: Path) -> None:
    text = 'session_id,item_id,timestamp,"a\nb"\ns,a,1,\ns,b,x,\n'
    assert read(tmp_path, text) == (["a"], {"unreadable time": 1})
    with pytest.raises(BadRowsError, match=r"line 4: time 'x'"):
        read_events(write(tmp_path, text))


def test_quotes_left_open_cost_no_time(tmp_path: Path) -> None:
    rows = "".join(f's,"i{n},{n},\ns,j{n},{n},\n' for n in range(20_000))
    started = time.perf_counter()
    items, reasons = read(tmp_path, HEADER + rows)
    assert len(items) == reasons["broken quotes"] == 20_000
    assert time.perf_counter() - started < 30


PIECES = st.sampled_from(
    [*'ab""",,,:\n\n\r\t\\ #é\ufeff\x00', '""', '"a"', "::", "\r\n", "x\n1,2\n", '  "']
)


@pytest.fixture(scope="module")
def connection() -> ibis.BaseBackend:
    return ibis.duckdb.connect()


@QUICK
@given(
    st.lists(PIECES, max_size=14).map("".join),
    st.sampled_from([",", ",", "::"]),
    st.sampled_from(['"', '"', ""]),
)
@example("a, b ,\n", ",", '"')
@example('a,  "b"\n', ",", '"')
@example('a,"b" ""\n', ",", '"')
@example('a\n,"\n', ",", '"')
def test_the_database_reads_what_the_rule_says(
    tmp_path_factory: pytest.TempPathFactory,
    connection: ibis.BaseBackend,
    text: str,
    delimiter: str,
    quote: str,
) -> None:
    path = write(tmp_path_factory.getbasetemp(), text, "any.csv")
    dialect = Dialect(["x", "y"], delimiter, quote, 0)
    result = [record for _, record in records(path, dialect)]
    for record in result:
        assert len(record) == 2  # two fields, or a fault and what is wrong
    if is_odd(path, dialect):
        return
    try:
        rows = scan(connection, path, dialect).to_pyarrow().to_pylist()
    except duckdb.InvalidInputException:  # then the rule decides
        return
    assert [_bare([row["x"], row["y"]]) for row in rows] == list(map(_bare, result))


def _bare(record: Record) -> object:
    """Without blanks around fields, of which nothing depends."""
    if not isinstance(record, list):
        return record
    return [(field or "").strip() or None for field in record]


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(st.binary(max_size=12), max_size=5).map(
            lambda rows: HEADER.encode() + b"s,a,1,\n" + b"\n".join(rows)
        ),
    )
)
def test_any_bytes_are_events_or_said_to_be_none(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = write(tmp_path_factory.getbasetemp(), content, "bytes.csv")
    try:
        events = read_events(path, on_bad_rows="drop")
    except ValueError:  # of which ConfigError is one
        return
    report = events.attrs["bad_rows"]
    assert len(events) + report.n_bad == report.n_rows
    assert bool(report.n_bad) == bool(report.first)
