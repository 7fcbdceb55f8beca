"""Any log of one's own: a CSV, TSV or Parquet file with column names of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from proxysr.data.bad_rows import OnBadRows
from proxysr.data.events import open_events
from proxysr.data.sources.base import Log, Source
from proxysr.data.sources.tables import items_of


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

    def read(self, path: str | Path, on_bad_rows: OnBadRows, **options: Any) -> Log:
        """Read a file; ``items`` is a file of items (``item_id``, ``title``, any columns)."""
        file = Path(path)
        if not file.is_file():
            raise self.lacking(file, "is not a file.")
        return with_items(file, on_bad_rows, options)


def with_items(log: Any, on_bad_rows: OnBadRows, options: dict[str, Any]) -> Log:
    """The events of ``log``, and the items of the file that the option ``items`` names.

    The file of items is read first: it is small, and what is wrong with it is said at once.
    """
    given = {name: value for name, value in options.items() if value is not None}
    file = given.pop("items", None)
    items: pd.DataFrame | None = None
    remarks: tuple[str, ...] = ()
    if file is not None:
        shared = {name: given[name] for name in ("item", "encoding", "missing") if name in given}
        items, remarks = items_of(file, on_bad_rows, **shared)
    events = open_events(log, on_bad_rows=on_bad_rows, **given)
    return Log(events, items, remarks=remarks)
