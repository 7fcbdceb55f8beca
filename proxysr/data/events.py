"""Session logs as they come: any CSV, TSV, Parquet or frame, with the caller's column names.

>>> import pandas as pd
>>> log = pd.DataFrame({"what": ["a", "b"], "when": [10, 20], "visit": [1, 1]})
>>> read_events(log, item="what", time="when", session="visit")
  item_id  timestamp session_id
0       a         10          1
1       b         20          1

:func:`read_events` gives an *events frame*. :func:`open_events` gives the same
rows as a table in an embedded database, so that a log larger than memory can be
prepared; ``prepare`` takes either and treats them alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from proxysr.config import require, unknown
from proxysr.data import delimited, frames
from proxysr.data.canonical import PER_UNIT, TEXTS, canonical, fault, time_kind
from proxysr.data.embedded import embedded, folder_of, interruptible
from proxysr.data.engines import Engine, engine_of
from proxysr.data.rows import NAMED, BadRow, BadRows, OnBadRows, judge

__all__ = ["BadRows", "EventTable", "TimeUnit", "open_events", "read_events"]

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "order"]
TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
Derive = Callable[[Any], Any]
FRAME_ROW, PARQUET_ROW = "row_of_frame", "file_row_number"
OWN = (FRAME_ROW, PARQUET_ROW, delimited.LINE, delimited.RECORD)
"""Columns that number the rows of a source, or hold what is none; not the caller's."""


@dataclass(frozen=True)
class EventTable:
    """Well-formed events as a table in a database.

    Attributes
    ----------
    connection : ibis backend
        Where the table lives.
    table : ibis table
        ``row`` (int64, ascending in the order of the source; a table of a database has
        no order, and no such column), ``item_id`` (text),
        ``time`` (int64, microseconds; since 1970 unless the unit is "order"),
        ``session_id`` and ``user_id`` (text, null where unknown; absent columns
        are all null), ``title`` (text or null).
    has_session, has_user, has_title : bool
        Which of these columns the source had.
    time_unit : str
        "s", "ms", "us", "ns", "date", or "order" for running numbers without a date.
    n_read : int
        Rows read, before rows that are none of the events asked for are left out.
    bad_rows : BadRows
        Which of the events asked for were left out as malformed, and why.
    source : dict
        Where the events came from (name, SHA-256), for the provenance.
    """

    connection: Any
    table: Any
    has_session: bool
    has_user: bool
    has_title: bool
    time_unit: str
    n_read: int
    bad_rows: BadRows
    source: dict[str, Any] = field(default_factory=dict)

    def frame(self) -> pd.DataFrame:
        """The events as a DataFrame (in memory): columns as :func:`read_events` describes."""
        order = ["row"] if "row" in self.table.columns else ["time", *TEXTS]
        table = engine_of(self.connection).home(self.table.order_by(order))
        columns: dict[str, Any] = {"item_id": table["item_id"].to_pandas()}
        columns["timestamp"] = _given_times(table["time"].to_numpy(), self.time_unit)
        for name, has in (("session_id", self.has_session), ("user_id", self.has_user)):
            if has:
                columns[name] = table[name].to_pandas()
        if self.has_title:
            columns["title"] = table["title"].to_pandas()
        frame = pd.DataFrame(columns)
        frame.attrs["bad_rows"] = self.bad_rows
        frame.attrs["source"] = self.source
        return frame


def read_events(source: Any, **options: Any) -> pd.DataFrame:
    """Read a log into an events frame (all of it in memory).

    Parameters
    ----------
    source, **options
        As for :func:`open_events`.

    Returns
    -------
    DataFrame
        ``item_id`` (text), ``timestamp`` (numbers stay numbers, in the unit given and
        to the microsecond; dates become naive UTC ``datetime64[us]``), ``session_id``
        and ``user_id`` (text; those that the log has), ``title`` (if it has one). Rows
        in the order of the source; those of a database table by time, item, session,
        user and title. ``attrs["bad_rows"]`` is a :class:`BadRows`.

    Raises
    ------
    BadRowsError, ValueError, ConfigError
        As :func:`open_events`.
    """
    return open_events(source, **options).frame()


@interruptible()
def open_events(
    source: Any,
    *,
    item: str = "item_id",
    time: str = "timestamp",
    session: str | None = None,
    user: str | None = None,
    title: str | None = None,
    time_unit: TimeUnit = "auto",
    on_bad_rows: OnBadRows = "error",
    missing: Sequence[str] = (),
    delimiter: str | None = None,
    quote: str = '"',
    columns: Sequence[str] | None = None,
    derive: Derive | None = None,
    only: Derive | None = None,
    connection: Any = None,
) -> EventTable:
    """Open a log as a table of well-formed events, out of core.

    Parameters
    ----------
    source : path, DataFrame or ibis table
        A ``.csv``, ``.tsv`` or ``.txt`` file (also ``.gz``), a ``.parquet`` file, a
        frame, or a table of any Ibis backend (with its ``connection``).
    item, time : str
        The caller's names of the item and time columns.
    session, user, title : str, optional
        The caller's names of these columns; by default ``session_id``, ``user_id``
        and ``title`` where present. A log needs a session or a user column.
    time_unit : "auto", "s", "ms", "us", "ns" or "order"
        Unit of numeric times. "order" are running numbers that are no dates. "auto"
        judges by size: from 1e8 seconds (1973), from 1e11 ms, from 1e14 µs, from 1e17
        ns, below that "order". ISO 8601 dates (UTC unless they say otherwise) are known
        as such.
    on_bad_rows : "error" or "drop"
        What to do about rows without an item, with a time that is none, with neither
        session nor user, or with a wrong number of fields.
    missing : sequence of str
        Words that mean "no value", besides empty text (such as "NA").
    delimiter : str, optional
        Of a text file; by default the one that splits the first line into most fields.
    quote : str
        Quote character of a text file; "" if quotes have no meaning in it.
    columns : sequence of str, optional
        Names of the columns of a text file that has no header line.
    derive : callable, optional
        From the raw ibis table to one with more columns, such as a time made of two.
    only : callable, optional
        From that table to a boolean column: rows where it is not true are none of the
        events asked for (such as other kinds of events), and not judged.
    connection : ibis backend, optional
        The database to use; by default an embedded one in a temporary folder.

    Raises
    ------
    BadRowsError
        If rows are malformed and ``on_bad_rows`` is "error".
    ValueError
        If the source is of no known kind, or all its rows are malformed.
    ConfigError
        If a named column does not exist.
    """
    require(time_unit in get_args(TimeUnit), unknown(time_unit, get_args(TimeUnit), "time unit"))
    require(on_bad_rows in get_args(OnBadRows), unknown(on_bad_rows, get_args(OnBadRows), "choice"))
    if connection is None:
        connection = source.get_backend() if _is_table(source) else embedded()
    names = _Names(item, time, session, user, title)
    reading = _Reading(connection, names, ("", *missing), time_unit, on_bad_rows, derive, only)
    if isinstance(source, pd.DataFrame):
        return reading.frame(source)
    if _is_table(source):
        return reading.table(source)
    path = Path(source)
    if not path.is_file():
        raise ValueError(f"{path} is not a file. Name a CSV, TSV or Parquet file.")
    kind = path.name.lower().removesuffix(".gz")
    with _to_its_end(path):
        if kind.endswith(".parquet"):
            return reading.parquet(path)
        if kind.endswith(TEXT_SUFFIXES):
            dialect = delimited.dialect_of(path, delimiter=delimiter, quote=quote, columns=columns)
            return reading.text(path, dialect)
    raise ValueError(
        f"{path} is of no kind that can be read: its name ends in {path.suffix!r}. "
        f"Known endings: {', '.join(TEXT_SUFFIXES)} (also with .gz) and .parquet."
    )


class _Names(NamedTuple):
    """The caller's names of the columns."""

    item: str
    time: str
    session: str | None
    user: str | None
    title: str | None

    def among(self, columns: Sequence[str], where: str) -> dict[str, str]:
        """{canonical name: the caller's name} of what ``columns`` has; ConfigError if lacking."""
        found = {"item_id": self.item, "timestamp": self.time}
        optional = {"session_id": self.session, "user_id": self.user, "title": self.title}
        for name, given in optional.items():
            if given is not None or name in columns:
                found[name] = given or name
        for given in found.values():
            require(given in columns, unknown(str(given), map(str, columns), f"column of {where}"))
        require(
            "session_id" in found or "user_id" in found,
            f"{where} has no column session_id or user_id. Say which column holds the sessions "
            f"(session=…, --session) or the users (user=…, --user). "
            f"Its columns: {', '.join(map(str, columns))}.",
        )
        return found


class _Raw(NamedTuple):
    """Rows as the source has them, under canonical names, and how to say where one is.

    Without ``place`` they have no order, and where one is, only its contents say.
    """

    table: Any
    place: Callable[[list[int]], list[str]] | None = None
    malformed: delimited.Repaired | None = None


@dataclass(frozen=True)
class _Reading:
    """One call of :func:`open_events`: from each kind of source to well-formed events."""

    connection: Any
    names: _Names
    words: tuple[str, ...]
    time_unit: str
    on_bad_rows: OnBadRows
    derive: Derive | None
    only: Derive | None

    def named(
        self, table: Any, where: str, theirs: Mapping[str, str] | None = None, **more: Any
    ) -> Any:
        """``table`` with canonical names, and ``wanted`` if only some rows are asked for.

        ``theirs`` are the caller's names of columns that the database has other names for.
        """
        table = self.derive(table) if self.derive else table
        theirs = theirs or {}
        columns = [theirs.get(name, name) for name in table.columns if name not in OWN]
        found = self.names.among([name for name in columns if name], where)
        if self.only:
            more["wanted"] = self.only(table).fill_null(False)
        if delimited.RECORD in table.columns:
            more["broken"] = table[delimited.RECORD]
        safe = {their: name for name, their in theirs.items()}
        return table.select(
            **{name: table[safe.get(given, given)] for name, given in found.items()}, **more
        )

    def frame(self, frame: pd.DataFrame) -> EventTable:
        import ibis

        frame = frame.set_axis(frame.columns.map(str), axis="columns")
        frames.check_names(frame, "the frame")
        plain = pd.DataFrame({name: frames.plain(frame[name]) for name in frame.columns})
        safe = delimited.safe_names(list(frame.columns))
        theirs = dict(zip(safe, frame.columns, strict=True))
        plain.columns = pd.Index(safe)
        plain[FRAME_ROW] = np.arange(len(plain), dtype=np.int64)
        if self.connection.name == "duckdb":
            import pyarrow as pa

            name = ibis.util.gen_name("proxysr_frame")
            arrow = pa.Table.from_pandas(plain, preserve_index=False)
            self.connection.con.register(name, arrow)
            table = self.connection.table(name)
        else:
            table = ibis.memtable(plain)
        raw = _Raw(self.named(table, "the frame", theirs, row=table[FRAME_ROW]), _rows)
        events = self.judged(raw, {"name": "DataFrame", "sha256": frames.hash_of(plain)})
        if self.connection.name == "duckdb":
            self.connection.con.unregister(name)
        return events

    def table(self, table: Any) -> EventTable:
        name = table.get_name() if hasattr(table.op(), "name") else "table"
        return self.judged(_Raw(self.named(table, f"table {name}")), {"name": name})

    def parquet(self, path: Path) -> EventTable:
        import ibis

        name = ibis.util.gen_name("proxysr_parquet")
        self.connection.con.execute(
            f'CREATE VIEW "{name}" AS SELECT * FROM '
            f"read_parquet({delimited.sql_text(str(path))}, file_row_number = true)"
        )
        table = self.connection.table(name)
        raw = self.named(table, path.name, row=table[PARQUET_ROW])
        return self.judged(_Raw(raw, _rows), _origin(path))

    def text(self, path: Path, dialect: delimited.Dialect) -> EventTable:
        import duckdb
        import ibis

        view = ibis.util.gen_name("proxysr_text")
        theirs = dict(zip(dialect.safe, dialect.columns, strict=True))

        def place(records: list[int]) -> list[str]:
            return [f"line {line}" for line in delimited.lines_of(path, dialect, records)]

        try:
            raw = self.named(
                delimited.scan(self.connection, path, dialect, view), path.name, theirs
            )
            return self.judged(_Raw(raw, place), _origin(path))
        except duckdb.InvalidInputException:  # DuckDB refuses the file: find out which lines
            repaired = delimited.repair(path, dialect, folder_of(self.connection))
        table = self.connection.read_parquet(repaired.parquet)
        raw = self.named(table, path.name, theirs, row=table[delimited.LINE])
        return self.judged(
            _Raw(raw, lambda lines: [f"line {line}" for line in lines], repaired), _origin(path)
        )

    def judged(self, raw: _Raw, origin: dict[str, Any]) -> EventTable:
        """Make the events of ``raw`` canonical, and count and name its malformed rows."""
        engine = engine_of(self.connection)
        kind = time_kind(raw.table, self.time_unit, self.words, engine)
        table = engine.keep(canonical(raw.table, kind, self.words, engine), "events")
        if raw.place and "row" not in table.columns:
            # DuckDB keeps the order of the file and numbers the rows of a table
            table = table.mutate(row=table.rowid())
        n_read = engine.n_rows(table)
        n_read += raw.malformed.n_bad if raw.malformed else 0
        if self.only:
            table = table.filter(table.wanted)
        report = _report(engine, table, kind, raw, origin["name"])
        judge(report, self.on_bad_rows)
        if not report.n_rows:
            none = f"none of its {n_read:,} rows is an event of this kind"
            raise ValueError(
                f"No event could be read. {report.source}: "
                f"{none if n_read else 'there are no rows, only names of columns'}."
            )
        if report.n_bad >= report.n_rows:
            raise ValueError(f"No event could be read. {report}")
        good = table.filter(table.fault.isnull()) if report.n_bad else table
        return EventTable(
            self.connection,
            good.drop("fault", "received", *(["wanted"] if self.only else [])),
            has_session="session_id" in raw.table.columns,
            has_user="user_id" in raw.table.columns,
            has_title="title" in raw.table.columns,
            time_unit=kind,
            n_read=n_read,
            bad_rows=report,
            source=origin,
        )


def _report(engine: Engine, table: Any, kind: str, raw: _Raw, name: str) -> BadRows:
    counts = engine.home(table.group_by("fault").aggregate(n=table.count())).to_pylist()
    reasons = {row["fault"]: row["n"] for row in counts if row["fault"] is not None}
    n_rows = sum(row["n"] for row in counts)
    named: list[BadRow] = []
    if reasons:
        order = ["row"] if raw.place else [*TEXTS, "time", "fault", "received"]
        first = table.filter(table.fault.notnull()).order_by(order).limit(NAMED)
        bad = engine.home(first).to_pylist()
        places = raw.place([row["row"] for row in bad]) if raw.place else map(_contents, bad)
        named = [
            BadRow(place, fault(row["fault"], row["received"], kind))
            for row, place in zip(bad, places, strict=True)
        ]
    if raw.malformed is not None:
        reasons |= raw.malformed.reasons
        n_rows += raw.malformed.n_bad
        named = sorted(named + raw.malformed.first, key=lambda bad: int(bad.place[5:]))
    ordered = dict(sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0])))
    return BadRows(name, n_rows, ordered, tuple(named[:NAMED]))


def _contents(row: Mapping[str, Any]) -> str:
    """Where a row of a table is, which has no place but its contents."""
    known = ", ".join(f"{name} {row[name]!r}" for name in TEXTS if row[name] is not None)
    return f"row with {known or 'nothing'}"


@contextmanager
def _to_its_end(path: Path) -> Iterator[None]:
    """Name the file in errors of reading it, which decompressors and DuckDB may not."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException:
        raise
    except (*delimited.BROKEN, duckdb.IOException, duckdb.InvalidInputException) as error:
        raise ValueError(
            f"{path} cannot be read to its end: {str(error).splitlines()[0]}. Is it damaged, or "
            "the disk of the temporary folder full?"
        ) from None
    except duckdb.Error as error:
        raise ValueError(f"{path} cannot be read as events: {str(error).splitlines()[0]}") from None


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _origin(path: Path) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def _rows(numbers: list[int]) -> list[str]:
    return [f"row {number}" for number in numbers]


def _is_table(source: Any) -> bool:
    """Whether ``source`` is an Ibis table, without importing Ibis for those who use none."""
    return hasattr(source, "get_backend") and hasattr(source, "schema")


def _given_times(time: np.ndarray[Any, np.dtype[np.int64]], unit: str) -> Any:
    """Microseconds as the source had them: dates, or numbers of ``unit``."""
    if unit == "date":
        return time.view("datetime64[us]")
    per_unit = PER_UNIT[unit]
    if per_unit < 1:
        return time * int(1 / per_unit)
    whole = int(per_unit)
    return time // whole if (time % whole == 0).all() else time / whole
