"""Tables beside the events: what is known of the items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from proxysr.config import require, unknown
from proxysr.data import delimited
from proxysr.data.containers import as_utf8, damaged, encoding_of, hint, kind_of
from proxysr.data.engines import embedded, folder_of
from proxysr.data.ids import texts_of
from proxysr.data.preparation import PrepareConfig, prepare
from proxysr.data.rows import NAMED, BadRow, BadRows, OnBadRows, judge
from proxysr.data.sessions import SessionSplit


def side_table(connection: Any, path: Path, *needed: str) -> Any:
    """A delimited file with a header as an ibis table of text, out of core.

    Raises
    ------
    ValueError
        If it lacks one of the columns ``needed``.
    """
    text = as_utf8(path, None, folder_of(connection))
    dialect = delimited.dialect_of(text, str(path))
    lacking = [name for name in needed if name not in dialect.columns]
    if lacking:
        raise ValueError(
            f"{path.name} has no column {', '.join(lacking)}; it has {', '.join(dialect.columns)}. "
            "It is not the published file, or has been changed."
        )
    return delimited.scan(connection, text, dialect)


def home(table: Any, path: Path) -> pd.DataFrame:
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
    text = as_utf8(path, encoding, folder_of(connection))
    code = encoding_of(encoding).upper()
    dialect = delimited.dialect_of(text, str(path), encoding=code)
    places, rows, bad, reasons = [], [], [], dict[str, int]()
    for line, record in delimited.records(text, dialect):
        if isinstance(record, list):
            places.append(f"line {line}")
            rows.append([None if field in missing else field for field in record])
        else:
            bad.append(BadRow(f"line {line}", record[1]))
            reasons[record[0]] = reasons.get(record[0], 0) + 1
    names = [name or safe for name, safe in zip(dialect.columns, dialect.safe, strict=True)]
    frame = pd.DataFrame(rows, pd.Index(places, dtype="str"), names, dtype="str")
    advice = hint(text) if f"not {code}" in reasons else ""
    return frame, BadRows(path.name, len(rows) + len(bad), reasons, tuple(bad[:NAMED]), advice)


def items_of(
    path: Path,
    *,
    item: str | None = None,
    encoding: str | None = None,
    missing: Sequence[str] = (),
    on_bad_rows: OnBadRows = "error",
) -> tuple[pd.DataFrame, BadRows]:
    """What a file says of items, read by the rules of logs; ``item`` is what a log calls them.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it cannot be read, or has no column of items.
    BadRowsError
        If rows are malformed, or have no item, and are not to be dropped.
    """
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
        nobody = frame.index[texts_of(frame["item_id"]).isna()]
        bad = sorted(
            [*report.first, *(BadRow(place, "no item") for place in nobody)],
            key=lambda row: int(row.place.partition(" ")[2]),
        )
        reasons = report.reasons | ({"no item": len(nobody)} if len(nobody) else {})
        report = BadRows(report.source, report.n_rows, reasons, tuple(bad[:NAMED]), report.hint)
        frame = frame.drop(index=nobody)
    judge(report, on_bad_rows)
    return frame.reset_index(drop=True), report


def prepare_with_items(
    opened: Callable[..., Any],
    given: dict[str, Any],
    config: PrepareConfig,
    on_bad_rows: OnBadRows,
    origin: dict[str, Any],
) -> SessionSplit:
    """Prepare a log with the file of items that the option ``items`` names, if it does.

    The file of items is read first: it is small, and what is wrong with it is said at once.
    """
    path = given.pop("items", None)
    if path is None:
        return prepare(opened(**given), config, source=origin)
    options = {name: given[name] for name in ("item", "encoding", "missing") if name in given}
    items, report = items_of(Path(path), on_bad_rows=on_bad_rows, **options)
    split = prepare(opened(**given), config, items=items, source=origin)
    if report.n_bad:
        split.provenance.setdefault("remarks", []).append(f"{report} They were left out.")
    return split
