"""Preparation on Spark against DuckDB: the same rows judged, the same files, byte by byte."""

from __future__ import annotations

import datetime
import gzip
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from proxysr.__main__ import main
from proxysr.data import open_events, prepare
from proxysr.data.engines import engine_of
from proxysr.data.preparation import PrepareConfig
from proxysr.data.sessions import SessionSplit
from proxysr.data.sources import SOURCES

pyspark = pytest.importorskip(
    "pyspark", reason="PySpark is not installed (requirements-spark.lock)"
)
if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
    pytest.skip("Java, on which Spark runs, is not installed", allow_module_level=True)

# sockets between Python and Java, which pyspark leaves to the garbage collector
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
IDS = ["a", "b", "'", '"', "\\", "ü", " lead", "tail \t", "\x0bv", "n\u00a0", "\u2028", "e\u0301"]
IDS += ["😀", "A", "Z", "_", "%", "NULL", "0", "00", "1.0", "-0", "", " ", None]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]")
    for name, value in {
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "America/New_York",
    }.items():
        builder = builder.config(name, value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        running = SparkSession.getActiveSession()
        session = running or builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    if running is None:
        session.stop()


@pytest.fixture(scope="module")
def both(spark: Any) -> Any:
    """A function that makes one table in DuckDB and in Spark, with its rows in other orders."""
    duck, cluster = ibis.duckdb.connect(), ibis.pyspark.connect(spark)

    def tables(name: str, columns: dict[str, list[Any]]) -> list[Any]:
        arrow = pa.table(columns)
        duck.con.register("arrow", arrow)
        duck.con.execute(f"CREATE OR REPLACE TABLE {name} AS FROM arrow")
        backwards = arrow.take(pa.array(range(len(arrow))[::-1]))
        spark.createDataFrame(backwards).repartition(3).createOrReplaceTempView(name)
        return [duck.table(name), cluster.table(name)]

    return tables


DATES = ["2009-5-4 7:08", "2020-01-01T24:00:00", "2020-01-01 24:00:00Z", "2020-01-01T23:59:60"]
DATES += ["2020-01-01T07:08:09.1234567", "2020-01-01 07:08:09.9999999Z", "0000-01-01", "0001-01-01"]
DATES += ["9999-12-31T23:59:59Z", "2020-01-01 07:8:09", "2020-02-30", "1582-10-10", "1000-02-29"]
DATES += ["1969-12-31 23:59:59.5", "2020-01-01t07:08:09z", "2009-05-04T23:08:57.5-0130", "now"]
DATES += ["2009-05-04 23:08:57 UTC", "2020-01-01\u2028", "2020-01-01\n", "\x0b2020-01-01", "epoch"]
DATES += ["2020-01-01\u00a0", "2020-01-01T07:08:0 Z", "१२२०-01-01", "2020-01-01T1:02:03.5+14:00"]
DATES += ["2020-01-01T1:02:03.5+19:00", "", " ", "12"]
NUMBERS = ["1_000", "1e", "1.", "+5", ".5", "0x1F", "1e5", "1E+5", "1d", "1f", "15L", "infinity"]
NUMBERS += ["nan", "-inf", "1e400", "1e300", "१२", "\x0b5", "5\u00a0", "5\n", "1500000000.1234565"]
NUMBERS += ["-7.5e-7", "9e12", "9.3e12", "0.0000005", "1.5e-6", "2.5e-6", "TRUE", "", "0b1"]
FLOATS = [1.0, 2.5, np.nan, np.inf, -0.0, 1e20, 12345678.5, 1e-7, 1e-4, 1e-5, 1234567890123456.5]
FLOATS += [1.5e16, 0.1, 1 / 3, 1.7e308, 9007199254740993.0, -3.25, 9.3e18, 0.001, 123.456]
LOCAL = [datetime.datetime(2020, 3, 29, 2, 30, s, s) for s in range(5)]
LOCAL += [datetime.datetime(1900, 1, 1), datetime.datetime(9999, 1, 1)]
TIMES = {
    "dates": ["2020-01-01"] * 40 + DATES,
    "numbers": ["1500000000"] * 40 + NUMBERS,
    "floats": [1.6e18 + number for number in range(30)] + [np.nan, None],
    "naive": LOCAL,
    "zoned": [time.replace(tzinfo=datetime.UTC) for time in LOCAL],
    "days": [datetime.date(2020, 1, day) for day in range(1, 9)]
    + [datetime.date(1850, 2, 3), None],
}


@pytest.mark.parametrize("times", TIMES)
def test_rows_are_judged_alike(both: Any, times: str) -> None:
    column: list[Any] = TIMES[times]
    n = len(column)
    columns = {
        "item_id": (IDS * n)[:n],
        "timestamp": column,
        "session_id": (FLOATS * n)[:n],
        "user_id": ([True, None, False] * n)[:n],
    }
    duck, cluster = [open_events(t, on_bad_rows="drop") for t in both("log", columns)]
    assert cluster.bad_rows == duck.bad_rows
    assert cluster.time_unit == duck.time_unit
    assert cluster.frame().equals(duck.frame())
    assert len(duck.frame()) > 1


def hostile(n: int = 400) -> dict[str, list[Any]]:
    """Clicks of a few ids and times, many of them equal, a few malformed."""
    random = np.random.default_rng(0)

    def drawn_from(values: list[Any], missing: float) -> list[Any]:
        picks = random.integers(0, len(values), n)
        return [None if random.random() < missing else values[i] for i in picks]

    return {
        "item_id": drawn_from(["a", "b", "ü", "x y", "A", '"', "'q'", "c", "d", ""], 0.03),
        "timestamp": drawn_from([1_600_000_000.0 + 600 * k for k in range(300)], 0.01),
        "session_id": drawn_from([f"s{k}" for k in range(60)], 0.2),
        "user_id": drawn_from([float(k) for k in range(12)], 0.1),
        "title": drawn_from(["one", "two", "drei"], 0.1),
    }


def files_of(split: SessionSplit, folder: Path) -> dict[str, bytes]:
    split.save(folder)
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    "config",
    [
        PrepareConfig(sessions="given", max_mixed_sessions=1, drop_repeats=True),
        PrepareConfig(sessions="gap", min_item_count=3, recent_fraction=0.5),
        PrepareConfig(sessions="day", day_starts_at=4.5, first_filter="sessions", rounds="once"),
    ],
    ids=lambda config: config.sessions,
)
def test_the_same_files_byte_by_byte(both: Any, tmp_path: Path, config: PrepareConfig) -> None:
    items = pd.DataFrame({"item_id": ["a", "ü"], "price": [1.5, 2.5]})
    duck, cluster = [
        files_of(
            prepare(open_events(table, on_bad_rows="drop"), config, items=items),
            tmp_path / f"{number}",
        )
        for number, table in enumerate(both("clicks", hostile()))
    ]
    assert cluster == duck
    assert len(duck) > 10


def test_nothing_is_left_on_the_executors(both: Any, spark: Any) -> None:
    storage = spark.sparkContext._jsc.getPersistentRDDs
    before = storage().size()
    _, table = both("log", {"item_id": ["b", "a", "b"]})
    engine = engine_of(table.get_backend())
    kept = engine.numbered(table.distinct(), ["item_id"], "place")
    assert engine.fetch(kept.order_by("place"))["item_id"].to_pylist() == ["a", "b"]
    assert storage().size() == before + 1
    engine.discard(kept)
    assert storage().size() == before


def test_files_are_read_by_the_command(spark: Any, tmp_path: Path, capsys: Any) -> None:
    lines = [
        f'{1_600_000_000 + 100 * v + k},"sku, {(v + k) % 5}",v{v}'
        for v in range(30)
        for k in range(3)
    ]
    bad = [
        "1600000000,a",
        "1600000000,a,v1,more",
        '1600000001,"open,v1',
        "soon,a,v1",
        "1600000002,,v2",
    ]
    for number, part in enumerate((lines[:50] + bad, lines[50:])):
        text = "\n".join(["when,sku,visit", *part, ""])
        (tmp_path / f"log-{number}.csv.gz").write_bytes(gzip.compress(text.encode()))
    words = ["prepare", str(tmp_path / "*.csv.gz"), str(tmp_path / "data"), "--format", "spark"]
    words += ["--item", "sku", "--time", "when", "--session", "visit"]
    assert main(words) == 2
    assert (
        "5 of 95 rows are malformed (3 × wrong number of fields, 1 × no item, 1 × unreadable"
        in (capsys.readouterr().err)
    )
    assert main([*words, "--on-bad-rows", "drop"]) == 0
    assert (
        "  row with item_id 'a', session_id 'v1': time 'soon' is not a n" in capsys.readouterr().err
    )
    names = ["timestamp", "item_id", "session_id"]
    frame = pd.DataFrame([line.replace('"', "").rsplit(",", 1) for line in lines])
    frame[["a", "b"]] = frame[0].str.split(",", n=1, expand=True)
    events = frame[["a", "b", 1]].set_axis(names, axis="columns")
    split = SessionSplit.load(tmp_path / "data")
    assert split.fingerprint() == prepare(events).fingerprint()
    assert split.provenance["source"]["name"] == str(tmp_path / "*.csv.gz")


def test_parquet_files_are_read(spark: Any, tmp_path: Path) -> None:
    arrow = pa.table({"item_id": ["b", "a"], "timestamp": [2, 1], "session_id": ["s", "s"]})
    spark.createDataFrame(arrow).write.parquet(str(tmp_path / "log"))
    with pytest.raises(ValueError, match="1 session is too few for three parts"):
        SOURCES["spark"].prepare(tmp_path / "log", PrepareConfig(min_item_count=1))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no_such_table", "no_such_table cannot be prepared on Spark: .*no_such_table"),
        ("/no/such/log.parquet", "/no/such/log.parquet cannot be prepared on Spark: .*PATH_NOT_FO"),
    ],
)
def test_what_spark_cannot_read_is_one_line(spark: Any, source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        SOURCES["spark"].prepare(source)
    assert "\n" not in str(caught.value)
