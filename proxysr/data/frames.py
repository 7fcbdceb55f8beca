"""Frames as they come from callers, on their way into a database."""

from __future__ import annotations

import hashlib
from typing import Any

import pandas as pd


def check_names(frame: pd.DataFrame, where: str) -> None:
    """Raise ``ValueError`` if two columns have one name."""
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"{where} has two columns {twice[0]!r}. Rename or drop one of them.")


def plain(column: pd.Series[Any]) -> Any:
    """A column that Arrow takes: mixed objects and categories as text, times in UTC."""
    if isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == object:
        column = column.astype(object)
        return column.where(column.isna(), column.map(str)).astype("str")
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert("UTC").dt.tz_localize(None)
    return column


def hash_of(frame: pd.DataFrame) -> str:
    """SHA-256 of the rows of a frame, in hexadecimal."""
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()
