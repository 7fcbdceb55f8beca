"""Reads session logs: any CSV, TSV, Parquet or frame, with the caller's column names.

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

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from proxysr.config import require, unknown
from proxysr.data import delimited, raw, remarks
from proxysr.data.bad_rows import NAMED, BadRow, BadRows, OnBadRows, refuse
from proxysr.data.cleaning import (
    PER_UNIT,
    TEXTS,
    TimeKind,
    clean,
    fault_text,
    time_kind,
)
from proxysr.data.containers import damaged, kind_of
from proxysr.data.engines import Engine, embedded, engine_of, interruptible, temporary_folder
from proxysr.data.ids import words_of

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "order"]
OF_READING = {"time_unit", "n_read", "bad_rows", "source"}
"""What an events frame keeps of how it was read, in its ``attrs``."""


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
        ``time`` (int64, microseconds since 1970; if the unit is "order", the running numbers
        or, where they have fractions, millionths), ``sub`` (int64, nanoseconds beyond ``time``;
        only where there are any),
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
    whole : bool
        Whether no running number has a fraction.
    remarks : tuple of str
        Sentences on what was noticed.
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
    whole: bool = True
    remarks: tuple[str, ...] = ()

    def frame(self) -> pd.DataFrame:
        """The events as a DataFrame (in memory): columns as :func:`read_events` describes."""
        order = ["row"] if "row" in self.table.columns else ["time", *TEXTS]
        table = engine_of(self.connection).fetch(self.table.order_by(order))
        columns: dict[str, Any] = {"item_id": table["item_id"].to_pandas()}
        sub = table["sub"].to_numpy() if "sub" in table.column_names else 0
        unit = "us" if self.time_unit == "order" and self.whole else self.time_unit
        columns["timestamp"] = _in_unit(table["time"].to_numpy(), sub, unit)
        optional = {
            "session_id": self.has_session, "user_id": self.has_user, "title": self.has_title
        }  # fmt: skip
        columns |= {name: table[name].to_pandas() for name, has in optional.items() if has}
        frame = pd.DataFrame(columns)
        frame.attrs |= {name: getattr(self, name) for name in OF_READING}
        frame.attrs["remarks"] = list(self.remarks)
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
        user and title. ``attrs["bad_rows"]`` is a :class:`BadRows`,
        ``attrs["remarks"]`` a list of sentences, and ``attrs["time_unit"]`` the unit of the
        numbers in ``timestamp``, by which ``prepare`` takes them.

    Raises
    ------
    BadRowsError, ValueError, ConfigError
        As :func:`open_events`.
    """
    known = list(signature(open_events).parameters)[1:]
    if unknowns := [name for name in options if name not in known]:
        raise TypeError(unknown(unknowns[0], known, "option of read_events"))
    return open_events(source, **options).frame()


def as_table(events: Any, connection: Any = None) -> EventTable:
    """What ``prepare`` takes as a table; a frame of :func:`read_events` with all that it knows.

    If rows were taken from the frame or added since, where it was read from and how many rows were
    malformed is no longer said of it.
    """
    if isinstance(events, EventTable):
        return events
    if not isinstance(events, pd.DataFrame) or not events.attrs.keys() >= OF_READING:
        return open_events(events, connection=connection)
    known = {name: events.attrs[name] for name in OF_READING}
    is_number = pd.api.types.is_numeric_dtype(events.get("timestamp", np.array(["none"])))
    unit: Any = known["time_unit"] if is_number else "auto"
    table = open_events(events, time_unit=unit, connection=connection)
    remarks = dict.fromkeys([*events.attrs.get("remarks", ()), *table.remarks])
    if len(events) != known["bad_rows"].n_rows - known["bad_rows"].n_bad:
        known = {}
    return replace(table, **known | {"time_unit": table.time_unit, "remarks": tuple(remarks)})


@interruptible()
def open_events(
    source: Any,
    *,
    item: str | int = "item_id",
    time: str | int = "timestamp",
    session: str | int | None = None,
    user: str | int | None = None,
    title: str | int | None = None,
    time_unit: TimeUnit = "auto",
    on_bad_rows: OnBadRows = "error",
    missing: Sequence[str] = (),
    delimiter: str | None = None,
    quote: str = '"',
    columns: Sequence[str] | None = None,
    header: bool = True,
    encoding: str | None = None,
    derive: raw.Derive | None = None,
    only: raw.Derive | None = None,
    connection: Any = None,
) -> EventTable:
    """Open a log as a table of well-formed events, out of core.

    Parameters
    ----------
    source : path, frame or table
        A file: Parquet, or text such as CSV, also compressed (gzip, zstd, bz2, xz); its kind is
        detected from its content. Or a frame of pandas, polars or
        Arrow, a DuckDB relation, or a table of any Ibis backend (with its ``connection``).
    item, time : str or int
        The caller's names of the item and time columns.
    session, user, title : str or int, optional
        The caller's names of these columns; by default ``session_id``, ``user_id``
        and ``title`` where present. A log needs a session or a user column.
    time_unit : "auto", "s", "ms", "us", "ns" or "order"
        Unit of numeric times. "order" are running numbers that are no dates. "auto"
        judges by the size of most: from 1e8 seconds (1973), from 1e11 ms, from 1e14 µs, from
        1e17 ns, below that "order"; the others are malformed where they are not from 1973 to
        2199. Numbers such as 20260301 or 20260301100058, and ISO 8601 dates (UTC unless they
        say otherwise), are known as such. Dates outside of 1900 to 2199 are malformed.
    on_bad_rows : "error" or "drop"
        What to do about rows without an item, with a time that is none, with neither
        session nor user, with a wrong number of fields, broken quotes, or bytes that are no
        text in the encoding.
    missing : sequence of str
        Words that mean "no value", besides empty text (such as "NA").
    delimiter : str, optional
        Of a text file, of any length; by default the one that splits the first line into most
        fields, or ``::``.
    quote : str
        Quote character of a text file; "" if quotes have no meaning in it.
    columns : sequence of str, optional
        Names of the columns of a text file that has no header line.
    header : bool
        Whether a text file begins with the names of its columns; if not, and without
        ``columns``, they are called 1, 2, 3, ….
    encoding : str, optional
        Of a text file; UTF-8 by default.
    derive : callable, optional
        From the raw ibis table to one with more columns, such as a time made of two. What is wrong
        with a row, if anything, may stand in a column ``proxysr.data.raw.UNREADABLE``.
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
    is_table = hasattr(source, "get_backend") and hasattr(source, "schema")  # of Ibis
    if connection is None:
        connection = source.get_backend() if is_table else embedded()
    given = {"item_id": item, "timestamp": time, "session_id": session, "user_id": user}
    names = {n: None if g is None else str(g) for n, g in (given | {"title": title}).items()}
    chosen = raw.Columns(names, derive, only)
    words = ("", *words_of(missing))

    def checked(rows: raw.RawRows) -> EventTable:
        return _well_formed(connection, rows, time_unit, words, on_bad_rows)

    if is_table:
        return checked(raw.table_rows(source, chosen))
    if name := raw.name_of_frame(source):
        return checked(raw.frame_rows(engine_of(connection), source, name, chosen))
    if not isinstance(source, str | os.PathLike):
        raise raw.not_a_log(source)
    path = Path(source)
    kind = kind_of(path)
    require(
        connection.name == "duckdb",
        f"Files are read by DuckDB; received a connection to {connection.name}. Hand in a table.",
    )
    with _readable(path):
        if kind == "parquet":
            return checked(raw.parquet_rows(connection, path, chosen))
        text, dialect = delimited.open_text(
            path, temporary_folder(connection), encoding,
            delimiter=delimiter, quote=quote, columns=columns, header=header,
        )  # fmt: skip
        file = (connection, path, text, dialect, chosen)
        if not delimited.is_odd(text, dialect):
            import duckdb

            try:
                return checked(raw.text_rows(*file))
            except duckdb.InvalidInputException:  # find out which lines DuckDB refuses
                pass
        return checked(raw.repaired_rows(*file))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Name the file in errors of reading it, which DuckDB may not."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException:
        raise
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise damaged(path, error) from None
    except duckdb.Error as error:
        raise ValueError(f"{path} cannot be read as events: {str(error).splitlines()[0]}") from None


def _well_formed(
    connection: Any, rows: raw.RawRows, time_unit: str, words: Sequence[str], on_bad_rows: str
) -> EventTable:
    """The well-formed events of raw rows; malformed ones are counted, and the first ones listed."""
    engine, source = engine_of(connection), rows.origin["name"]
    kind = time_kind(rows.table, time_unit, words, engine)
    table = engine.keep(clean(rows.table, kind, words, engine), "events")
    if rows.places and "row" not in table.columns:
        # DuckDB keeps the order of the file and numbers the rows of a table
        table = table.mutate(row=table.rowid())
    n_read = engine.n_rows(table) + (rows.malformed.n if rows.malformed else 0)
    if "wanted" in table.columns:
        table = table.filter(table.wanted)
    faults = _faults(engine, table)
    report = _report(engine, table, faults, kind, rows)
    refuse(report, on_bad_rows)
    if not report.n_rows:
        none = f"none of its {n_read:,} rows is an event of this kind"
        raise ValueError(
            f"No event could be read. {source}: "
            f"{none if n_read else 'there are no rows, only names of columns'}."
        )
    if report.n_bad >= report.n_rows:
        raise ValueError(f"No event could be read. {report}")
    good = table.filter(table.fault.isnull()) if report.n_bad else table
    whole = not any(fault.get("fractions") for fault in faults)
    if not whole:
        good = good.mutate(time=good.fraction)
    extra = {"wanted", "fraction"} & set(good.columns)
    if "sub" in good.columns and not any(fault.get("finer") for fault in faults):
        extra.add("sub")
    return EventTable(
        connection,
        good.drop("fault", "received", "strange", "zoned", *sorted(extra)),
        has_session="session_id" in rows.table.columns,
        has_user="user_id" in rows.table.columns,
        has_title="title" in rows.table.columns,
        time_unit=kind.unit,
        n_read=n_read,
        bad_rows=report,
        source=rows.origin,
        whole=whole,
        remarks=tuple(remarks.on_reading(faults, kind, source, guessed=time_unit == "auto")),
    )


def _faults(engine: Engine, table: Any) -> list[dict[str, Any]]:
    """Of each kind of fault, and of none: the number of rows, and what else is counted."""
    more = {}
    if "fraction" in table.columns:
        more["fractions"] = (table.time.isnull() & table.fraction.notnull()).sum()
    if "sub" in table.columns:
        more["finer"] = (table["sub"] != 0).sum()
    counted = table.group_by("fault").aggregate(
        n=table.count(),
        strange=table.strange.count(),
        such_as=table.strange.min(),
        zoned=table.zoned.sum(),
        **more,
    )
    faults: list[dict[str, Any]] = engine.fetch(counted).to_pylist()
    return faults


def _report(
    engine: Engine, table: Any, faults: list[dict[str, Any]], kind: TimeKind, rows: raw.RawRows
) -> BadRows:
    reasons = {fault["fault"]: fault["n"] for fault in faults if fault["fault"] is not None}
    n_rows = sum(fault["n"] for fault in faults)
    named: list[BadRow] = []
    if reasons:
        order = ["row"] if rows.places else [*TEXTS, "time", "fault", "received"]
        first = table.filter(table.fault.notnull()).order_by(order).limit(NAMED)
        bad = engine.fetch(first).to_pylist()
        places = rows.places([row["row"] for row in bad]) if rows.places else map(_contents, bad)
        named = [
            BadRow(place, fault_text(row["fault"], row["received"], kind))
            for row, place in zip(bad, places, strict=True)
        ]
    hint = ""
    if rows.malformed is not None:
        reasons |= rows.malformed.reasons
        n_rows += rows.malformed.n
        named = sorted(named + rows.malformed.first, key=lambda row: row.number)
        hint = rows.malformed.hint
    ordered = dict(sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0])))
    return BadRows(rows.origin["name"], n_rows, ordered, tuple(named[:NAMED]), hint)


def _contents(row: Mapping[str, Any]) -> str:
    """A row of a database table, described by its contents."""
    values = ", ".join(f"{name} {row[name]!r}" for name in TEXTS if row[name] is not None)
    return f"row with {values or 'nothing'}"


def _in_unit(time: np.ndarray[Any, np.dtype[np.int64]], sub: Any, unit: str) -> Any:
    """Microseconds as the source had them: dates, or numbers of ``unit``."""
    if unit == "date":
        return time.view("datetime64[us]")
    if unit == "ns":
        return time * 1000 + sub
    whole = int(PER_UNIT[unit])
    return time // whole if (time % whole == 0).all() else time / whole
