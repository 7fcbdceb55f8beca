"""Delimited text files (CSV, TSV, ``;`` …), plain or gzipped, as DuckDB tables of text.

A well-formed file is scanned by DuckDB in place. Only if DuckDB refuses it, the
file is read again line by line: the lines with the right number of fields go to
a temporary Parquet file with their line numbers, the others are named.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from proxysr.config import require
from proxysr.data.rows import NAMED, BadRow

DELIMITERS = (",", "\t", ";", "|")
LINE = "file_line"
"""Column that carries the line number of a record where the file was read line by line."""
RECORD = "broken_record"
"""Column that carries the text of a record that has not one field for each column."""
LONGEST_RECORD = 100
"""Lines that one quoted field may span; a quote left open longer is an error of its own line."""
BLOCK = 100_000
BROKEN = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading a damaged archive may raise."""
SEPARATOR_LINE = re.compile("sep=(.)", re.IGNORECASE)
"""What Excel writes and reads before the names of columns."""


class Dialect(NamedTuple):
    """How a file is written.

    Attributes
    ----------
    columns : list of str
        Names of the columns, in the order of the file.
    delimiter : str
    quote : str
        Quote character; "" if quotes have no meaning.
    skip : int
        Lines before the first record: blank ones, ``sep=…`` of spreadsheets, the names.
    """

    columns: list[str]
    delimiter: str
    quote: str
    skip: int

    @property
    def safe(self) -> list[str]:
        """What a database calls the columns, see :func:`safe_names`."""
        return safe_names(self.columns)


class Repaired(NamedTuple):
    """A file read line by line: its good records, and what was wrong with the others."""

    parquet: Path
    n_bad: int
    reasons: dict[str, int]
    first: list[BadRow]


def safe_names(columns: Sequence[str]) -> list[str]:
    """Names that a database can tell apart: those of ``columns``, where it can.

    Databases know no empty names, and take names that differ in case only for one.
    """
    lower = [name.lower() for name in columns]
    safe: list[str] = []
    for number, name in enumerate(columns):
        if not name or lower.count(name.lower()) > 1:
            name = next(n for n in (f"column_{k}" for k in count(number)) if n not in lower + safe)
        safe.append(name)
    return safe


def open_text(path: Path) -> IO[str]:
    """A text file or the gzipped text in it; bytes that are not UTF-8 become surrogates."""
    opened = gzip.open if is_gzip(path) else open
    return cast(
        "IO[str]",
        opened(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline=""),
    )


def dialect_of(
    path: Path, *, delimiter: str | None, quote: str, columns: Sequence[str] | None
) -> Dialect:
    """Read the header; without a given delimiter, the one that splits it into most fields.

    Raises
    ------
    ValueError
        If the file is empty, is no UTF-8 text, or a column name occurs twice.
    """
    for name, value, least in (("delimiter", delimiter or ",", 1), ("quote", quote, 0)):
        require(least <= len(value) <= 1, f"{name} is one character; received {value!r}.")
    first, skip = "", 0
    with open_text(path) as file:
        while not first and (line := file.readline()):
            first, skip = line.strip("\r\n"), skip + 1
            if separator := SEPARATOR_LINE.fullmatch(first):
                delimiter, first = delimiter or separator[1], ""
    utf16 = "\0" in first
    if utf16 or (columns is None and not _is_utf8(first)):
        raise ValueError(
            f"{path} is {'UTF-16' if utf16 else 'not UTF-8'} text. Save it as UTF-8 (in a "
            "spreadsheet: CSV UTF-8)."
        )
    if not first:
        raise ValueError(f"{path} is empty: it has neither names of columns nor data.")
    if columns is not None:
        delimiter = delimiter or max(DELIMITERS, key=first.count)
        return Dialect(list(columns), delimiter, quote, skip - 1)
    return header(path, first, delimiter=delimiter, quote=quote, skip=skip)


def header(
    path: str | Path, first: str, *, delimiter: str | None, quote: str, skip: int
) -> Dialect:
    """What the line with the names of columns says; ``path`` is for errors, see above."""
    if delimiter is None:
        delimiter = max(DELIMITERS, key=first.count)
    try:
        names = [name.strip() for name in _fields(first, delimiter, quote)]
    except csv.Error:
        raise ValueError(f"{path}: broken quotes in its names of columns, {short(first)}") from None
    twice = {name for name in names if name and names.count(name) > 1}
    if twice:
        raise ValueError(
            f"{path} names a column twice: {', '.join(sorted(twice))}. Rename one of them."
        )
    return Dialect(names, delimiter, quote, skip)


def scan(connection: Any, path: Path, dialect: Dialect, name: str) -> Any:
    """A view ``name`` over the file, read by DuckDB when it is used.

    All columns are text, under their :attr:`Dialect.safe` names.
    """
    types = ", ".join(f"{sql_text(column)}: 'VARCHAR'" for column in dialect.safe)
    connection.con.execute(
        f'CREATE VIEW "{name}" AS SELECT * FROM read_csv({sql_text(str(path))}, '
        f"auto_detect = false, header = false, skip = {dialect.skip}, "
        f"compression = '{'gzip' if is_gzip(path) else 'none'}', "
        f"delim = {sql_text(dialect.delimiter)}, quote = {sql_text(dialect.quote)}, "
        f"escape = {sql_text(dialect.quote)}, strict_mode = true, columns = {{{types}}})"
    )
    return connection.table(name)


def repair(path: Path, dialect: Dialect, folder: Path) -> Repaired:
    """Read a file that DuckDB refuses, line by line, into a Parquet file in ``folder``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(LINE, pa.int64()), *((column, pa.string()) for column in dialect.safe)])
    reasons: dict[str, int] = {}
    first: list[BadRow] = []
    target = folder / f"{path.name}.parquet"

    def good() -> Iterator[list[Any]]:
        for line, record in _records(path, dialect):
            if isinstance(record, list):
                yield [line, *record]
                continue
            kind, reason = record
            reasons[kind] = reasons.get(kind, 0) + 1
            if len(first) < NAMED:
                first.append(BadRow(f"line {line}", reason))

    with pq.ParquetWriter(target, schema) as writer:
        for rows in _blocks(good(), BLOCK):
            arrays = [
                pa.array(column, type=field.type)
                for column, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return Repaired(target, sum(reasons.values()), reasons, first)


def lines_of(path: Path, dialect: Dialect, records: Sequence[int]) -> list[int]:
    """Line numbers (from 1) of some records (from 0, ascending) of a well-formed file."""
    found: list[int] = []
    wanted = list(records)
    for number, (line, _) in enumerate(_records(path, dialect)):
        if len(found) == len(wanted):
            break
        if number == wanted[len(found)]:
            found.append(line)
    return found


def _records(
    path: Path, dialect: Dialect
) -> Iterator[tuple[int, list[str | None] | tuple[str, str]]]:
    """Yield (line number, fields) or (line number, (kind of fault, what is wrong)) by record."""
    expected = len(dialect.columns)
    with open_text(path) as file:
        lines = _Lines(file)
        for _ in range(dialect.skip):
            lines.next()
        while (text := lines.next()) is not None:
            line = lines.number
            if not text.strip("\r\n"):
                continue
            fields = _record(text, lines, dialect)
            if fields is None:
                yield line, ("broken quotes", f"broken quotes in {short(text)}")
            elif len(fields) != expected:
                was = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
                reason = f"{was} instead of {expected}: {short(text)}"
                yield line, ("wrong number of fields", reason)
            elif not all(map(_is_utf8, fields)):
                yield line, ("not UTF-8", f"bytes that are not UTF-8 text: {short(text)}")
            else:
                yield line, [field or None for field in fields]


class _Lines:
    """Lines of a file with their numbers, and a way to hand back lines read ahead."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.number = 0
        self.ahead: list[str] = []

    def next(self) -> str | None:
        text = self.ahead.pop() if self.ahead else self.file.readline()
        self.number += bool(text)
        return text or None

    def give_back(self, lines: list[str]) -> None:
        self.ahead.extend(reversed(lines))
        self.number -= len(lines)


def _record(text: str, lines: _Lines, dialect: Dialect) -> list[str] | None:
    """The fields of the record that begins with line ``text``; None if its quotes are broken."""
    quote = dialect.quote
    more: list[str] = []
    if quote:
        # a quoted field may hold line breaks: read on while its quote is open
        open_quote = _is_open(text, dialect.delimiter, quote)
        while open_quote:
            line = lines.next() if len(more) < LONGEST_RECORD else None
            if line is None:
                lines.give_back(more)
                return None
            more.append(line)
            text += line
            open_quote = quote not in line or _is_open(text, dialect.delimiter, quote)
    try:
        return _fields(text.rstrip("\r\n"), dialect.delimiter, quote)
    except csv.Error:
        lines.give_back(more)
        return None


def _is_open(text: str, delimiter: str, quote: str) -> bool:
    if quote not in text:
        return False
    try:
        _fields(text, delimiter, quote)
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _fields(text: str, delimiter: str, quote: str) -> list[str]:
    if not quote:
        return text.split(delimiter)
    reader = csv.reader(
        [text], delimiter=delimiter, quotechar=quote, strict=True, skipinitialspace=True
    )
    return next(reader)


def _blocks(rows: Iterator[list[Any]], size: int) -> Iterator[list[list[Any]]]:
    block: list[list[Any]] = []
    for row in rows:
        block.append(row)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def is_gzip(path: Path) -> bool:
    """Whether the name of a file says that it is gzipped."""
    return path.suffix.lower() == ".gz"


def short(text: str) -> str:
    """The beginning of a record, quoted, for a message."""
    line = text.splitlines()[0].encode("utf-8", "backslashreplace").decode()
    return repr(line if len(line) <= 80 else line[:79] + "…")


def sql_text(value: str) -> str:
    """A SQL string literal."""
    return "'" + value.replace("'", "''") + "'"
