"""Delimited text files (CSV, TSV, ``;`` …) as tables of text, by one grammar.

A file is a sequence of records, each a line. Fields are separated by the delimiter. A field that
begins with a quote ends with one and may hold delimiters, line breaks, and quotes written twice;
blanks around it are ignored. A quote within another field is a letter. Blank lines are ignored,
and so are empty fields beyond the columns. A record is malformed if its quotes are broken, if
it has not one field for each column, or if its bytes are invalid in the encoding; then its first
line is reported, and reading continues with the next line.

:func:`records` implements this grammar. DuckDB reads well-formed files by the same grammar and much
faster; it is used unless it refuses a file or :func:`is_odd` finds text that it reads differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from proxysr.config import require
from proxysr.data.bad_rows import NAMED, WRONG_NUMBER, BadRow, short
from proxysr.data.containers import as_utf8, encoding_of, hint, is_utf8, open_utf8
from proxysr.data.engines import sql_text, view_of_file
from proxysr.data.ids import trimmed

DELIMITERS = (",", "\t", ";", "|")
LONGEST_FIELD = 2**24
"""Most characters of a quoted field; a longer one has a broken quote."""
BLOCK = 100_000
CHUNK = 2**22
BOM = "\ufeff"
SEPARATOR_LINE = re.compile("sep=(.)", re.IGNORECASE)
"""A line that Excel writes before the header."""

Record = list[str | None] | tuple[str, str]
"""The fields of a record, or a kind of fault and its description."""


class Dialect(NamedTuple):
    """The format of a delimited file.

    Attributes
    ----------
    columns : list of str
        Names of the columns, in the order of the file; "1", "2", … where it has none.
    delimiter : str
    quote : str
        Quote character; "" if quotes have no meaning.
    skip : int
        Lines before the first record: blank ones, ``sep=…`` of spreadsheets, the names.
    encoding : str
        Of the file as it came, for messages.
    """

    columns: list[str]
    delimiter: str
    quote: str
    skip: int
    encoding: str = "UTF-8"

    @property
    def safe(self) -> list[str]:
        """What a database calls the columns, see :func:`safe_names`."""
        return safe_names(self.columns)


@dataclass
class Malformed:
    """The malformed records of a file: their number by reason, and the first ones."""

    reasons: dict[str, int] = field(default_factory=dict)
    first: list[BadRow] = field(default_factory=list)
    hint: str = ""

    @property
    def n(self) -> int:
        """Number of malformed records."""
        return sum(self.reasons.values())


LINE = "proxysr_line"
"""Column of what :func:`repair` writes: the line of a record."""


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


def open_text(
    path: Path, folder: Path, encoding: str | None = None, **options: Any
) -> tuple[Path, Dialect]:
    """A text file as one of UTF-8, in ``folder`` if need be, and how it is written.

    ``options`` are those of :func:`dialect_of`.
    """
    text = as_utf8(path, encoding, folder)
    with open_utf8(text) as file:
        return text, dialect_of(file, str(path), encoding=encoding_of(encoding).upper(), **options)


def dialect_of(
    file: IO[str],
    name: str,
    *,
    delimiter: str | None = None,
    quote: str = '"',
    columns: Sequence[str] | None = None,
    header: bool = True,
    encoding: str = "UTF-8",
) -> Dialect:
    """Read the names of the columns, and find the delimiter where none is given.

    Parameters
    ----------
    file : text file
        Open at its beginning, see :func:`open_utf8`.
    name : str
        What it is called, for errors.
    delimiter : str, optional
        By default the one that splits the first line into most fields, or ``::``.
    quote : str
    columns : sequence of str, optional
        Their names, if the file has none.
    header : bool
        Whether the first record holds the names; else they are "1", "2", …
    encoding : str
        That of the file as it came, for messages.

    Raises
    ------
    ValueError
        If the file is empty, or the names cannot be read.
    """
    require(len(quote) <= 1, f"quote is one character or none; received {quote!r}.")
    lines = _Lines(file)
    while (first := lines.next()) is not None:
        text = first.strip("\r\n").removeprefix(BOM)
        if separator := SEPARATOR_LINE.fullmatch(text):
            delimiter = delimiter or separator[1]
        elif text:
            break
    if first is None:
        raise ValueError(f"{name} is empty: it has neither names of columns nor data.")
    skip = lines.number - 1
    if delimiter is None:
        delimiter = max(DELIMITERS, key=text.count)
        delimiter = "::" if delimiter not in text and "::" in text else delimiter
    require(
        delimiter != "" and not {quote, "\r", "\n"} & set(delimiter),
        f"delimiter is text without quotes and line breaks; received {delimiter!r}.",
    )
    if columns is not None:
        return Dialect(list(columns), delimiter, quote, skip, encoding)
    fields = _record(first, lines, delimiter, quote)
    if fields is None:
        what = "names of columns" if header else "first line"
        raise ValueError(f"{name}: broken quotes in its {what}, {short(text)}")
    if not header:
        numbers = [str(number) for number in range(1, len(fields) + 1)]
        return Dialect(numbers, delimiter, quote, skip, encoding)
    return Dialect(list(map(trimmed, fields)), delimiter, quote, lines.number, encoding)


def is_odd(path: Path, dialect: Dialect) -> bool:
    """Whether a file holds what DuckDB reads otherwise than :func:`records`, or may not read.

    That is: zeros, a byte order mark within (files were joined), line ends of one carriage return,
    and quotes in odd places: two texts in a field, after two blanks, or beside a delimiter that
    is blank or of several letters, or names of columns over several lines.
    """
    quote, delimiter = dialect.quote.encode(), dialect.delimiter.encode()
    if len(delimiter) > 4 or len(quote) > 1:
        return True
    twice = re.compile(re.escape(quote) + b" +" + re.escape(quote))
    with path.open("rb") as file:
        if quote and any(file.readline().count(quote) % 2 for _ in range(dialect.skip)):
            return True  # names of columns over several lines
        file.seek(0)
        last = file.read(3).removeprefix(b"\xef\xbb\xbf")
        while chunk := file.read(CHUNK):
            chunk = last + chunk
            if b"\xef\xbb\xbf" in chunk or chunk.count(b"\r", 0, -1) > chunk.count(b"\r\n"):
                return True
            if b"\0" in chunk:
                return True
            if quote and (len(delimiter) > 1 or delimiter == b" ") and quote in chunk:
                return True
            if quote and (b"  " + quote) in chunk:
                return True
            if quote and (quote + b" ") in chunk and twice.search(chunk):
                return True
            last = chunk[-64:]
    return last.endswith(b"\r")


def scan(connection: Any, path: Path, dialect: Dialect) -> Any:
    """A view over the file, read by DuckDB when it is used.

    All columns are text, under their :attr:`Dialect.safe` names.
    """
    types = ", ".join(f"{sql_text(column)}: 'VARCHAR'" for column in dialect.safe)
    return view_of_file(
        connection, "read_csv", path,
        f"auto_detect = false, header = false, skip = {dialect.skip}, compression = 'none', "
        f"delim = {sql_text(dialect.delimiter)}, quote = {sql_text(dialect.quote)}, "
        f"escape = {sql_text(dialect.quote)}, strict_mode = true, columns = {{{types}}}",
    )  # fmt: skip


def repair(path: Path, dialect: Dialect, folder: Path) -> tuple[Path, Malformed]:
    """The well-formed :func:`records` of a file as a Parquet file in ``folder``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(LINE, pa.int64()), *((column, pa.string()) for column in dialect.safe)])
    target = folder / f"repaired-{len(list(folder.iterdir()))}.parquet"
    malformed = Malformed()
    rows = ([line, *record] for line, record in well_formed(path, dialect, malformed))
    with pq.ParquetWriter(target, schema) as writer:
        while block := list(islice(rows, BLOCK)):
            columns = zip(schema, zip(*block, strict=True), strict=True)
            arrays = [pa.array(column, type=of.type) for of, column in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    return target, malformed


def well_formed(
    path: Path, dialect: Dialect, malformed: Malformed
) -> Iterator[tuple[int, list[str | None]]]:
    """Yield the line number of each well-formed record, and the record; count the others."""
    for line, record in records(path, dialect):
        if isinstance(record, list):
            yield line, record
            continue
        kind, reason = record
        malformed.reasons[kind] = malformed.reasons.get(kind, 0) + 1
        if len(malformed.first) < NAMED:
            malformed.first.append(BadRow(f"line {line}", reason))
    if f"not {dialect.encoding}" in malformed.reasons:
        malformed.hint = hint(path)


def lines_of(path: Path, dialect: Dialect, numbers: Sequence[int]) -> list[int]:
    """Line numbers (from 1) of records by their numbers (from 0) in a well-formed file."""
    first = enumerate(islice(records(path, dialect), max(numbers) + 1))
    return [line for number, (line, _) in first if number in numbers]


def records(path: Path, dialect: Dialect) -> Iterator[tuple[int, Record]]:
    """Yield the line number of each record of a file of UTF-8 text, and the record."""
    expected = len(dialect.columns)
    with open_utf8(path) as file:
        lines = _Lines(file)
        for _ in range(dialect.skip):
            lines.next()
        while (text := lines.next()) is not None:
            line = lines.number
            text = text.removeprefix(BOM)
            if not text.strip("\r\n"):
                continue
            fields = _record(text, lines, dialect.delimiter, dialect.quote)
            while fields and len(fields) > expected and not fields[-1]:
                fields.pop()
            if fields is None:
                yield line, ("broken quotes", f"broken quotes in {short(text)}")
            elif len(fields) != expected:
                was = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
                yield line, (WRONG_NUMBER, f"{was} instead of {expected}: {short(text)}")
            elif not all(map(is_utf8, fields)):
                kind = f"not {dialect.encoding}"
                reason = f"bytes that are no {dialect.encoding} text: {short(text)}"
                yield line, (kind, reason)
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


def _record(text: str, lines: _Lines, delimiter: str, quote: str) -> list[str] | None:
    """The fields of the record that begins with line ``text``; None if its quotes are broken.

    Then the lines read beyond the first are handed back.
    """
    if not quote or quote not in text:
        return text.rstrip("\r\n").split(delimiter)
    opening, body, closing = _patterns(delimiter, quote)
    fields: list[str] = []
    more: list[str] = []
    at = 0
    while True:
        opened = opening.match(text, at)
        if not opened:
            end = text.find(delimiter, at)
            if end < 0:
                return [*fields, text[at:].rstrip("\r\n")]
            fields.append(text[at:end])
            at = end + len(delimiter)
            continue
        at, parts, size = opened.end(), [], 0
        while True:
            inside = body.match(text, at)
            assert inside is not None  # noqa: S101 - it matches nothing, too
            parts.append(inside[0])
            size += len(inside[0])
            at = inside.end()
            if at < len(text):
                break
            line = lines.next() if size < LONGEST_FIELD else None
            if line is None:
                lines.give_back(more)
                return None
            more.append(line)
            text, at = line, 0
        closed = closing.match(text, at)
        if not closed:
            lines.give_back(more)
            return None
        fields.append("".join(parts).replace(quote * 2, quote))
        at = closed.end()
        if closed[1] is None:
            return fields


_PATTERNS: dict[tuple[str, str], tuple[re.Pattern[str], ...]] = {}


def _patterns(delimiter: str, quote: str) -> tuple[re.Pattern[str], ...]:
    """What opens a quoted field, what is in it, and what closes it (group 1: a delimiter)."""
    if (delimiter, quote) not in _PATTERNS:
        q, d = re.escape(quote), re.escape(delimiter)
        blank = "" if delimiter.startswith(" ") else " *"
        _PATTERNS[delimiter, quote] = (
            re.compile(f"{blank}{q}"),
            re.compile(f"[^{q}]*+(?:{q}{q}[^{q}]*+)*+"),
            re.compile(rf"{q}{blank}(?:({d})|[\r\n]*\Z)"),
        )
    return _PATTERNS[delimiter, quote]
