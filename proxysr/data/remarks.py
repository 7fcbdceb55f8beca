"""Remarks: what is said of a log that is read all the same, as sentences."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from proxysr.data.cleaning import TimeKind
from proxysr.data.engines import Engine

NO_VALUE = (
    r"\N", "NULL", "Null", "null", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "None", "none", "<NA>",
    "undefined", "(null)", "(not set)", "unknown", "-",
)  # fmt: skip
"""Words by which programs write that there is no value."""


def on_reading(
    faults: Sequence[Mapping[str, Any]], kind: TimeKind, name: str, *, guessed: bool
) -> Iterator[str]:
    """Sentences on how a log was read.

    Parameters
    ----------
    faults : sequence of mapping
        Of each kind of ``fault``, and of none: ``n``, the number of rows; ``strange``, how many
        of them had an id with invisible characters, and ``such_as``, one of these; ``zoned``, how
        many had a date with a zone.
    kind : TimeKind
    name : str
        Of the log.
    guessed : bool
        Whether the kind of its times was not said.
    """
    if kind.unit == "order" and guessed:
        yield (
            f"{name}: its times are read as running numbers, which say what came first, and no "
            "date. If they are dates, say of which unit (time_unit=…, --time-unit), or repair them."
        )
    if kind.compact:
        yield (
            f"{name}: times such as 20260301100058 are read as dates, YYYYMMDDhhmmss (UTC). If "
            "they are numbers, say of which unit (time_unit=…, --time-unit)."
        )
    strange = sum(fault["strange"] for fault in faults)
    if strange:
        such_as = ascii(min(fault["such_as"] for fault in faults if fault["strange"]))
        yield (
            f"{name}: invisible characters at the edges of ids were cut off, in {strange:,} of its "
            f"rows; one id was {such_as}."
        )
    read = [fault for fault in faults if fault["fault"] is None]
    rows, zoned = (sum(fault[what] for fault in read) for what in ("n", "zoned"))
    if 0 < zoned < rows:
        yield (
            f"{name}: {zoned:,} of its dates have a time zone, the other {rows - zoned:,} have "
            "none and are read as UTC. If they are of another zone, repair them."
        )


def on_words(
    engine: Engine, texts: Mapping[str, Any], events: Sequence[Any], known: set[str]
) -> list[str]:
    """Sentences on ids and titles that often mean "no value", and are taken as they stand.

    Parameters
    ----------
    engine : Engine
    texts : mapping
        Column of the events to a table that has what is in it, None where there is none.
    events : sequence of ibis tables
    known : set of str
        Items of the table of items: these are meant.
    """
    remarks = []
    for name, table in texts.items():
        if table is None:
            continue
        kind = "a title" if name == "title" else "an id"
        words = table.filter(table[name].isin(NO_VALUE)).select(name).distinct()
        for word in sorted({*engine.fetch(words)[name].to_pylist()} - known):
            n = sum(engine.n_rows(t.filter(t[name] == word)) for t in events)
            remarks.append(
                f"The {name} {word} ({n:,} rows) is taken as {kind} like any other. If it means "
                f"that there is none, say so (missing={[word]!r}, --missing '{word}')."
            )
    return remarks


def on_items(ids: list[str], known: pd.DataFrame | None) -> list[str]:
    """Sentences on a split's items: how many are described, which are alike but for accents."""
    remarks = []
    if known is not None:
        n = len({*known["item_id"]}.intersection(ids))
        if n < len(ids):
            remarks.append(
                f"{n:,} of the {len(ids):,} items are in the table of items; the others have "
                "nothing but their ids."
            )
    composed: dict[str, str] = {}
    for name in ids:
        if name.isascii():
            continue
        other = composed.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            remarks.append(
                f"The items {other!a} and {name!a} look alike: their letters with "
                "accents are written as one character and as two. They count as two items."
            )
            break
    return remarks
