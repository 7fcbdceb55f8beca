"""Diginetica: what visitors of an online shop looked at in 2016 (CIKM Cup 2016)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from proxysr.data.bad_rows import OnBadRows
from proxysr.data.events import open_events
from proxysr.data.preparation import PrepareConfig
from proxysr.data.sources.base import Log, Source
from proxysr.data.sources.tables import fetched, side_table

VIEWS = "train-item-views.csv"
CATEGORIES = "product-categories.csv"


class Diginetica(Source):
    """``train-item-views.csv``, and ``product-categories.csv`` beside it if there."""

    name = "diginetica"
    description = (
        "Diginetica, item views in given sessions; the views of a session are put in the order of "
        "their timeframe, since the file's order is another. Preset of the paper's Table 1 as the "
        "authors' program counts: items seen fewer than 5 times and sessions of 3 items or fewer "
        "dropped, repeated until nothing changes (the paper says sessions of fewer than 3)."
    )
    licence = "no open licence (CIKM Cup 2016, for research)"
    download_help = (
        "Get it from https://competitions.codalab.org/competitions/11161 (an account is needed) "
        f"and hand in the folder with {VIEWS}; {CATEGORIES} beside it, if there, gives items "
        "their categories."
    )
    config = PrepareConfig(
        sessions="given", max_mixed_sessions=1, min_item_count=5, min_session_length=4,
        rounds="fixpoint",
    )  # fmt: skip
    published: ClassVar = {"interactions": 713_308, "items": 33_950, "sessions": 101_691}

    def read(self, path: str | Path, on_bad_rows: OnBadRows, **options: Any) -> Log:
        """Read the item views."""
        file = self.file(path, VIEWS)
        events = open_events(
            file,
            item="itemId",
            time="when",
            session="sessionId",
            user="userId",
            time_unit="ms",
            missing=("NA",),
            derive=_when,
            on_bad_rows=on_bad_rows,
        )
        return Log(events, _categories(file.parent, events.connection))


def _categories(folder: Path, connection: Any) -> pd.DataFrame | None:
    """``item_id, category``; None without the file."""
    path = folder / CATEGORIES
    if not path.is_file():
        return None
    frame = fetched(side_table(connection, path, "itemId", "categoryId"), path)
    frame = frame.rename(columns={"itemId": "item_id", "categoryId": "category"})
    return frame.drop_duplicates("item_id")[["item_id", "category"]]


def _when(views: Any) -> Any:
    """Views with ``when``, ms since 1970: the day of the event and the time in the session.

    Where one of them cannot be read, both as they are, to be named as malformed.
    """
    day = views.eventdate.try_cast("date").epoch_seconds() * 1000
    ms = (day + views.timeframe.try_cast("int64")).cast("string")
    both = views.eventdate.fill_null("") + " + " + views.timeframe.fill_null("")
    return views.mutate(when=ms.coalesce(both))
