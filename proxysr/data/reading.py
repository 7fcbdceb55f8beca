"""From the rows of a source to well-formed events, and a report on the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from proxysr.config import require, unknown
from proxysr.data import delimited
from proxysr.data.cleaning import PER_UNIT, TEXTS, TimeKind, canonical, fault_text, time_kind
from proxysr.data.engines import ROW, Engine, engine_of, folder_of, view_of_file
from proxysr.data.frames import arrow_of, columns_of, sha256_of
from proxysr.data.rows import NAMED, BadRow, BadRows, OnBadRows, judge

Derive = Callable[[Any], Any]
BROKEN_RECORD = "proxysr_broken_record"
"""Column of a table that has the text of a record that is none, and null of good records."""


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
        What was noticed and may matter, in sentences.
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
        table = engine_of(self.connection).home(self.table.order_by(order))
        columns: dict[str, Any] = {"item_id": table["item_id"].to_pandas()}
        sub = table["sub"].to_numpy() if "sub" in table.column_names else 0
        unit = "us" if self.time_unit == "order" and self.whole else self.time_unit
        columns["timestamp"] = _given_times(table["time"].to_numpy(), sub, unit)
        for name, has in (("session_id", self.has_session), ("user_id", self.has_user)):
            if has:
                columns[name] = table[name].to_pandas()
        if self.has_title:
            columns["title"] = table["title"].to_pandas()
        frame = pd.DataFrame(columns)
        frame.attrs["bad_rows"] = self.bad_rows
        frame.attrs["source"] = self.source
        frame.attrs["remarks"] = list(self.remarks)
        return frame


class Names(NamedTuple):
    """The caller's names of the columns."""

    item: str | None
    time: str | None
    session: str | None
    user: str | None
    title: str | None

    def among(self, columns: Sequence[str], where: str) -> dict[str, str]:
        """{canonical name: the caller's name} of what ``columns`` has; ConfigError if lacking."""
        found = {"item_id": str(self.item), "timestamp": str(self.time)}
        optional = {"session_id": self.session, "user_id": self.user, "title": self.title}
        for name, given in optional.items():
            if given is not None or name in columns:
                found[name] = given or name
        for given in found.values():
            require(given in columns, unknown(str(given), columns, f"column of {where}"))
            require(
                list(columns).count(str(given)) == 1,
                f"{where} has two columns {given!r}. Rename or drop one of them.",
            )
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
class Reading:
    """One call of :func:`open_events`: from each kind of source to well-formed events."""

    connection: Any
    names: Names
    words: tuple[str, ...]
    time_unit: str
    on_bad_rows: OnBadRows
    derive: Derive | None
    only: Derive | None

    def named(
        self,
        table: Any,
        where: str,
        theirs: Mapping[str, str] | None = None,
        own: Mapping[str, str] | None = None,
    ) -> Any:
        """``table`` with canonical names, and ``wanted`` if only some rows are asked for.

        ``theirs`` are the caller's names of the columns, where the database has other ones;
        ``own`` are columns that are none of the caller's, such as ``{"row": "proxysr_line"}``.
        """
        before = list(table.columns)
        table = self.derive(table) if self.derive else table
        own = own or {}
        more = {name: table[column] for name, column in own.items()}
        theirs = theirs or {name: name for name in before if name not in own.values()}
        safe = {their: name for name, their in theirs.items()}
        derived = [name for name in table.columns if name not in before]
        found = self.names.among([*theirs.values(), *derived], where)
        if self.only:
            more["wanted"] = self.only(table).fill_null(False)
        return table.select(
            **{name: table[safe.get(given, given)] for name, given in found.items()}, **more
        )

    def frame(self, source: Any, name: str) -> EventTable:
        """The events of a frame, called ``name``."""
        where = "the frame"
        frame, columns = columns_of(source)
        places = list(range(len(columns)))
        if not self.derive and not self.only:  # other columns do not matter
            named = self.names.among(columns, where).values()
            places = [columns.index(given) for given in named]
        their = [columns[place] for place in places]
        safe = delimited.safe_names(their)
        arrow = arrow_of(frame, places, safe)
        engine = engine_of(self.connection)
        table = engine.of_arrow(arrow)
        rows = {"row": ROW} if ROW in table.columns else {}
        theirs = dict(zip(safe, their, strict=True))
        raw = _Raw(self.named(table, where, theirs, rows), _rows)
        events = self.judged(raw, {"name": name, "sha256": sha256_of(arrow)})
        engine.forget(table)
        return events

    def table(self, table: Any) -> EventTable:
        """The events of an Ibis table."""
        name = table.get_name() if hasattr(table.op(), "name") else "table"
        own = {"broken": BROKEN_RECORD} if BROKEN_RECORD in table.columns else {}
        return self.judged(_Raw(self.named(table, f"table {name}", own=own)), {"name": name})

    def parquet(self, path: Path) -> EventTable:
        """The events of a Parquet file."""
        table = view_of_file(self.connection, "read_parquet", path)
        return self.judged(_Raw(self.named(table, path.name), _rows), _origin(path))

    def text(self, path: Path, text: Path, dialect: delimited.Dialect) -> EventTable:
        """The events of a text file; ``text`` holds what is in it, as UTF-8."""
        import duckdb

        theirs = dict(zip(dialect.safe, dialect.columns, strict=True))

        def place(records: list[int]) -> list[str]:
            return [f"line {line}" for line in delimited.lines_of(text, dialect, records)]

        if not delimited.is_odd(text, dialect):
            try:
                raw = self.named(delimited.scan(self.connection, text, dialect), path.name, theirs)
                return self.judged(_Raw(raw, place), _origin(path))
            except duckdb.InvalidInputException:  # DuckDB refuses it: find out which lines
                pass
        repaired = delimited.repair(text, dialect, folder_of(self.connection))
        table = view_of_file(self.connection, "read_parquet", repaired.parquet)
        raw = self.named(table, path.name, theirs, {"row": delimited.LINE})
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
        facts = _facts(engine, table)
        report = _report(engine, table, facts, kind, raw, origin["name"])
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
        whole = not any(row.get("fractions") for row in facts)
        if not whole:
            good = good.mutate(time=good.fraction)
        extra = {"wanted", "fraction"} & set(good.columns)
        if "sub" in good.columns and not any(row.get("finer") for row in facts):
            extra.add("sub")
        return EventTable(
            self.connection,
            good.drop("fault", "received", "strange", *sorted(extra)),
            has_session="session_id" in raw.table.columns,
            has_user="user_id" in raw.table.columns,
            has_title="title" in raw.table.columns,
            time_unit=kind.unit,
            n_read=n_read,
            bad_rows=report,
            source=origin,
            whole=whole,
            remarks=tuple(_remarks(facts, kind, origin["name"])),
        )


def _facts(engine: Engine, table: Any) -> list[dict[str, Any]]:
    """Of each kind of fault: number of rows, and what else is to be known of them."""
    more = {}
    if "fraction" in table.columns:
        more["fractions"] = (table.time.isnull() & table.fraction.notnull()).sum()
    if "sub" in table.columns:
        more["finer"] = (table["sub"] != 0).sum()
    counted = table.group_by("fault").aggregate(
        n=table.count(), strange=table.strange.count(), such_as=table.strange.min(), **more
    )
    rows: list[dict[str, Any]] = engine.home(counted).to_pylist()
    return rows


def _remarks(facts: list[dict[str, Any]], kind: TimeKind, name: str) -> Iterator[str]:
    if kind.compact:
        yield (
            f"{name}: times such as 20260301100058 are read as dates, YYYYMMDDhhmmss (UTC). If "
            "they are numbers, say of which unit (time_unit=…, --time-unit)."
        )
    strange = sum(row["strange"] for row in facts)
    if strange:
        such_as = ascii(min(row["such_as"] for row in facts if row["strange"]))
        yield (
            f"{name}: invisible characters at the edges of ids were cut off, in {strange:,} of its "
            f"rows; one id was {such_as}."
        )


def _report(
    engine: Engine, table: Any, facts: list[dict[str, Any]], kind: TimeKind, raw: _Raw, name: str
) -> BadRows:
    reasons = {row["fault"]: row["n"] for row in facts if row["fault"] is not None}
    n_rows = sum(row["n"] for row in facts)
    named: list[BadRow] = []
    if reasons:
        order = ["row"] if raw.place else [*TEXTS, "time", "fault", "received"]
        first = table.filter(table.fault.notnull()).order_by(order).limit(NAMED)
        bad = engine.home(first).to_pylist()
        places = raw.place([row["row"] for row in bad]) if raw.place else map(_contents, bad)
        named = [
            BadRow(place, fault_text(row["fault"], row["received"], kind))
            for row, place in zip(bad, places, strict=True)
        ]
    hint = ""
    if raw.malformed is not None:
        reasons |= raw.malformed.reasons
        n_rows += raw.malformed.n_bad
        named = sorted(named + raw.malformed.first, key=lambda bad: int(bad.place[5:]))
        hint = raw.malformed.hint
    ordered = dict(sorted(reasons.items(), key=lambda reason: (-reason[1], reason[0])))
    return BadRows(name, n_rows, ordered, tuple(named[:NAMED]), hint)


def _contents(row: Mapping[str, Any]) -> str:
    """Where a row of a table is, which has no place but its contents."""
    known = ", ".join(f"{name} {row[name]!r}" for name in TEXTS if row[name] is not None)
    return f"row with {known or 'nothing'}"


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _origin(path: Path) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def _rows(numbers: list[int]) -> list[str]:
    return [f"row {number}" for number in numbers]


def _given_times(time: np.ndarray[Any, np.dtype[np.int64]], sub: Any, unit: str) -> Any:
    """Microseconds as the source had them: dates, or numbers of ``unit``."""
    if unit == "date":
        return time.view("datetime64[us]")
    if unit == "ns":
        return time * 1000 + sub
    whole = int(PER_UNIT[unit])
    return time // whole if (time % whole == 0).all() else time / whole
