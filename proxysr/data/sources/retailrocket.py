"""RetailRocket: what visitors of an online shop looked at in 2015, item categories included."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from proxysr.data.bad_rows import OnBadRows
from proxysr.data.events import open_events
from proxysr.data.preparation import PrepareConfig
from proxysr.data.sources.base import Log, Source
from proxysr.data.sources.tables import fetched, side_table

EVENTS = "events.csv"
PROPERTIES = ("item_properties_part1.csv", "item_properties_part2.csv")
TREE = "category_tree.csv"


class RetailRocket(Source):
    """``events.csv``, and beside it the item properties and the category tree if there."""

    name = "retailrocket"
    description = (
        "RetailRocket, 2,756,101 events of an online shop, of which the views are taken. Preset of "
        "the paper's Table 1: a visitor's day (UTC) is a session, sessions of fewer than 2 items "
        "dropped, no item filter. The paper's counts are smaller than what this makes of the whole "
        "log; it does not say which part it took."
    )
    licence = "CC BY-NC-SA 4.0"
    download_help = (
        "Get it from https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset (a Kaggle "
        f"account is needed) and hand in the folder with {EVENTS}; {', '.join(PROPERTIES)} and "
        f"{TREE} beside it, if there, give items their categories."
    )
    config = PrepareConfig(sessions="day", min_item_count=1, min_session_length=2, rounds="once")
    published: ClassVar = {"interactions": 170_488, "items": 38_736, "sessions": 47_705}

    def read(self, path: str | Path, on_bad_rows: OnBadRows, **options: Any) -> Log:
        """Read the views of ``events.csv``."""
        file = self.file(path, EVENTS)
        events = open_events(
            file,
            item="itemid",
            time="timestamp",
            user="visitorid",
            time_unit="ms",
            only=lambda table: table.event == "view",
            on_bad_rows=on_bad_rows,
        )
        return Log(events, _categories(file.parent, events.connection))


def _categories(folder: Path, connection: Any) -> pd.DataFrame | None:
    """``item_id, category, parent_category`` as last known; None without the files."""
    frames = []
    for path in (folder / name for name in PROPERTIES):
        if path.is_file():
            table = side_table(connection, path, "timestamp", "itemid", "property", "value")
            table = table.filter(table.property == "categoryid")
            table = table.mutate(when=table.timestamp.try_cast("int64"))
            last = table.group_by(item_id="itemid").aggregate(
                category=table.value.argmax(table.when), when=table.when.max()
            )
            frames.append(fetched(last, path))
    if not frames:
        return None
    items = pd.concat(frames).sort_values(["item_id", "when", "category"])
    items = items.drop_duplicates("item_id", keep="last").drop(columns="when")
    tree = folder / TREE
    if tree.is_file():
        parents = fetched(side_table(connection, tree, "categoryid", "parentid"), tree)
        parent = parents.drop_duplicates("categoryid").set_index("categoryid")["parentid"]
        items["parent_category"] = items["category"].map(parent)
    return items.reset_index(drop=True)
