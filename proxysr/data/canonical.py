"""Raw columns of a log as canonical events: written once, as Ibis expressions.

The canonical table has ``item_id``, ``session_id``, ``user_id``, ``title`` (text or
null), ``time`` (int64 microseconds), and for malformed rows ``fault`` (a kind of
fault) and ``received`` (the text that could not be read).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from proxysr.config import ConfigError

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

# Casts differ between databases on offsets, zone names and words such as "epoch": DuckDB's
# cast to a timestamp drops "+02:00". So dates are taken apart here.
_DAY = r"\d{4}-\d{1,2}-\d{1,2}"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
_ZONE = r"Z|z|UTC|[+-](0\d|1[0-8])(:?[0-5]\d)?"
_DATE = rf"^{_DAY}([Tt ]{_CLOCK}( ?({_ZONE}))?)?$"
_LOCAL = rf"^({_DAY}([Tt ]{_CLOCK})?)"
_PLAIN = tuple(f"____-__-__{t}__:__:__{z}" for t in ("T", " ") for z in ("", "Z"))
"""The usual shapes of UTC dates, ten times faster to read than by regular expressions."""
_OFFSET = r":\d{2}(\.\d+)? ?([+-])(\d{2}):?(\d{2})?$"
EXAMPLE = "such as 2026-03-01T10:00:58Z"


def canonical(raw: Any, kind: str, words: Sequence[str]) -> Any:
    """The canonical columns of ``raw``, with its ``row`` and ``wanted`` where it has them.

    Parameters
    ----------
    raw : ibis table
        Columns ``item_id`` and ``timestamp``, and ``session_id``, ``user_id``,
        ``title``, ``row`` where there are any, of any type.
    kind : str
        What :func:`time_kind` says.
    words : sequence of str
        Texts that mean "no value".
    """
    import ibis

    columns = {
        name: as_text(raw[name], words) if name in raw.columns else ibis.null("string")
        for name in TEXTS
    }
    # one table upon the other, so that each text is trimmed once
    table = raw.mutate(**columns, given=as_text(raw["timestamp"], words))
    if kind == "date":
        table = table.mutate(time=_dates(table["timestamp"], table.given))
    else:
        table = table.mutate(time=_numbers(table["timestamp"], kind))
    fault = ibis.cases(
        (table.item_id.isnull(), NO_ITEM),
        (table.given.isnull(), NO_TIME),
        (table.time.isnull(), BAD_TIME),
        (table.session_id.isnull() & table.user_id.isnull(), NOBODY),
        else_=ibis.null("string"),
    )
    table = table.mutate(fault=fault)
    received = (table.fault == BAD_TIME).ifelse(table.given, ibis.null("string"))
    extra = [name for name in ("row", "wanted") if name in raw.columns]
    return table.mutate(received=received).select(*extra, *TEXTS, "time", "fault", "received")


def time_kind(raw: Any, unit: str, words: Sequence[str]) -> str:
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
    text = as_text(sample.timestamp, words)
    number = _as_number(sample.timestamp)
    facts = (
        sample.mutate(number=number.abs(), dated=text.re_search(_DATE))
        .aggregate(
            numbers=lambda t: t.number.count(),
            dates=lambda t: t.dated.sum(),
            size=lambda t: t.number.median(),
        )
        .to_pyarrow()
        .to_pylist()[0]
    )
    if (facts["dates"] or 0) > facts["numbers"]:
        return _dated(unit)
    if unit != "auto":
        return unit
    size = facts["size"] or 0
    return next((name for name, least in SMALLEST.items() if size >= least), "order")


def unreadable(received: str, kind: str) -> str:
    """What is wrong with a time that is none of the ``kind`` of its column."""
    if kind == "date":
        wanted = f"not an ISO 8601 date, {EXAMPLE}"
    elif kind == "order" and not re.search(_DATE, received):
        wanted = f"neither a number nor an ISO 8601 date, {EXAMPLE}"
    else:
        wanted = f"not a number (unit: {kind})"
    return f"time {received!r} is {wanted}"


def as_text(column: Any, words: Sequence[str] = ("",)) -> Any:
    """``column`` as trimmed text, whole floats without ".0", ``words`` as null."""
    kind = column.type()
    if kind.is_floating():
        whole = column.try_cast("int64")
        text = (whole.cast("float64") == column).ifelse(whole.cast("string"), column.cast("string"))
    else:
        text = column.cast("string")
        # few texts need it, and looking is three times faster than trimming
        text = text.re_search(r"^\s|\s$").ifelse(text.strip(), text)
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

    number = column.strip() if column.type().is_string() else column
    number = number.try_cast("float64")
    # NaN compares above everything in DuckDB, below nothing elsewhere: name it
    return (number.isnan() | number.isinf()).ifelse(ibis.null("float64"), number)


def _numbers(column: Any, unit: str) -> Any:
    import ibis

    time = _as_number(column) * PER_UNIT[unit]
    return (time.abs() <= LATEST).ifelse(time.round().cast("int64"), ibis.null("int64"))


def _dates(column: Any, text: Any) -> Any:
    import ibis

    epoch = ibis.timestamp("1970-01-01 00:00:00")
    if column.type().is_temporal():
        return column.cast("timestamp").delta(epoch, unit="microsecond")
    plain = ibis.or_(*(text.like(shape) for shape in _PLAIN))
    local = text.re_extract(_LOCAL, 1).upper().try_cast("timestamp")
    local = local.delta(epoch, unit="microsecond")
    hours, minutes = (
        text.re_extract(_OFFSET, group).try_cast("int64").fill_null(0) for group in (3, 4)
    )
    ahead = (hours * 60 + minutes) * 60_000_000
    sign = (text.re_extract(_OFFSET, 2) == "-").ifelse(-1, 1)
    utc = text.re_search(_OFFSET).ifelse(local - sign * ahead, local)
    quick = text.substr(0, 19).try_cast("timestamp").delta(epoch, unit="microsecond")
    return ibis.cases((plain, quick), (text.re_search(_DATE), utc), else_=ibis.null("int64"))
