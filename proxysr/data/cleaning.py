"""Cleaning: raw columns of a log to events, as Ibis expressions.

The table of events has ``item_id``, ``session_id``, ``user_id``, ``title`` (text or
null), ``time`` (int64 microseconds), and for malformed rows ``fault`` (a kind of
fault) and ``received`` (the text that could not be read).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from proxysr.config import ConfigError
from proxysr.data.bad_rows import WRONG_NUMBER, short
from proxysr.data.engines import Engine
from proxysr.data.ids import EDGES_PATTERN

PER_UNIT = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3, "order": 1e6, "date": 1.0}
"""Microseconds of one unit; running numbers with fractions are stored like seconds."""
SAMPLE = 10_000
"""Rows of the sample that decides whether times are numbers or dates, and their unit."""
SMALLEST = {"ns": 1e17, "us": 1e14, "ms": 1e11, "s": 1e8}
"""Times of 1973 and later in each unit; smaller numbers are running numbers."""
YEARS = (1900, 2199)
"""Times outside of these years are malformed."""
EARLIEST, LATEST = -2_208_988_800_000_000, 7_258_118_400_000_000
"""Microseconds from 1970 to the beginning of the first, and the end of the last, of these years."""
LARGEST = 9e18
"""Largest microseconds in an int64."""
TEXTS = ("item_id", "session_id", "user_id", "title")

NO_ITEM, NO_TIME = "no item", "no time"
BAD_TIME, NOBODY = "unreadable time", "no session and no user"
UNLIKELY = "implausible time"
BAD_FIELD = "unreadable field"

# Casts differ between databases on offsets, zone names, 24:00:00 and words such as "epoch":
# DuckDB's cast to a timestamp drops "+02:00". So dates are taken apart here. Of numbers, DuckDB's
# cast takes 1_000 and Spark's takes 1d. In one of them "$" lets a line break follow: a text ends
# at "\z".
_DAY = r"\d{4}-\d{1,2}-\d{1,2}"
_CLOCK = r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_ZONE = r"Z|z|UTC|[+-](0\d|1[0-8])(:?[0-5]\d)?"
_DATE = rf"{_DAY}([Tt ]{_CLOCK}( ?({_ZONE}))?)?"
_LOCAL = rf"^({_DAY}([Tt ]{_CLOCK})?)"
_PLAIN = r"\d{4}-\d{2}-\d{2}[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ?"
"""The usual shapes of UTC dates, ten times faster to read than all of them."""
_OFFSET = r":\d{2}(\.\d+)? ?([+-])(\d{2}):?(\d{2})?\z"
_ZONED = rf":\d{{2}}(\.\d+)? ?({_ZONE})\z"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_WHOLE = r"-?\d{1,19}"
_COMPACT = r"(19|20|21)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])[0-5]\d([0-5]\d)?)?"
"""YYYYMMDD, YYYYMMDDhhmm and YYYYMMDDhhmmss: written as numbers, but dates."""
_EDGES = rf"^[{EDGES_PATTERN}]|[{EDGES_PATTERN}]\z"
_UNSEEN = EDGES_PATTERN.replace(r"\x{0}-\x{20}", r"\x00-\x08\x0e-\x1f")
_STRANGE = rf"^[\s\x0b]*[{_UNSEEN}]|[{_UNSEEN}][\s\x0b]*\z"
"""Invisible characters at the edges, other than blanks, tabs and line ends."""
EXAMPLE = "such as 2026-03-01T10:00:58Z"


class TimeKind(NamedTuple):
    """The kind of a log's times.

    Attributes
    ----------
    unit : str
        "date", "order", "s", "ms", "us" or "ns".
    compact : bool
        Whether the dates are written as numbers, YYYYMMDD….
    judged : bool
        Whether the unit was chosen by the size of the numbers.
    """

    unit: str
    compact: bool = False
    judged: bool = False


def clean(raw: Any, kind: TimeKind, words: Sequence[str], engine: Engine) -> Any:
    """Clean events from ``raw``, with ``row`` and ``wanted`` if it has them.

    Besides the columns above: ``strange``, the first id of a row with invisible characters at
    its edges; ``zoned``, whether its time is text with a time zone; of unit "ns" ``sub``,
    nanoseconds beyond ``time``; of "order" ``fraction``, the time where numbers have fractions, in
    units of a millionth.

    Parameters
    ----------
    raw : ibis table
        Columns ``item_id`` and ``timestamp``, and ``session_id``, ``user_id``,
        ``title``, ``row`` where there are any, of any type; ``broken``, where there is
        one, is the text of a record that is none, and null of good records; so is ``unreadable``,
        what is wrong with a field.
    kind : TimeKind
        What :func:`time_kind` says.
    words : sequence of str
        Texts that mean "no value".
    engine : Engine
        Where ``raw`` is.
    """
    import ibis

    none = ibis.null("string")
    texts = {name: raw[name] for name in TEXTS if name in raw.columns}
    clean = {name: as_text(column, words, engine) for name, column in texts.items()}
    time = raw["timestamp"]
    if time.type().is_timestamp():  # in UTC, as databases write zones in different ways
        time = time.cast("timestamp")
    # one table upon the other, so that each text is trimmed once
    table = raw.mutate(
        **{f"clean_{name}": clean.get(name, none) for name in TEXTS},
        given=as_text(time, words, engine),
    )
    strange = [
        (table[name] != table[f"clean_{name}"]).ifelse(
            table[name].re_search(_STRANGE).ifelse(table[name], none), none
        )
        for name, column in texts.items()
        if column.type().is_string() and name != "title"
    ]
    table = table.mutate(
        **{name: table[f"clean_{name}"] for name in TEXTS},
        **_times(table["timestamp"], table.given, kind, engine),
        strange=ibis.coalesce(*strange) if strange else none,
    )
    broken, unreadable = (
        table[name] if name in raw.columns else none for name in ("broken", "unreadable")
    )
    unlikely = ibis.literal(False)
    if kind.unit != "order":
        earliest = SMALLEST["s"] * PER_UNIT["s"] if kind.judged else EARLIEST
        unlikely = (table.time < int(earliest)) | (table.time >= LATEST)
    fault = ibis.cases(
        (broken.notnull(), WRONG_NUMBER),
        (unreadable.notnull(), BAD_FIELD),
        (table.item_id.isnull(), NO_ITEM),
        (table.given.isnull(), NO_TIME),
        (table.time.isnull() & _other(table).isnull(), BAD_TIME),
        (unlikely, UNLIKELY),
        (table.session_id.isnull() & table.user_id.isnull(), NOBODY),
        else_=none,
    )
    received = ibis.cases(
        (fault == WRONG_NUMBER, broken),
        (fault == BAD_FIELD, unreadable),
        (fault.isin((BAD_TIME, UNLIKELY)), table.given),
        else_=none,
    )
    extra = [n for n in ("row", "wanted", "sub", "fraction") if n in table.columns]
    return table.select(
        *extra,
        *TEXTS,
        "time",
        "strange",
        zoned=_zoned(table.given, kind),
        fault=fault,
        received=received,
    )


def _other(table: Any) -> Any:
    """The time of running numbers with fractions."""
    import ibis

    return table.fraction if "fraction" in table.columns else ibis.null("int64")


def time_kind(raw: Any, unit: str, words: Sequence[str], engine: Engine) -> TimeKind:
    """Detect the kind of times of ``raw``.

    With unit "auto", the unit of numbers follows from the median of the first rows; text is read
    as the kind that most of the first rows have.

    Raises
    ------
    ConfigError
        If a unit of numbers was given for a column of dates, or the numbers are too large for
        times in any unit.
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
    sample = raw.limit(SAMPLE).select(
        timestamp=column, text=as_text(column, words, engine), number=as_number(column)
    )
    sample = sample.mutate(
        number=sample.number.abs(),
        dated=_is(sample.text, _DATE),
        compact=_is(sample.text, _COMPACT),
    )
    (counts,) = engine.fetch(
        sample.aggregate(
            numbers=sample.number.count(),
            dates=sample.dated.sum(),
            compact=sample.compact.sum(),
            size=sample.number.median(),
        )
    ).to_pylist()
    if (counts["dates"] or 0) > counts["numbers"]:
        return _dated(unit)
    if unit != "auto":
        return TimeKind(unit)
    if (counts["compact"] or 0) > counts["numbers"] / 2:
        return TimeKind("date", compact=True)
    size = counts["size"] or 0
    unit = next((name for name, least in SMALLEST.items() if size >= least), "order")
    if unit != "order" and size * PER_UNIT[unit] >= LATEST:
        raise ConfigError(
            f"The times are numbers of about {size:.0f}, which in no unit is a time from 1973 to "
            f"{YEARS[1]}. Say what they are: time_unit='order' (--time-unit order) if they are "
            "running numbers."
        )
    return TimeKind(unit, judged=unit != "order")


def fault_text(kind_of_fault: str, received: str | None, kind: TimeKind) -> str:
    """What is wrong with a row: ``received`` is what could not be read, times are of ``kind``."""
    if received is None:
        return kind_of_fault
    if kind_of_fault == WRONG_NUMBER:
        return f"{WRONG_NUMBER}: {short(received)}"
    received = received if len(received) <= 80 else received[:79] + "…"
    if kind_of_fault == BAD_FIELD:
        return received
    if kind_of_fault == UNLIKELY and kind.judged:
        problem = (
            f"not from 1973 to {YEARS[1]}, read in {kind.unit} as most are. Mixed units, or no "
            f"time? Where it is right, say time_unit={kind.unit!r} (--time-unit {kind.unit})"
        )
    elif kind_of_fault == UNLIKELY:
        unit = "" if kind.unit == "date" else f" (unit: {kind.unit})"
        problem = f"not from {YEARS[0]} to {YEARS[1]}{unit}"
    elif kind.compact:
        problem = "not YYYYMMDD, YYYYMMDDhhmm or YYYYMMDDhhmmss, as most times are"
    elif kind.unit == "date":
        problem = f"not an ISO 8601 date, {EXAMPLE}"
    elif re.fullmatch(_NUMBER, received):
        problem = f"too large a number (unit: {kind.unit})"
    elif kind.unit == "order" and not re.fullmatch(_DATE, received):
        problem = f"neither a number nor an ISO 8601 date, {EXAMPLE}"
    else:
        problem = f"not a number (unit: {kind.unit})"
    return f"time {received!r} is {problem}"


def as_text(column: Any, words: Sequence[str], engine: Engine) -> Any:
    """``column`` as text by the rule of :mod:`proxysr.data.ids`; ``words``, NaN and ∞ as null."""
    kind = column.type()
    if kind.is_floating():
        number = _finite(column)
        text = (
            _whole_float(number)
            .notnull()
            .ifelse(_whole_float(number).cast("string"), engine.float_text(number))
        )
    elif kind.is_decimal():
        text = column.cast("string").re_replace(r"\.0+$", "")
        text = text.re_replace(r"(\.\d*[1-9])0+$", r"\1")
    else:
        text = engine.bytes_text(column) if kind.is_binary() else column.cast("string")
        # few texts need it, and looking is three times faster than trimming
        edges = rf"^[{EDGES_PATTERN}]+|[{EDGES_PATTERN}]+\z"
        text = text.re_search(_EDGES).ifelse(text.re_replace(edges, ""), text)
    for word in words:
        text = text.nullif(word)
    return text


def _dated(unit: str) -> TimeKind:
    if unit != "auto":
        raise ConfigError(
            f"time_unit={unit!r} is for numbers, but the time column holds dates. Leave it out."
        )
    return TimeKind("date")


def _whole_float(number: Any) -> Any:
    """A float as an int64, null where it is not whole or too large."""
    import ibis

    whole = number.try_cast("int64")
    return (whole.cast("float64") == number).ifelse(whole, ibis.null("int64"))


def as_number(column: Any) -> Any:
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


def _times(column: Any, text: Any, kind: TimeKind, engine: Engine) -> dict[str, Any]:
    """``time``, and ``sub`` or ``fraction``, see :func:`clean`; whole numbers are exact."""
    import ibis

    none = ibis.null("int64")
    if kind.unit == "date":
        return {"time": _dates(column, text, kind, engine)}
    if column.type().is_floating():
        number = _finite(column)
        whole = _whole_float(number)
    else:
        number = _finite(_is(text, _NUMBER).ifelse(text.try_cast("float64"), ibis.null("float64")))
        whole = _is(text, _WHOLE).ifelse(text.try_cast("int64"), none)
    per_unit = PER_UNIT[kind.unit]
    scaled = number * per_unit
    rough = (scaled.abs() <= LARGEST).ifelse(scaled.round().try_cast("int64"), none)
    if kind.unit == "order":
        return {"time": whole, "fraction": rough}
    if kind.unit == "ns":
        # no division: that of some databases is one of floats
        digits = whole.cast("string")
        micros = digits.substr(0, digits.length() - 3).try_cast("int64").fill_null(0)
        exact = whole.notnull()
        return {
            "time": exact.ifelse(micros, rough),
            "sub": exact.ifelse(whole - micros * 1000, 0).cast("int64"),
        }
    fits = whole.between(-int(LARGEST / per_unit), int(LARGEST / per_unit))
    exact = fits.ifelse(whole, none) * int(per_unit)
    return {"time": whole.notnull().ifelse(exact, rough)}


def _zoned(text: Any, kind: TimeKind) -> Any:
    """Whether a time has a zone."""
    import ibis

    if kind.unit != "date" or kind.compact:
        return ibis.literal(False)
    return text.re_search(_ZONED).fill_null(False)


def _dates(column: Any, text: Any, kind: TimeKind, engine: Engine) -> Any:
    import ibis

    none = ibis.null("int64")
    if kind.compact:
        day = text.substr(0, 4) + "-" + text.substr(4, 2) + "-" + text.substr(6, 2)
        clock = " " + text.substr(8, 2) + ":" + text.substr(10, 2) + ":"
        seconds = (text.length() == 14).ifelse(text.substr(12, 2), "00")
        iso = (text.length() == 8).ifelse(day, day + clock + seconds)
        return _is(text, _COMPACT).ifelse(engine.micros(iso.try_cast("timestamp")), none)
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
    return ibis.cases((_is(text, _PLAIN), quick), (_is(text, _DATE), utc), else_=none)
