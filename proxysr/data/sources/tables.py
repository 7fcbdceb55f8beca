"""Tables beside the events: what is known of the items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from proxysr.config import require, unknown
from proxysr.data import delimited
from proxysr.data.bad_rows import NAMED, BadRow, BadRows, OnBadRows, refuse
from proxysr.data.containers import damaged, kind_of
from proxysr.data.engines import embedded, temporary_folder
from proxysr.data.ids import texts_of, trimmed, words_of


def side_table(connection: Any, path: Path, *needed: str) -> Any:
    """A delimited file with a header as an ibis table of text, out of core.

    Raises
    ------
    ValueError
        If it lacks one of the columns ``needed``.
    """
    text, dialect = delimited.open_text(path, temporary_folder(connection))
    lacking = [name for name in needed if name not in dialect.columns]
    if lacking:
        raise ValueError(
            f"{path.name} has no column {', '.join(lacking)}; it has {', '.join(dialect.columns)}. "
            "It is not the published file, or has been changed."
        )
    return delimited.scan(connection, text, dialect)


def fetched(table: Any, path: Path) -> pd.DataFrame:
    """An ibis table over the file ``path`` as a frame; a broken file is named."""
    import duckdb

    try:
        frame: pd.DataFrame = table.to_pyarrow().to_pandas()
    except duckdb.InvalidInputException as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path.name} is damaged ({reason}). Repair or get it again, or take it out of the "
            "folder to do without it."
        ) from None
    return frame


def frame_of(
    path: Path, *, encoding: str | None = None, missing: Sequence[str] = ()
) -> tuple[pd.DataFrame, BadRows]:
    """A file in memory: Parquet with its types, or text with a header line, all as written.

    Returns
    -------
    DataFrame
        Its index says where a row is ("line 2", "row 0").
    BadRows
        What was malformed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if kind_of(path) == "parquet":
        try:
            frame: pd.DataFrame = pq.ParquetFile(path).read().to_pandas()
        except (OSError, pa.ArrowException) as error:
            raise damaged(path, error) from None
        frame.index = pd.Index([f"row {number}" for number in range(len(frame))])
        return frame, BadRows(path.name, len(frame))
    connection = embedded()  # for its folder
    text, dialect = delimited.open_text(path, temporary_folder(connection), encoding)
    malformed = delimited.Malformed()
    records = list(delimited.well_formed(text, dialect, malformed))
    words = words_of(missing)
    rows = [
        [None if field is None or trimmed(field) in words else field for field in record]
        for _, record in records
    ]
    places = pd.Index([f"line {line}" for line, _ in records], dtype="str")
    names = [name or safe for name, safe in zip(dialect.columns, dialect.safe, strict=True)]
    frame = pd.DataFrame(rows, places, names, dtype="str")
    n = len(rows) + malformed.n
    first = tuple(malformed.first)
    return frame, BadRows(path.name, n, malformed.reasons, first, malformed.hint)


def items_of(
    path: str | Path,
    on_bad_rows: OnBadRows,
    *,
    item: str | None = None,
    encoding: str | None = None,
    missing: Sequence[str] = (),
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """What a file says of items, read by the rules of logs; ``item`` is what a log calls them.

    Returns
    -------
    DataFrame
    tuple of str
        A remark on the rows that were left out, if there are any.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it cannot be read, or has no column of items.
    BadRowsError
        If rows are malformed, or have no item, and are not to be dropped.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path}, the file of items, {what}.")
    try:
        frame, report = frame_of(path, encoding=encoding, missing=missing)
    except ValueError as error:
        raise ValueError(f"The file of items: {error}") from None
    if "item_id" not in frame.columns and item in frame.columns:
        frame = frame.rename(columns={item: "item_id"})
    names = list(map(str, frame.columns))
    require("item_id" in names, unknown("item_id", names, f"column of {path.name}"))
    if names.count("item_id") == 1:
        nameless = frame.index[texts_of(frame["item_id"]).isna()]
        bad = [*report.first, *(BadRow(place, "no item") for place in nameless)]
        bad.sort(key=lambda row: row.number)
        reasons = report.reasons | ({"no item": len(nameless)} if len(nameless) else {})
        report = BadRows(report.source, report.n_rows, reasons, tuple(bad[:NAMED]), report.hint)
        frame = frame.drop(index=nameless)
    refuse(report, on_bad_rows)
    remarks = (f"{report} They were left out.",) if report.n_bad else ()
    return frame.reset_index(drop=True), remarks
