"""Small tables beside the events: what is known of the items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from proxysr.data import delimited


def side_table(connection: Any, path: Path, *needed: str) -> Any:
    """A delimited file with a header as an ibis table of text, out of core.

    Raises
    ------
    ValueError
        If it lacks one of the columns ``needed``.
    """
    import ibis

    dialect = delimited.dialect_of(path, delimiter=None, quote='"', columns=None)
    lacking = [name for name in needed if name not in dialect.columns]
    if lacking:
        raise ValueError(
            f"{path.name} has no column {', '.join(lacking)}; it has {', '.join(dialect.columns)}. "
            "It is not the published file, or has been changed."
        )
    return delimited.scan(connection, path, dialect, ibis.util.gen_name("proxysr_side"))


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


def items_of(path: Path) -> pd.DataFrame:
    """A file of what is known of items: Parquet, or text with a header line."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path}, the file of items, {what}.")
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        dialect = delimited.dialect_of(path, delimiter=None, quote='"', columns=None)
        names = [name or safe for name, safe in zip(dialect.columns, dialect.safe, strict=True)]
        return pd.read_csv(
            path,
            encoding="utf-8-sig",
            sep=dialect.delimiter,
            names=names,
            skiprows=dialect.skip,
            index_col=False,
            dtype={"item_id": str},
        )
    except (*delimited.BROKEN, OSError, ValueError) as error:
        raise ValueError(f"{path}, the file of items, cannot be read: {error}") from None
