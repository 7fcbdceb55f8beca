"""Preparation on Spark: a session, the stages kept on the executors, results by Arrow."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxysr.config import ConfigError, require
from proxysr.data.engines import Engine

JAVA = "Java 17 or newer (on Debian and Ubuntu: apt install openjdk-17-jre-headless)"
PART, BEFORE = "proxysr_part", "proxysr_before"
"""Columns of :meth:`Spark.numbered`: the part of a row, and the rows of the parts before it."""


def connect(master: str | None = None) -> Any:
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
            f"Spark needs the package {error.name}: pip install 'proxysr[spark]'. It needs {JAVA}, "
            "too."
        ) from None
    session = SparkSession.getActiveSession()
    if session is None:
        home = os.environ.get("JAVA_HOME")
        found = Path(home, "bin", "java").is_file() if home else shutil.which("java")
        require(bool(found), f"Spark needs {JAVA}; JAVA_HOME, if set, is the folder of it.")
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

    def home(self, expression: Any) -> Any:
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
