"""The databases that preparation runs on: DuckDB, embedded and out of core, Spark, or any of Ibis.

The expressions are the same everywhere. An engine stores the table of an expression for the next
stage, numbers rows, and fetches results.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from proxysr.config import ConfigError, require
from proxysr.disk import no_room
from proxysr.processes import remove, scratch_folder
from proxysr.text import visible

MEMORY_LIMIT = "2GB"
"""DuckDB's limit of memory; larger intermediate tables go to a temporary folder."""
ROW = "proxysr_row"
"""Column of :meth:`Engine.of_arrow`: the number of a row."""
JAVA = "Java 17 or newer (on Debian and Ubuntu: apt install openjdk-17-jre-headless)"
PART, BEFORE = "proxysr_part", "proxysr_before"
"""Columns of :meth:`Spark.numbered`: the part of a row, and the rows of the parts before it."""


class Engine:
    """Any backend of Ibis."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def keep(self, expression: Any, name: str) -> Any:
        """The table of an expression, computed now and once."""
        return expression.cache()

    def discard(self, table: Any) -> None:
        """Free what :meth:`keep` made; by default Ibis does, when nobody refers to it."""

    def fetch(self, expression: Any) -> Any:
        """An expression's rows as a pyarrow table, in order where the expression has one."""
        return self.connection.to_pyarrow(expression)

    def n_rows(self, table: Any) -> int:
        """The number of rows of a table."""
        return int(self.fetch(table.aggregate(n=table.count()))["n"][0].as_py())

    def numbered(self, table: Any, order: Sequence[str], number: str) -> Any:
        """``table``, kept, with the place of each row, from 0, by columns that have no nulls."""
        import ibis

        place = ibis.row_number().over(order_by=list(order))
        return self.keep(table.mutate(**{number: place}), number)

    def micros(self, timestamp: Any) -> Any:
        """Microseconds since 1970 of a timestamp, which is UTC where it has no zone."""
        import ibis

        epoch = ibis.timestamp("1970-01-01 00:00:00")
        return timestamp.cast("timestamp").delta(epoch, unit="microsecond")

    def float_text(self, number: Any) -> Any:
        """The shortest text of a float that is not whole: ``0.5``, ``1e-05``, ``1.5e+16``."""
        return number.cast("string")

    def bytes_text(self, column: Any) -> Any:
        """The text that bytes are in UTF-8, null where they are none."""
        return column.cast("string")

    def of_arrow(self, table: Any) -> Any:
        """A pyarrow table as a table here; ``proxysr_row`` numbers its rows."""
        import ibis
        import pyarrow as pa

        rows = pa.array(np.arange(len(table), dtype=np.int64))
        return ibis.memtable(table.append_column(ROW, rows))


class DuckDB(Engine):
    """Tables of a stage are temporary tables."""

    def keep(self, expression: Any, name: str) -> Any:
        """A temporary table, made now."""
        import ibis

        unique = ibis.util.gen_name(f"proxysr_{name}")
        return self.connection.create_table(unique, expression, temp=True)

    def discard(self, table: Any) -> None:
        """Drop the table."""
        self.connection.con.execute(f'DROP TABLE "{table.op().name}"')

    def bytes_text(self, column: Any) -> Any:
        """As above; a cast would write what is no ASCII as escapes."""
        import ibis

        decode = ibis.udf.scalar.builtin(_no_body, name="decode", signature=(("binary",), "string"))
        guarded = ibis.udf.scalar.builtin(_no_body, name="try", signature=(("string",), "string"))
        return guarded(decode(column))


class Spark(Engine):
    """A stage is a checkpoint, on the executors or in ``spark.checkpoint.dir`` if that is set.

    A mere cache would do for the rows, but not for the plans: each stage reads the one before
    it twice, and Spark would go through two, four, eight … copies of the plan of the first.
    """

    def keep(self, expression: Any, name: str) -> Any:
        """A view of a checkpoint, computed now."""
        return self._view(self._checkpoint(self._frame(expression)), name)

    def discard(self, table: Any) -> None:
        """Free the rows of the view, which Spark would do late, and drop it."""
        view = table.op().name
        _free(self.session.table(view))
        self.session.catalog.dropTempView(view)

    def fetch(self, expression: Any) -> Any:
        """The rows, by Arrow: Ibis goes by pandas, where integers with gaps become floats."""
        with _quiet():
            return self._frame(expression).toArrow()

    def numbered(self, table: Any, order: Sequence[str], number: str) -> Any:
        """``table``, kept, with the place of each row; no executor has to see all rows.

        Rows are parted by ranges of the order, and numbered within their part, after the
        rows of the parts before it.
        """
        from pyspark.sql import Window
        from pyspark.sql import functions as sf

        parted = self._frame(table).repartitionByRange(*order)
        parted = self._checkpoint(parted.withColumn(PART, sf.spark_partition_id()))
        sizes = sorted((row[0], row[1]) for row in parted.groupBy(PART).count().collect())
        before, rows = 0, []
        for part, size in sizes:
            rows.append(f"({part}, {before}L)")
            before += size
        offsets = self.session.sql(
            f"SELECT * FROM VALUES {', '.join(rows) or '(0, 0L)'} AS t({PART}, {BEFORE})"
        )
        window = Window.partitionBy(PART).orderBy(*order)
        place = (sf.row_number().over(window) - 1 + sf.col(BEFORE)).cast("bigint")
        placed = parted.join(sf.broadcast(offsets), PART).withColumn(number, place)
        kept = self._checkpoint(placed.drop(PART, BEFORE))
        _free(parted)
        return self._view(kept, number)

    def micros(self, timestamp: Any) -> Any:
        """Microseconds since 1970; Ibis has set the time zone of the session to UTC."""
        import ibis

        def unix_micros(timestamp):  # type: ignore[no-untyped-def]  # a name for Spark's own
            ...

        signature = (("timestamp('UTC')",), "int64")
        count = ibis.udf.scalar.builtin(unix_micros, signature=signature)
        return count(timestamp.cast("timestamp('UTC')"))

    def float_text(self, number: Any) -> Any:
        """The text that DuckDB makes; that of Java is ``1.0E-5``, ``1.23456785E7``."""
        import ibis

        java = number.cast("string")
        plain = java.try_cast("decimal(38, 21)").cast("string").re_replace("0+$", "")
        power = java.replace(".0E", "E").replace("E", "e+").replace("+-", "-")
        power = power.re_replace(r"([+-])(\d)$", "$10$2")  # two digits at least
        size = number.abs()
        return ibis.ifelse((size >= 1e-4) & (size < 1e16), plain, power)

    @property
    def session(self) -> Any:
        """The Spark session."""
        return self.connection._session

    def _frame(self, expression: Any) -> Any:
        return self.connection.raw_sql(self.connection.compile(expression.as_table()))

    def _view(self, frame: Any, name: str) -> Any:
        import ibis

        view = ibis.util.gen_name(f"proxysr_{name}")
        frame.createTempView(view)
        return self.connection.table(view)

    def _checkpoint(self, frame: Any) -> Any:
        if self.session.conf.get("spark.checkpoint.dir", None):
            return frame.checkpoint()
        return frame.localCheckpoint()


def _no_body(value):  # type: ignore[no-untyped-def]  # a function of the database itself
    ...


def engine_of(connection: Any) -> Engine:
    """The engine behind an Ibis connection."""
    engines: dict[str, type[Engine]] = {"duckdb": DuckDB, "pyspark": Spark}
    return engines.get(connection.name, Engine)(connection)


def embedded(memory_limit: str = MEMORY_LIMIT) -> Any:
    """An empty DuckDB database in a temporary folder, as an Ibis connection.

    The folder is removed with the connection. It is made where the ``TMPDIR``
    environment variable says; a large log needs about its own size there.
    """
    import ibis

    folder = scratch_folder()
    connection = ibis.duckdb.connect(
        folder / "prepare.duckdb", memory_limit=memory_limit, temp_directory=str(folder / "spill")
    )
    # a progress bar of DuckDB's own would mix with whatever the caller prints
    connection.con.execute("SET enable_progress_bar = false")
    connection.proxysr_folder = folder
    weakref.finalize(connection, remove, folder)
    return connection


@contextmanager
def interruptible() -> Iterator[None]:
    """Translate errors of the database.

    An interrupted query (Ctrl-C) raises ``KeyboardInterrupt``, a full disk ``WriteError``.
    """
    try:
        yield
    except Exception as error:
        # DuckDB's own signal check ends in a bare RuntimeError
        if type(error).__name__ == "InterruptException" or str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        if (full := no_room(error)) is not None:
            raise full from None
        raise


def temporary_folder(connection: Any) -> Path:
    """A folder for temporary files of a DuckDB connection, removed with it."""
    if not hasattr(connection, "proxysr_folder"):
        connection.proxysr_folder = scratch_folder()
        weakref.finalize(connection, remove, connection.proxysr_folder)
    return Path(connection.proxysr_folder)


def view_of_file(connection: Any, function: str, path: Path, options: str = "") -> Any:
    """A view over one file, read by a function of DuckDB when it is used."""
    import ibis

    path = path.absolute()
    if "\\" in str(path) or visible(str(path)) != str(path):  # no pattern of DuckDB's has these
        folder = temporary_folder(connection)
        link = folder / f"link-{len(list(folder.iterdir()))}"
        link.symlink_to(path)
        path = link
    # [, * and ? mean themselves
    pattern = re.sub(r"([\[*?])", r"[\1]", str(path))
    name = ibis.util.gen_name("proxysr_file")
    options = f"hive_partitioning = false, {options}".rstrip(", ")
    connection.con.execute(
        f'CREATE VIEW "{name}" AS SELECT * FROM {function}({sql_text(pattern)}, {options})'
    )
    return connection.table(name)


def sql_text(value: str) -> str:
    """A SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def connect_spark(master: str | None = None) -> Any:
    """An Ibis connection to Spark: to the session that is active, else to a new one.

    Memory, executors and such are those of ``spark-defaults.conf`` or of the
    environment variable ``PYSPARK_SUBMIT_ARGS``.

    Parameters
    ----------
    master : str, optional
        Where Spark runs: ``yarn``, ``spark://HOST:7077``, ``local[4]``; by default where
        its configuration says.

    Raises
    ------
    ConfigError
        If PySpark or Java is missing, or no session can be started.
    """
    try:
        with _quiet():
            import ibis
            from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Spark needs the package {error.name}: pip install '.[spark]' in the checkout. "
            f"It needs {JAVA}, too."
        ) from None
    session = SparkSession.getActiveSession()
    if session is None:
        folder = os.environ.get("JAVA_HOME")
        java = Path(folder, "bin", "java").is_file() if folder else shutil.which("java")
        require(bool(java), f"Spark needs {JAVA}; JAVA_HOME, if set, is the folder of it.")
        builder = SparkSession.builder.appName("proxysr")
        with readable("Spark cannot be started"), _quiet():
            session = (builder.master(master) if master else builder).getOrCreate()
    with _quiet():
        return ibis.pyspark.connect(session)


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Errors of Spark as a ``ValueError`` of one line, without the stack of its Java side."""
    try:
        yield
    except (ValueError, KeyboardInterrupt):
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("pyspark", "py4j", "ibis"):
            raise
        text = str(getattr(error, "java_exception", None) or error)
        raise ValueError(f"{what}: {text.strip().splitlines()[0]}") from None


def _free(frame: Any) -> None:
    """Free the rows of a checkpoint on the executors."""
    plan = frame._jdf.queryExecution().analyzed()
    while plan.nodeName() in ("SubqueryAlias", "View"):
        plan = plan.child()
    plan.rdd().unpersist(False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PySpark's warning that it does not know pandas 3; nothing here goes by pandas."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")
        yield
