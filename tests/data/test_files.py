"""Files as people have them: odd headers and encodings, files of items."""

from __future__ import annotations

import datetime
import gzip
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from proxysr.config import ConfigError
from proxysr.data import BadRowsError, open_events, read_events
from proxysr.data.delimited import safe_names
from proxysr.data.engines import embedded, engine_of, interruptible
from proxysr.data.preparation import PrepareConfig, prepare
from proxysr.data.sources import SOURCES

HEADER = "item_id,timestamp,session_id\n"
ROWS = "a,1,s\nb,2,s\n"


def write(folder: Path, text: str, name: str = "log.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        ",item_id,timestamp,session_id\n0,a,1,s\n1,b,2,s\n",
        ",item_id,timestamp,session_id,\n0,a,1,s,\n1,b,2,s,\n",
        "ITEM_ID,item_id,timestamp,session_id\nx,a,1,s\ny,b,2,s\n",
        "column_0,,item_id,timestamp,session_id\nx,,a,1,s\ny,,b,2,s\n",
        "sep=,\n" + HEADER + ROWS,
        "SEP=;\r\nitem_id;timestamp;session_id\r\na;1;s\r\nb;2;s\r\n",
        "\n\n" + HEADER + ROWS,
        "\ufeffsep=,\n" + HEADER + ROWS,
    ],
)
def test_odd_headers(tmp_path: Path, text: str) -> None:
    log = write(tmp_path, text)
    assert read_events(log)["item_id"].tolist() == ["a", "b"]
    log.write_text(text.rstrip() + "\nbroken\n")
    with pytest.raises(BadRowsError, match=rf"line {text.rstrip().count(chr(10)) + 2}: 1 field in"):
        read_events(log)


def test_names_that_differ_in_case_only_are_told_apart(tmp_path: Path) -> None:
    log = write(tmp_path, "visit,sku,when,SKU\nv,a,1,A\nv,b,2,B\n")
    names = {"session": "visit", "time": "when"}
    for source in (log, pd.read_csv(log)):
        assert read_events(source, item="sku", **names)["item_id"].tolist() == ["a", "b"]
        assert read_events(source, item="SKU", **names)["item_id"].tolist() == ["A", "B"]
        with pytest.raises(
            ConfigError, match="'Sku' is not a known column .* Known: SKU, sku, visit"
        ):
            read_events(source, item="Sku", **names)
    names_of_all_kinds = ["", "a", "A", "column_0", "b"]
    assert safe_names(names_of_all_kinds) == ["column_1", "column_2", "column_3", "column_0", "b"]


def test_columns_of_parquet_are_told_apart(tmp_path: Path) -> None:
    """DuckDB takes names that differ in case only for one, and renames the second."""
    values = [pa.array(v) for v in (["u", "v"], [1, 2], ["A", "B"], ["a", "b"])]

    def read(*names: str, **options: str) -> pd.DataFrame:
        pq.write_table(pa.table(values, names=list(names)), tmp_path / "log.parquet")
        return read_events(tmp_path / "log.parquet", **options)

    names = ("session_id", "timestamp", "ITEM_ID", "item_id")
    assert read(*names)["item_id"].tolist() == ["a", "b"]
    assert read(*names, item="ITEM_ID")["item_id"].tolist() == ["A", "B"]
    events = read("Session_ID", "timestamp", "item_id", "session_id")
    assert events["session_id"].tolist() == ["a", "b"]
    with pytest.raises(ConfigError, match=r"log\.parquet has two columns 'item_id'"):
        read("session_id", "timestamp", "item_id", "item_id")


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [
        (
            HEADER + ROWS,
            "utf-16",
            r"log\.csv is not UTF-8 text; it looks like utf-16\. Say so \(encod",
        ),
        (
            HEADER + ROWS,
            "utf-16-be",
            r"log\.csv is not UTF-8 text; it looks like utf-16-be\. Say so",
        ),
        (
            "item_id,größe\n",
            "latin-1",
            r"log\.csv is not UTF-8 text; it looks like cp1252\. Say so",
        ),
        ('item_id,"time\n', "utf-8", r"log\.csv: broken quotes in its names of columns, 'item_id"),
        ("\n\n", "utf-8", r"log\.csv is empty: it has neither names of columns nor data"),
        (HEADER, "utf-8", r"could be read\. log\.csv: there are no rows, only names of columns"),
    ],
)
def test_headers_that_cannot_be_read(
    tmp_path: Path, text: str, encoding: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_events(write(tmp_path, text, encoding=encoding))


def test_a_delimiter_is_one_character(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="delimiter is one character; received '||'"):
        read_events(write(tmp_path, HEADER + ROWS), delimiter="||")


def test_endings_in_any_case(tmp_path: Path) -> None:
    assert len(read_events(write(tmp_path, HEADER + ROWS, "LOG.CSV"))) == 2
    (tmp_path / "LOG.CSV.GZ").write_bytes(gzip.compress((HEADER + ROWS).encode()))
    assert len(read_events(tmp_path / "LOG.CSV.GZ")) == 2


@pytest.mark.parametrize("name", [b"l\xff.csv", b"l\xff.parquet"])
def test_names_of_files_may_be_no_text(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    log = pd.DataFrame({"session_id": [1, 1], "item_id": ["a", "b"], "timestamp": [1, 2]})
    with path.open("wb") as file:
        log.to_csv(file, index=False) if path.suffix == ".csv" else log.to_parquet(file)
    config = PrepareConfig(min_item_count=1, valid_fraction=0, test_fraction=0)
    split = prepare(open_events(path), config)
    assert split.provenance["source"]["name"].startswith(r"l\udcff.")
    split.save(tmp_path / "data")


def test_no_row_of_the_kind_asked_for() -> None:
    log = pd.DataFrame({"item_id": ["a"], "timestamp": 1, "session_id": 1, "event": "buy"})
    with pytest.raises(ValueError, match="none of its 1 rows is an event of this kind"):
        read_events(log, only=lambda rows: rows.event == "view")


def test_frames_with_one_name_twice_are_refused() -> None:
    log = pd.DataFrame([["a", 1, 1, "b"]], columns=["item_id", "timestamp", "session_id", "x"])
    with pytest.raises(ValueError, match="the frame has two columns 'item_id'. Rename or drop"):
        read_events(log.set_axis(["item_id", "timestamp", "session_id", "item_id"], axis=1))


def test_times_of_day_are_no_times(tmp_path: Path) -> None:
    log = pd.DataFrame({"item_id": ["a"], "timestamp": [datetime.time(10)], "session_id": 1})
    log.to_parquet(tmp_path / "log.parquet")
    with pytest.raises(ConfigError, match="time column holds times of day without a date"):
        read_events(tmp_path / "log.parquet")
    with pytest.raises(BadRowsError, match="time '10:00:00' is neither a number nor an ISO 8601"):
        read_events(log)


def test_what_the_database_cannot_do_names_the_file(tmp_path: Path) -> None:
    log = write(tmp_path, HEADER + ROWS)

    def impossible(table: Any) -> Any:
        return table.mutate(timestamp=table.item_id.cast("int64"))

    with pytest.raises(ValueError, match=r"log\.csv cannot be read as events: Conversion Error"):
        read_events(log, derive=impossible)


def test_a_column_of_other_dates_is_told_what_a_date_is() -> None:
    log = pd.DataFrame({"item_id": ["a"], "timestamp": ["01.03.2026 10:00"], "session_id": 1})
    with pytest.raises(
        BadRowsError,
        match=r"time '01\.03\.2026 10:00' is neither a number nor an ISO 8601 date, such as 2026-0",
    ):
        read_events(log)


def visits() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "session_id": np.repeat(np.arange(9), 2),
            "item_id": [1, 2.5] * 9,
            "timestamp": range(18),
        }
    )


SMALL = PrepareConfig(min_item_count=1)


def test_counts_are_those_of_training() -> None:
    with pytest.raises(ValueError, match="The items frame has a column 'count', which is what the"):
        prepare(visits(), SMALL, items=pd.DataFrame({"item_id": [1], "count": [999]}))


def test_facts_that_fit_no_session_are_refused() -> None:
    log = pd.DataFrame({"session_id": [1, 1], "item_id": ["a", "b"], "timestamp": [1, 2]})
    config = PrepareConfig(min_item_count=1, valid_fraction=0, test_fraction=0)
    with pytest.raises(
        ValueError, match="None of the 1 sessions is in session_info, which has 2: .* '1', .* 's1'"
    ):
        prepare(log, config, session_info=pd.DataFrame({"session_id": ["s1", "s2"], "x": 1}))


def test_ids_of_facts_are_read_as_those_of_events() -> None:
    items = pd.DataFrame({"item_id": [1, 2.5], "title": ["One", "Between"]})
    assert prepare(visits(), SMALL, items=items).items["title"].tolist() == ["One", "Between"]
    twice = pd.DataFrame([[1, "x", "y"]], columns=["item_id", "title", "title"])
    with pytest.raises(ValueError, match="The items frame has two columns 'title'"):
        prepare(visits(), SMALL, items=twice)


def test_files_of_items(tmp_path: Path) -> None:
    log = tmp_path / "log.parquet"
    visits().to_parquet(log)

    def titles(items: Path) -> list[str]:
        split = SOURCES["events"].prepare(log, SMALL, items=items)
        return split.items["title"].tolist()

    rows = "1{0}One\n2.5{0}Between\n"
    for name, separator, first in (("i.csv", ";", ""), ("i.TXT", "\t", "sep=\t\n\n")):
        text = first + "item_id{0}title\n" + rows
        assert titles(write(tmp_path, text.format(separator), name)) == ["One", "Between"]
    with pytest.raises(ValueError, match=r"The file of items: .*none\.csv is empty"):
        titles(write(tmp_path, "", "none.csv"))
    with pytest.raises(BadRowsError, match=r"l\.csv, line 2: bytes that are no UTF-8 text"):
        titles(write(tmp_path, "item_id,title\n1,Café\n", "l.csv", "latin-1"))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"item_id,title\n" * 99)[:-9])
    with pytest.raises(
        ValueError, match=r"The file of items: .*cut\.csv\.gz cannot be read to its end: Compr"
    ):
        titles(tmp_path / "cut.csv.gz")
    with pytest.raises(FileNotFoundError, match="the file of items, is a folder"):
        titles(tmp_path)


def test_an_interrupt_is_one_wherever_it_comes() -> None:
    def interrupted(*args: Any) -> Any:
        raise RuntimeError("Query interrupted")

    with pytest.raises(KeyboardInterrupt):
        open_events(visits(), derive=interrupted)


def test_an_interrupted_query_is_an_interrupt() -> None:
    connection = embedded()
    connection.con.execute("SET threads = 1")  # of several, the others finish their parts
    connection.con.execute(
        "CREATE VIEW slow AS SELECT count(*) FROM range(20_000_000) WHERE md5(range::VARCHAR) > ''"
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt), interruptible():
            engine_of(connection).keep(connection.table("slow"), "slow")
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)
