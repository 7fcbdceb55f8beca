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

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from proxysr.config import ConfigError, require, unknown
from proxysr.data import delimited
from proxysr.data.containers import as_utf8, damaged, encoding_of, kind_of
from proxysr.data.engines import embedded, folder_of, interruptible
from proxysr.data.frames import kind_of_frame, refused
from proxysr.data.reading import Derive, EventTable, Names, Reading
from proxysr.data.rows import BadRows, OnBadRows

__all__ = ["BadRows", "EventTable", "TimeUnit", "open_events", "read_events"]

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "order"]


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
        ``attrs["remarks"]`` a list of sentences.

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
    derive: Derive | None = None,
    only: Derive | None = None,
    connection: Any = None,
) -> EventTable:
    """Open a log as a table of well-formed events, out of core.

    Parameters
    ----------
    source : path, frame or table
        A file: Parquet, or text such as CSV, also compressed (gzip, zstd, bz2, xz); what it is
        is told by its content, and its path is no pattern. Or a frame of pandas, polars or
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
    given = (item, time, session, user, title)
    names = Names(*(None if name is None else str(name) for name in given))
    words = ("", *((missing,) if isinstance(missing, str) else missing))
    reading = Reading(connection, names, words, time_unit, on_bad_rows, derive, only)
    if _is_table(source):
        return reading.table(source)
    if name := kind_of_frame(source):
        return reading.frame(source, name)
    if not isinstance(source, str | os.PathLike):
        raise refused(source)
    path = Path(source)
    kind = kind_of(path)
    require(
        connection.name == "duckdb",
        f"Files are read by DuckDB; received a connection to {connection.name}. Hand in a table.",
    )
    with _readable(path):
        if kind == "parquet":
            return reading.parquet(path)
        text = as_utf8(path, encoding, folder_of(connection))
        dialect = delimited.dialect_of(
            text, str(path), delimiter=delimiter, quote=quote, columns=columns, header=header,
            encoding=encoding_of(encoding).upper(),
        )  # fmt: skip
        return reading.text(path, text, dialect)


def sessions_of(tables: Sequence[EventTable], how: str) -> str:
    """What a session is in some logs: "given", "day" or "gap"; ``how`` may be "auto", too.

    Raises
    ------
    ConfigError
        If the logs lack what it needs.
    """
    if how == "auto":
        how = "given" if all(table.has_session for table in tables) else "day"
    if how == "given":
        if not all(table.has_session for table in tables):
            raise ConfigError(
                "sessions='given' needs a column of session ids and the events have none. Name it "
                "(session=…, --session), or cut users' events by sessions='day' or 'gap'."
            )
        return how
    if not all(table.has_user for table in tables):
        raise ConfigError(
            f"sessions={how!r} cuts the events of users, and the events have no column of users. "
            "Name it (user=…, --user)."
        )
    if any(table.time_unit == "order" for table in tables):
        raise ConfigError(
            f"sessions={how!r} needs dates, and the times of the events look like running numbers."
            " If they are times, say of which unit (time_unit=…, --time-unit); else give session "
            "ids."
        )
    return how


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


def _is_table(source: Any) -> bool:
    """Whether ``source`` is an Ibis table, without importing Ibis for those who use none."""
    return hasattr(source, "get_backend") and hasattr(source, "schema")
