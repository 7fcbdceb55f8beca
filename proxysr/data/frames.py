"""Frames of any library, on their way into a database, as Arrow tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import pandas as pd

from proxysr.data.ids import id_text

TAKEN = "Taken are: a path, a pandas, polars or Arrow table, a DuckDB relation, or an Ibis table."


def kind_of_frame(source: Any) -> str | None:
    """What a source is called if it is a frame: "DataFrame", "polars.DataFrame"; else None."""
    if isinstance(source, pd.DataFrame):
        return "DataFrame"
    if any(hasattr(source, name) for name in ("__arrow_c_stream__", "collect", "to_arrow_table")):
        return f"{type(source).__module__.partition('.')[0]}.{type(source).__name__}"
    return None


def refused(source: Any) -> TypeError:
    """The error about a source that is none; says what was received and what to do."""
    if isinstance(source, list | tuple) and source and isinstance(source[0], dict):
        advice = "Hand in pandas.DataFrame(rows)."
    elif isinstance(source, list | tuple):
        advice = "Hand in one log at a time, or join them first."
    elif isinstance(source, dict):
        advice = "Hand in pandas.DataFrame(columns)."
    else:
        advice = ""
    received = "None" if source is None else f"a {type(source).__module__}.{type(source).__name__}"
    return TypeError(f"{received.replace('builtins.', '')} is no log. {TAKEN} {advice}".strip())


def columns_of(source: Any) -> tuple[Any, list[str]]:
    """A pandas or Arrow table of ``source``, and the names of its columns as text."""
    import pyarrow as pa

    if isinstance(source, pd.DataFrame):
        return source, list(map(str, source.columns))
    if hasattr(source, "collect") and not hasattr(source, "__arrow_c_stream__"):
        source = source.collect()  # a lazy frame of polars
    table = pa.table(source) if hasattr(source, "__arrow_c_stream__") else source.to_arrow_table()
    return table, list(table.column_names)


def arrow_of(table: Any, places: Sequence[int], names: Sequence[str]) -> Any:
    """Some columns of a pandas or Arrow table, under other names, in types that databases know."""
    import pyarrow as pa

    if isinstance(table, pd.DataFrame):
        columns = [_from_pandas(table.iloc[:, place]) for place in places]
    else:
        columns = [table.column(place) for place in places]
    return pa.table(list(map(_known, columns)), names=list(names))


def sha256_of(table: Any) -> str:
    """SHA-256 of the rows of an Arrow table, in hexadecimal."""
    rows = pd.util.hash_pandas_object(table.to_pandas(), index=False).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()


def _from_pandas(column: pd.Series[Any]) -> Any:
    import pyarrow as pa

    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        column = pd.Series(column.to_numpy())
    elif isinstance(dtype, pd.CategoricalDtype):
        column = column.astype(dtype.categories.dtype)
    try:
        if column.dtype == object:  # mostly text
            return pa.chunked_array([pa.array(column, pa.string(), from_pandas=True)])
        return pa.Table.from_pandas(pd.DataFrame({"one": column}), preserve_index=False).column(0)
    except (pa.ArrowException, TypeError):
        return pa.chunked_array([pa.array(map(id_text, column), pa.string())])


def _known(column: Any) -> Any:
    import pyarrow as pa
    from pyarrow import types

    if isinstance(column, pa.Array):
        column = pa.chunked_array([column])
    kind = column.type
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if types.is_float16(kind):
        return column.cast(pa.float32())
    if types.is_timestamp(kind) and kind.tz is not None:
        return column.cast(pa.timestamp(kind.unit))
    simple = (
        types.is_integer, types.is_floating, types.is_string, types.is_large_string,
        types.is_binary, types.is_large_binary, types.is_boolean, types.is_temporal,
        types.is_decimal128,
    )  # fmt: skip
    if any(is_kind(kind) for is_kind in simple) and not types.is_interval(kind):
        return column
    return pa.chunked_array([pa.array(map(id_text, column.to_pylist()), pa.string())])
