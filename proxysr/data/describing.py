"""What is known of items and sessions beside the clicks, and what is to be said about ids."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from proxysr.config import unknown
from proxysr.data.engines import Engine
from proxysr.data.ids import texts_of

NOTHING = (
    r"\N", "NULL", "Null", "null", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "None", "none", "<NA>",
    "undefined", "(null)", "(not set)", "unknown", "-",
)  # fmt: skip
"""Words by which programs write that there is no value."""


def facts(
    known: pd.DataFrame | None, key: str, name: str, own: Sequence[str] = ()
) -> pd.DataFrame | None:
    """What a caller knows of items or sessions, checked, with ids as the text they are in events.

    Raises
    ------
    ValueError
        If ``known`` lacks ``key`` or has a value of it twice, has a column twice, or has
        one of ``own``, which are counted here.
    """
    if known is None:
        return None
    named_twice = known.columns[known.columns.duplicated()]
    if len(named_twice):
        raise ValueError(
            f"The {name} frame has two columns {named_twice[0]!r}. Rename or drop one of them."
        )
    if key not in known.columns:
        raise ValueError(f"The {name} frame: {unknown(key, map(str, known.columns), 'column')}")
    for column in own:
        if column in known.columns:
            raise ValueError(
                f"The {name} frame has a column {column!r}, which is what the clicks in training "
                "are counted in. Rename it, or leave it out."
            )
    texts = {name: texts_of(known[name]) for name in (key, "title") if name in known.columns}
    known = known.assign(**texts)
    if known[key].isna().any():
        raise ValueError(
            f"The {name} frame has {known[key].isna().sum():,} rows without {key}. Leave them out."
        )
    twice = known[key][known[key].duplicated()]
    if len(twice):
        raise ValueError(
            f"The {name} frame has {key} {twice.iloc[0]!r} more than once. Keep one row of each."
        )
    return known


def describe(table: pd.DataFrame, known: pd.DataFrame | None, key: str) -> pd.DataFrame:
    """``table`` with the columns of :func:`facts` for its values of ``key``.

    A column that both have is taken from ``known`` where that has a value.
    """
    if known is None:
        return table
    found = known.set_index(key).reindex(table[key]).reset_index(drop=True)
    table = table.reset_index(drop=True)
    for column in found.columns:
        if column in table.columns:
            table[column] = found[column].where(found[column].notna(), table[column])
        else:
            table[column] = found[column]
    return table


def check_items(engine: Engine, ids: Any, items: pd.DataFrame) -> None:
    """Raise ``ValueError`` if what is known of items is of none of those in the log, ``ids``."""
    names = engine.home(ids.select("item_id"))["item_id"]
    known = set(items["item_id"])
    if known.isdisjoint(names.to_pylist()):
        raise ValueError(
            f"None of the {len(names):,} items of the log is in the table of items, which has "
            f"{len(known):,}: the log has ids such as {names[0].as_py()!r}, the table "
            f"{items['item_id'].iloc[0]!r}. Check its column item_id."
        )


def said_missing(
    engine: Engine, tables: Mapping[str, Any], events: Sequence[Any], known: set[str]
) -> list[str]:
    """What is said of ids that often mean "no value", and are taken as ids.

    Parameters
    ----------
    engine : Engine
    tables : mapping
        The distinct ids by what they are called, None where there are none.
    events : sequence of ibis tables
    known : set of str
        Items that are known by other means to be some.
    """
    found = []
    for name, table in tables.items():
        if table is None:
            continue
        words = table.filter(table[name].isin(NOTHING)).select(name).distinct()
        for word in sorted({*engine.home(words)[name].to_pylist()} - known):
            n = sum(engine.n_rows(t.filter(t[name] == word)) for t in events)
            found.append(
                f"The {name} {word} ({n:,} rows) is taken as an id like any other. If it means "
                f"that there is none, say so (missing={[word]!r}, --missing '{word}')."
            )
    return found


def said_of_items(table: pd.DataFrame, known: pd.DataFrame | None) -> list[str]:
    """What is said of a split's items: how many are described, which are alike but for accents."""
    remarks = []
    ids = table["item_id"].tolist()
    if known is not None:
        found = int(table["item_id"].isin(known["item_id"]).sum())
        if found < len(ids):
            remarks.append(
                f"{found:,} of the {len(ids):,} items are in the table of items; the others have "
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
