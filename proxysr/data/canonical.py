"""Raw columns of a log as canonical events: written once, as Ibis expressions.

The canonical table has ``item_id``, ``session_id``, ``user_id``, ``title`` (text or
null), ``time`` (int64 microseconds), and for malformed rows ``fault`` (a kind of
fault) and ``received`` (the text that could not be read).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

from proxysr.config import ConfigError
from proxysr.data.delimited import short
from proxysr.data.engines import Engine

PER_UNIT = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3, "order": 1e6, "date": 1.0}
"""Microseconds of one unit; running numbers are kept as if they were seconds."""
SAMPLE = 10_000
"""Rows that decide whether times are numbers or dates, and of which unit."""
SMALLEST = {"ns": 1e17, "us": 1e14, "ms": 1e11, "s": 1e8}
"""Times of 1973 and later in each unit; smaller numbers are running numbers."""
LATEST = 9e18
"""Microseconds that an int64 holds."""
TEXTS = ("item_id", "session_id", "user_id", "title")

NO_ITEM, NO_TIME = "no item", "no time"
BAD_TIME, NOBODY = "unreadable time", "no session and no user"
BROKEN = "wrong number of fields"

# Casts differ between databases on offsets, zone names, 24:00:00 and words such as "epoch":
# DuckDB's cast to a timestamp drops "+02:00". So dates are taken apart here. Of numbers, DuckDB's
# cast takes 1_000 and Spark's takes 1d. "$" would let a line break follow in some: a text ends
# at "\z".
_DAY = r"\d{4}-\d{1,2}-\d{1,2}"
_CLOCK = r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_ZONE = r"Z|z|UTC|[+-](0\d|1[0-8])(:?[0-5]\d)?"
_DATE = rf"{_DAY}([Tt ]{_CLOCK}( ?({_ZONE}))?)?"
_LOCAL = rf"^({_DAY}([Tt ]{_CLOCK})?)"
_PLAIN = r"\d{4}-\d{2}-\d{2}[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ?"
"""The usual shapes of UTC dates, ten times faster to read than all of them."""
_OFFSET = r":\d{2}(\.\d+)? ?([+-])(\d{2}):?(\d{2})?\z"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_EDGES = r"^[\s\x0b]|[\s\x0b]\z"
EXAMPLE = "such as 2026-03-01T10:00:58Z"


def canonical(raw: Any, kind: str, words: Sequence[str], engine: Engine) -> Any:
    """The canonical columns of ``raw``, with its ``row`` and ``wanted`` where it has them.

    Parameters
    ----------
    raw : ibis table
        Columns ``item_id`` and ``timestamp``, and ``session_id``, ``user_id``,
        ``title``, ``row`` where there are any, of any type; ``broken``, where there is
        one, is the text of a record that is none, and null of good records.
    kind : str
        What :func:`time_kind` says.
    words : sequence of str
        Texts that mean "no value".
    engine : Engine
        Where ``raw`` is.
    """
    import ibis

    columns = {
        name: as_text(raw[name], words, engine) if name in raw.columns else ibis.null("string")
        for name in TEXTS
    }
    # one table upon the other, so that each text is trimmed once
    table = raw.mutate(**columns, given=as_text(raw["timestamp"], words, engine))
    if kind == "date":
        table = table.mutate(time=_dates(table["timestamp"], table.given, engine))
    else:
        table = table.mutate(time=_numbers(table["timestamp"], kind))
    none = ibis.null("string")
    broken = table["broken"] if "broken" in raw.columns else none
    fault = ibis.cases(
        (broken.notnull(), BROKEN),
        (table.item_id.isnull(), NO_ITEM),
        (table.given.isnull(), NO_TIME),
        (table.time.isnull(), BAD_TIME),
        (table.session_id.isnull() & table.user_id.isnull(), NOBODY),
        else_=none,
    )
    received = ibis.cases((fault == BROKEN, broken), (fault == BAD_TIME, table.given), else_=none)
    extra = [name for name in ("row", "wanted") if name in raw.columns]
    return table.select(*extra, *TEXTS, "time", fault=fault, received=received)


def time_kind(raw: Any, unit: str, words: Sequence[str], engine: Engine) -> str:
    """What the times of ``raw`` are: "date", "order", or numbers of unit s, ms, us or ns.

    Numbers of unit "auto" are judged by the median size of the first rows; text is
    what most of the first rows can be read as.

    Raises
    ------
    ConfigError
        If a unit of numbers was given for a column of dates.
    """
    column = raw["timestamp"]
    kind = column.type()
    if kind.is_time() or kind.is_interval():
        raise ConfigError(
            f"The time column holds {'times of day' if kind.is_time() else 'spans of time'} "
            f"without a date. Give numbers or dates, {EXAMPLE}."
        )
    if kind.is_temporal():
        return _dated(unit)
    sample = raw.limit(SAMPLE).select(timestamp=column)
    text = as_text(sample.timestamp, words, engine)
    number = _as_number(sample.timestamp)
    sample = sample.mutate(number=number.abs(), dated=_is(text, _DATE))
    (facts,) = engine.home(
        sample.aggregate(
            numbers=sample.number.count(), dates=sample.dated.sum(), size=sample.number.median()
        )
    ).to_pylist()
    if (facts["dates"] or 0) > facts["numbers"]:
        return _dated(unit)
    if unit != "auto":
        return unit
    size = facts["size"] or 0
    return next((name for name, least in SMALLEST.items() if size >= least), "order")


def fault(kind_of_fault: str, received: str | None, kind: str) -> str:
    """What is wrong with a row: ``received`` is what could not be read, times are of ``kind``."""
    if received is None:
        return kind_of_fault
    if kind_of_fault == BROKEN:
        return f"{BROKEN}: {short(received)}"
    if kind == "date":
        wanted = f"not an ISO 8601 date, {EXAMPLE}"
    elif kind == "order" and not re.fullmatch(_DATE, received):
        wanted = f"neither a number nor an ISO 8601 date, {EXAMPLE}"
    else:
        wanted = f"not a number (unit: {kind})"
    return f"time {received!r} is {wanted}"


def as_text(column: Any, words: Sequence[str], engine: Engine) -> Any:
    """``column`` as trimmed text, whole floats without ".0"; ``words``, NaN and ∞ as null."""
    kind = column.type()
    if kind.is_floating():
        number = _finite(column)
        whole = number.try_cast("int64")
        is_whole = (whole.cast("float64") == number).fill_null(False)
        text = is_whole.ifelse(whole.cast("string"), engine.float_text(number))
    else:
        text = column.cast("string")
        # few texts need it, and looking is three times faster than trimming
        text = text.re_search(_EDGES).ifelse(text.strip(), text)
    for word in words:
        text = text.nullif(word)
    return text


def _dated(unit: str) -> str:
    if unit != "auto":
        raise ConfigError(
            f"time_unit={unit!r} is for numbers, but the time column holds dates. Leave it out."
        )
    return "date"


def _as_number(column: Any) -> Any:
    """``column`` as a finite float64, else null."""
    import ibis

    if not column.type().is_string():
        return _finite(column.try_cast("float64"))
    text = column.strip()
    number = _is(text, _NUMBER).ifelse(text.try_cast("float64"), ibis.null("float64"))
    return _finite(number)


def _finite(number: Any) -> Any:
    """A float, null where it is NaN or infinite."""
    import ibis

    # NaN is above all numbers in DuckDB and Spark, and not comparable elsewhere
    return (number.abs() <= sys.float_info.max).ifelse(number, ibis.null(number.type()))


def _is(text: Any, pattern: str) -> Any:
    """Whether a text is of a pattern from its beginning to its end."""
    return text.re_search(rf"^({pattern})\z")


def _numbers(column: Any, unit: str) -> Any:
    import ibis

    time = _as_number(column) * PER_UNIT[unit]
    return (time.abs() <= LATEST).ifelse(time.round().try_cast("int64"), ibis.null("int64"))


def _dates(column: Any, text: Any, engine: Engine) -> Any:
    import ibis

    if column.type().is_temporal():
        return engine.micros(column)
    local = engine.micros(text.re_extract(_LOCAL, 1).upper().try_cast("timestamp"))
    hours, minutes = (
        text.re_extract(_OFFSET, group).try_cast("int64").fill_null(0) for group in (3, 4)
    )
    ahead = (hours * 60 + minutes) * 60_000_000
    sign = (text.re_extract(_OFFSET, 2) == "-").ifelse(-1, 1)
    utc = text.re_search(_OFFSET).ifelse(local - sign * ahead, local)
    quick = engine.micros(text.substr(0, 19).try_cast("timestamp"))
    return ibis.cases((_is(text, _PLAIN), quick), (_is(text, _DATE), utc), else_=ibis.null("int64"))
