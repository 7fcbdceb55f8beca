"""A log of one's own that a Spark cluster reads: a table of its catalogue, or files."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from proxysr.data import delimited
from proxysr.data.bad_rows import OnBadRows
from proxysr.data.engines import connect_spark, readable
from proxysr.data.raw import BROKEN_RECORD
from proxysr.data.sessions import SessionSplit
from proxysr.data.sources.base import Log, Source
from proxysr.data.sources.events_file import with_items

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")


class SparkLog(Source):
    """A table or files of events; rows are read, judged and prepared by the executors."""

    name = "spark"
    description = (
        "A log of your own that a Spark cluster reads and prepares: a table of its catalogue "
        "(clicks, shop.clicks), or files (a path with '/', or that ends in .csv, .tsv, .txt, "
        "these also with .gz, or .parquet; * stands for any names). Only the prepared sessions "
        "come to this machine. Rows have no order there: clicks of equal time are ordered by item, "
        "then user. Each line of a CSV file is one record."
    )
    licence = "yours"
    download_help = (
        "Hand in the name of the table or the path of the files, the names of the columns, and "
        "with --master the cluster; memory and such are set in spark-defaults.conf or "
        "PYSPARK_SUBMIT_ARGS. It needs pip install '.[spark]' in the checkout, and Java."
    )
    options = (
        "master", "item", "time", "session", "user", "title", "time_unit", "delimiter", "missing",
        "items",
    )  # fmt: skip

    def prepare(self, path: str | Path, *args: Any, **options: Any) -> SessionSplit:
        """As of any source; errors of Spark are one line."""
        with readable(f"{path} cannot be prepared on Spark"):
            return super().prepare(path, *args, **options)

    def read(self, path: str | Path, on_bad_rows: OnBadRows, **options: Any) -> Log:
        """Read a table or files; ``items`` is a file of items on this machine."""
        connection = connect_spark(options.pop("master", None))
        table = _table(connection, str(path), options.pop("delimiter", None))
        return with_items(table, on_bad_rows, options)._replace(origin={"name": str(path)})


def _table(connection: Any, source: str, delimiter: str | None) -> Any:
    """The Ibis table of a name or of files."""
    lower = source.lower().rstrip("/").removesuffix(".gz")
    is_text = lower.endswith(TEXT_SUFFIXES)
    if not is_text and "/" not in source and not lower.endswith(".parquet"):
        *database, name = source.split(".")
        return connection.table(name, database=tuple(database) or None)
    session = connection._session
    frame = _text(session, source, delimiter) if is_text else session.read.parquet(source)
    view = re.sub(r"\W+", "_", source).strip("_")
    frame.createOrReplaceTempView(view)
    return connection.table(view)


def _text(session: Any, source: str, delimiter: str | None) -> Any:
    """Text files with a header line each, all with the same columns; all values are text.

    Lines are records, so that a quote left open costs its own line only.
    """
    line = session.read.text(source).filter("length(trim(value)) > 0").first()
    if line is None:
        raise ValueError(f"{source} is empty: it has neither names of columns nor data.")
    dialect = delimited.dialect_of(io.StringIO(line.value), source, delimiter=delimiter)
    names = [*dialect.safe, BROKEN_RECORD]
    schema = ", ".join(f"`{name.replace('`', '``')}` STRING" for name in names)
    return session.read.csv(
        source,
        schema=schema,
        header=True,
        # Spark then compares each file's header to the schema: columns may be in another order
        enforceSchema=dialect.safe != dialect.columns,
        sep=dialect.delimiter,
        quote=dialect.quote,
        escape=dialect.quote,
        ignoreLeadingWhiteSpace=True,
        ignoreTrailingWhiteSpace=True,
        mode="PERMISSIVE",
        columnNameOfCorruptRecord=BROKEN_RECORD,
    )
