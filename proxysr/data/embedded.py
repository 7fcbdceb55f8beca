"""The embedded database that data is prepared in: DuckDB, out of core, through Ibis."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxysr.files import no_room
from proxysr.leftovers import remove, scratch_folder

MEMORY_LIMIT = "2GB"
"""What DuckDB may hold in memory; beyond it, intermediate tables go to a temporary folder."""


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
    weakref.finalize(connection, remove, folder)
    return connection


@contextmanager
def interruptible() -> Iterator[None]:
    """Errors of the database are those that they are elsewhere.

    An interrupt (Ctrl-C) of a query is a ``KeyboardInterrupt``, a full disk a ``WriteError``.
    """
    try:
        yield
    except Exception as error:
        # DuckDB's own signal check ends in a bare RuntimeError
        if type(error).__name__ == "InterruptException" or str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        if (told := no_room(error)) is not None:
            raise told from None
        raise


def folder_of(connection: Any) -> Path:
    """The temporary folder of a connection made by :func:`embedded`."""
    (path,) = connection.con.execute("SELECT current_setting('temp_directory')").fetchone()
    return Path(path).parent
