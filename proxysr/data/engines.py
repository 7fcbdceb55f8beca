"""What differs between the databases that the expressions of a preparation run on.

The expressions are the same everywhere; an engine says how a table of one is kept
for the next stage, how rows are numbered, and how a result comes home.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Engine:
    """Any backend of Ibis."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def keep(self, expression: Any, name: str) -> Any:
        """The table of an expression, computed now and once."""
        return expression.cache()

    def discard(self, table: Any) -> None:
        """Free what :meth:`keep` made; by default Ibis does, when nobody refers to it."""

    def home(self, expression: Any) -> Any:
        """An expression's rows as a pyarrow table, in order where the expression has one."""
        return expression.to_pyarrow()

    def n_rows(self, table: Any) -> int:
        """The number of rows of a table."""
        return int(self.home(table.aggregate(n=table.count()))["n"][0].as_py())

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


def engine_of(connection: Any) -> Engine:
    """The engine behind an Ibis connection."""
    if connection.name == "pyspark":
        from proxysr.data.spark import Spark  # it needs pyspark, which most people do without

        return Spark(connection)
    return DuckDB(connection) if connection.name == "duckdb" else Engine(connection)
