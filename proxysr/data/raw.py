"""Raw rows of a log, from a file, a frame or a table of a database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from proxysr.config import require, unknown
from proxysr.data import delimited
from proxysr.data.engines import ROW, Engine, temporary_folder, view_of_file
from proxysr.data.ids import id_text, without_categories
from proxysr.files import hash_of_file
from proxysr.text import visible

Derive = Callable[[Any], Any]
BROKEN_RECORD = "proxysr_broken_record"
"""Column of a table with the text of a record that could not be split, null of other records."""
UNREADABLE = "proxysr_unreadable"
"""Column that ``derive`` may make: what is wrong with a field of a row, null where nothing is."""
TAKEN = "Taken are: a path, a pandas, polars or Arrow table, a DuckDB relation, or an Ibis table."


class RawRows(NamedTuple):
    """Rows of a source under canonical column names.

    Attributes
    ----------
    table : ibis table
        ``item_id``, ``timestamp``, those of ``session_id``, ``user_id`` and ``title`` that the
        source has, of any type; ``row`` of frames and repaired files; ``wanted`` where only rows
        of a kind are read; ``broken``, the text of a broken record; ``unreadable``, what is wrong
        with a field.
    origin : dict
        Where they come from (name, SHA-256), for the provenance.
    places : callable, optional
        Where rows are ("line 3") by their numbers. Without it, they have no order.
    malformed : Malformed, optional
        Records of a text that are not in the table.
    """

    table: Any
    origin: dict[str, Any]
    places: Callable[[list[int]], list[str]] | None = None
    malformed: delimited.Malformed | None = None


OPTIONS = {
    "item_id": "item", "timestamp": "time", "session_id": "session", "user_id": "user",
    "title": "title",
}  # fmt: skip
"""What says which column is which, in Python and, after two dashes, on the command line."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a source are read.

    Attributes
    ----------
    names : dict
        The caller's name of each of our columns; None where it is optional and was not given.
    derive, only : callable, optional
        See :func:`proxysr.data.open_events`.
    """

    names: dict[str, str | None]
    derive: Derive | None = None
    only: Derive | None = None

    def among(self, columns: Sequence[str], where: str) -> dict[str, str]:
        """{our name: the caller's} of what ``columns`` has; ConfigError if it lacks a column."""
        chosen = {
            name: name if named is None else named
            for name, named in self.names.items()
            if named is not None or name in columns
        }
        for name, named in chosen.items():
            option = OPTIONS[name]
            require(
                named in columns,
                f"{unknown(named, columns, f'column of {where}')} Say which column is meant "
                f"({option}=…, --{option}). If these are no names, the file has no line of names "
                "(header=False, --no-header), or another delimiter (--delimiter).",
            )
            require(
                list(columns).count(named) == 1,
                f"{where} has two columns {named!r}. Rename or drop one of them.",
            )
        for name, named in chosen.items():
            same = [other for other in chosen if other != name and chosen[other] == named]
            require(
                name not in ("item_id", "timestamp") or same in ([], ["title"]),
                f"Column {named!r} of {where} cannot be {name} and {' and '.join(same)} as well. "
                "Name another column for one of them.",
            )
        require(
            "session_id" in chosen or "user_id" in chosen,
            f"{where} has no column session_id or user_id. Say which column holds the sessions "
            f"(session=…, --session) or the users (user=…, --user). "
            f"Its columns: {', '.join(columns)}.",
        )
        return chosen

    def select(
        self, table: Any, where: str, shown: Mapping[str, str] | None = None, **own_columns: str
    ) -> Any:
        """``table`` under our names, with ``wanted`` if only some rows are asked for.

        ``shown`` is the caller's name of each column, where the database has another; ``ours``
        are columns that the caller does not have, such as ``row="proxysr_line"``.
        """
        original = list(table.columns)
        if self.derive:
            table = self.derive(table)
        if shown is None:
            shown = {name: name for name in original if name not in own_columns.values()}
        shown = dict(shown) | {name: name for name in table.columns if name not in original}
        chosen = self.among(list(shown.values()), where)
        column = {given: name for name, given in shown.items()}
        extra = {name: table[own_columns[name]] for name in own_columns}
        if self.only:
            extra["wanted"] = self.only(table).fill_null(False)
        if UNREADABLE in table.columns:
            extra["unreadable"] = table[UNREADABLE]
        return table.select(
            **{name: table[column[given]] for name, given in chosen.items()}, **extra
        )


def table_rows(table: Any, columns: Columns) -> RawRows:
    """The rows of an Ibis table."""
    name = table.get_name() if hasattr(table.op(), "name") else "table"
    ours = {"broken": BROKEN_RECORD} if BROKEN_RECORD in table.columns else {}
    return RawRows(columns.select(table, f"table {name}", None, **ours), {"name": name})


def parquet_rows(connection: Any, path: Path, columns: Columns) -> RawRows:
    """The rows of a Parquet file."""
    import pyarrow.parquet as pq

    table = view_of_file(connection, "read_parquet", path)
    with path.open("rb") as file:
        schema = pq.read_schema(file)
    # DuckDB renames what differs in case only, or not at all
    shown = dict(zip(table.columns, schema.names, strict=True))
    rows = RawRows(columns.select(table, path.name, shown), _origin(path), _rows)
    if columns.derive is None:
        for named in columns.among(schema.names, path.name).values():
            _check_no_period(schema.field(named), path)
    return rows


def _check_no_period(column: Any, path: Path) -> None:
    """Refuse periods of pandas: DuckDB would read their numbers, of days or months since 1970."""
    extension = getattr(column.type, "extension_name", "")
    require(
        extension != "pandas.period",
        f"Column {column.name!r} of {path.name} has periods of pandas, which are numbers in a "
        f"Parquet file. Write it with frame[{column.name!r}].dt.to_timestamp(), or hand in the "
        "frame itself.",
    )


def text_rows(
    connection: Any, path: Path, text: Path, dialect: delimited.Dialect, columns: Columns
) -> RawRows:
    """The rows of a text file, read by DuckDB; ``text`` holds what is in it, as UTF-8."""
    shown = dict(zip(dialect.safe, dialect.columns, strict=True))

    def places(records: list[int]) -> list[str]:
        return _lines(delimited.lines_of(text, dialect, records))

    table = delimited.scan(connection, text, dialect)
    return RawRows(columns.select(table, path.name, shown), _origin(path), places)


def repaired_rows(
    connection: Any, path: Path, text: Path, dialect: delimited.Dialect, columns: Columns
) -> RawRows:
    """The rows of a text file that DuckDB cannot read, or reads otherwise, read by our own rule."""
    shown = dict(zip(dialect.safe, dialect.columns, strict=True))
    parquet, malformed = delimited.repair(text, dialect, temporary_folder(connection))
    table = view_of_file(connection, "read_parquet", parquet)
    table = columns.select(table, path.name, shown, row=delimited.LINE)
    return RawRows(table, _origin(path), _lines, malformed)


def frame_rows(engine: Engine, source: Any, name: str, columns: Columns) -> RawRows:
    """The rows of a frame, called ``name``: of pandas, or of any library that knows Arrow."""
    import pyarrow as pa

    if isinstance(source, pd.DataFrame):
        frame, given = source, list(map(str, source.columns))
    else:
        if hasattr(source, "collect") and not hasattr(source, "__arrow_c_stream__"):
            source = source.collect()  # a lazy frame of polars
        streams = hasattr(source, "__arrow_c_stream__")
        frame = pa.table(source) if streams else source.to_arrow_table()
        given = list(frame.column_names)
    chosen = list(range(len(given)))
    if not columns.derive and not columns.only:  # other columns do not matter
        named = columns.among(given, "the frame").values()
        chosen = [given.index(one) for one in dict.fromkeys(named)]
    given = [given[place] for place in chosen]
    safe = delimited.safe_names(given)
    arrow = pa.table([_column(frame, place) for place in chosen], names=safe)
    shown = dict(zip(safe, given, strict=True))
    table = columns.select(engine.of_arrow(arrow), "the frame", shown, row=ROW)
    hashes = pd.util.hash_pandas_object(arrow.to_pandas(), index=False).to_numpy()
    origin = {"name": name, "sha256": hashlib.sha256(hashes.tobytes()).hexdigest()}
    return RawRows(table, origin, _rows)


def name_of_frame(source: Any) -> str | None:
    """What messages call a frame; None for other sources.

    Its kind ("DataFrame", "polars.DataFrame"), or the file that ``attrs["file"]`` names.
    """
    if isinstance(source, pd.DataFrame):
        return str(source.attrs.get("file", "DataFrame"))
    if any(hasattr(source, name) for name in ("__arrow_c_stream__", "collect", "to_arrow_table")):
        return f"{type(source).__module__.partition('.')[0]}.{type(source).__name__}"
    return None


def not_a_log(source: Any) -> TypeError:
    """The error about a source of no known kind: what was received, and what to do."""
    advice = ""
    if isinstance(source, list | tuple) and source and isinstance(source[0], dict):
        advice = "Hand in pandas.DataFrame(rows)."
    elif isinstance(source, list | tuple):
        advice = "Hand in one log at a time, or join them first."
    elif isinstance(source, dict):
        advice = "Hand in pandas.DataFrame(columns)."
    received = "None" if source is None else f"a {type(source).__module__}.{type(source).__name__}"
    return TypeError(f"{received.replace('builtins.', '')} is no log. {TAKEN} {advice}".strip())


def _column(frame: Any, place: int) -> Any:
    """A column of a pandas or Arrow table, in a type that databases know."""
    import pyarrow as pa
    from pyarrow import types

    column = (
        frame.column(place) if isinstance(frame, pa.Table) else _of_pandas(frame.iloc[:, place])
    )
    kind = column.type
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if types.is_float16(kind):
        return column.cast(pa.float32())
    if types.is_timestamp(kind) and kind.tz is not None:
        return column.cast(pa.timestamp(kind.unit))
    supported = (
        types.is_integer, types.is_floating, types.is_string, types.is_large_string,
        types.is_binary, types.is_large_binary, types.is_boolean, types.is_temporal,
        types.is_decimal128,
    )  # fmt: skip
    if any(is_kind(kind) for is_kind in supported) and not types.is_interval(kind):
        return column
    return pa.chunked_array([pa.array(map(id_text, column.to_pylist()), pa.string())])


def _of_pandas(column: pd.Series[Any]) -> Any:
    """A column of pandas as one of Arrow; what Arrow cannot hold becomes text."""
    import pyarrow as pa

    column = without_categories(column)
    if isinstance(column.dtype, pd.SparseDtype):
        column = pd.Series(column.to_numpy())
    elif isinstance(column.dtype, pd.PeriodDtype):  # Arrow has numbers for them
        column = column.dt.to_timestamp()
    try:
        if column.dtype == object:  # mostly text
            return pa.chunked_array([pa.array(column, pa.string(), from_pandas=True)])
        return pa.Table.from_pandas(pd.DataFrame({"one": column}), preserve_index=False).column(0)
    except (pa.ArrowException, TypeError):
        return pa.chunked_array([pa.array(map(id_text, column), pa.string())])


def _origin(path: Path) -> dict[str, Any]:
    return {"name": visible(path.name), "bytes": path.stat().st_size, "sha256": hash_of_file(path)}


def _rows(numbers: list[int]) -> list[str]:
    return [f"row {number}" for number in numbers]


def _lines(numbers: list[int]) -> list[str]:
    return [f"line {number}" for number in numbers]
