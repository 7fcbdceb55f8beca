"""Any log of one's own: a CSV, TSV or Parquet file with column names of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxysr.data.events import open_events
from proxysr.data.preparation import PrepareConfig
from proxysr.data.rows import OnBadRows
from proxysr.data.sessions import SessionSplit
from proxysr.data.sources.base import Source
from proxysr.data.sources.tables import prepare_with_items


class EventsFile(Source):
    """One file of events."""

    name = "events"
    description = (
        "A log of your own: text such as CSV, or Parquet, also compressed, one event a row, with "
        "columns for item and time and for session or user, of any names. What a file is, is told "
        "by its content. Items of fewer than 5 clicks and sessions of fewer than 2 are dropped "
        "until nothing changes, unless told otherwise."
    )
    licence = "yours"
    download_help = (
        "Hand in the file, and the names of its columns where they are not item_id, timestamp, "
        "session_id and user_id."
    )
    options = (
        "item", "time", "session", "user", "title", "time_unit", "delimiter", "quote", "header",
        "encoding", "missing", "items",
    )  # fmt: skip

    def split(
        self, path: str | Path, config: PrepareConfig, on_bad_rows: OnBadRows, **options: Any
    ) -> SessionSplit:
        """Prepare a file; ``items`` is a file of items (``item_id``, ``title``, any columns)."""
        file = Path(path)
        if not file.is_file():
            raise self.lacking(file, "is not a file.")
        given = {name: value for name, value in options.items() if value is not None}
        return prepare_with_items(
            lambda **named: open_events(file, on_bad_rows=on_bad_rows, **named),
            given, config, on_bad_rows, self.origin(),
        )  # fmt: skip
