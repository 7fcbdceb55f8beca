"""From events to a split: sessions, filters, a split by time, and an account of every step.

Everything is an Ibis expression over tables in one database: the embedded one
by default, or the warehouse or Spark cluster that the events live in. Only the
prepared sessions and the names of their items and users come home.

>>> import pandas as pd
>>> log = pd.DataFrame({"session_id": [1, 1, 2, 2, 3, 3], "timestamp": range(6)})
>>> log["item_id"] = 7
>>> split = prepare(log, PrepareConfig(min_item_count=1))
>>> [len(split.part(name)) for name in ("train", "valid", "test")]
[1, 1, 1]
"""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from proxysr.config import Part, Positive, Settings, Share, require
from proxysr.data.embedded import interruptible
from proxysr.data.events import EventTable, open_events
from proxysr.data.homecoming import facts
from proxysr.data.sessions import SessionSplit
from proxysr.data.stages import Stages

Events = pd.DataFrame | EventTable | Any
"""What can be prepared: an events frame, an opened log, or an Ibis table of events."""


class PrepareConfig(Settings):
    """How events become sessions, and which of them stay."""

    sessions: Literal["auto", "given", "day", "gap"] = "auto"
    """What a session is: "given" ids, a user's "day", or a user's events without a "gap" of
    gap_minutes; "auto" takes given ids where the log has them, else days."""
    gap_minutes: Positive = 30.0
    """Minutes without an event after which a user's next session begins (sessions = gap)."""
    day_starts_at: float = 0.0
    """Hour of the day, in UTC, at which a user's next session begins (sessions = day)."""
    max_mixed_sessions: Part = 0.05
    """Largest share of given sessions that may have events of several users (they count as of
    the first). More are refused: their ids are probably unique only within a user."""
    drop_repeats: bool = False
    """Whether clicks on the item just clicked in the session are dropped."""
    min_item_count: int = 5
    """Items with fewer clicks are dropped (1 keeps all)."""
    min_session_length: int = 2
    """Sessions with fewer clicks are dropped; at least 2, one to start from and one to predict."""
    max_session_length: int | None = None
    """Sessions with more clicks are dropped (none keeps all)."""
    first_filter: Literal["items", "sessions"] = "items"
    """Whether rare items are dropped before sessions of the wrong length, or after."""
    rounds: Literal["fixpoint", "once"] = "fixpoint"
    """Whether the filters are repeated until nothing changes, or run once."""
    valid_fraction: Share = 0.1
    """Share of sessions, in the order of their first click, that validate (paper: 8:1:1)."""
    test_fraction: Share = 0.1
    """Share of sessions, the latest ones, that test (paper: 8:1:1)."""
    recent_fraction: float = 1.0
    """Share of the training sessions that stay, the latest ones; validation and test are those of
    the whole. Items that only older training sessions have are unseen in training, then."""

    def check(self) -> None:
        """Check ranges."""
        for name, least in (("min_item_count", 1), ("min_session_length", 2)):
            value = getattr(self, name)
            require(value >= least, f"{name} is at least {least}; received {value}.")
        longest = self.max_session_length
        require(
            longest is None or longest >= self.min_session_length,
            f"max_session_length is at least min_session_length ({self.min_session_length}); "
            f"received {longest}.",
        )
        require(
            0 <= self.day_starts_at < 24,
            f"day_starts_at is an hour from 0 to below 24; received {self.day_starts_at}.",
        )
        require(
            0 < self.recent_fraction <= 1,
            f"recent_fraction is above 0 and at most 1; received {self.recent_fraction}.",
        )
        both = self.valid_fraction + self.test_fraction
        require(both < 1, f"valid_fraction + test_fraction is below 1; received {both}.")


@interruptible()
def prepare(
    events: Events,
    config: PrepareConfig | None = None,
    *,
    items: pd.DataFrame | None = None,
    session_info: pd.DataFrame | None = None,
    connection: Any = None,
    source: dict[str, Any] | None = None,
) -> SessionSplit:
    """Prepare events: sessionise, filter, split by the time of a session's first click.

    Clicks of a session are in the order of their times, and of the rows of the source
    where times are equal; sessions are in the order of their first clicks. A table of a
    database has no order of rows: there, clicks of equal time are ordered by item, then
    user, and sessions that begin at the same time by the first item and user of all of
    theirs in the order of ids, then by their own id. Items of
    validation and test that training lacks are dropped, then sessions there of fewer
    than two clicks. Item indices go by falling count in training, then by ``item_id``.

    Parameters
    ----------
    events : DataFrame, EventTable or ibis table
        With columns ``item_id``, ``timestamp`` and ``session_id`` and/or ``user_id`` (a
        ``title`` is taken along), or what :func:`proxysr.data.open_events` gives.
    config : PrepareConfig, optional
    items : DataFrame, optional
        What is known of items: ``item_id`` and any columns (``title`` is shown to people)
        but ``count``, which the split counts itself.
    session_info : DataFrame, optional
        What is known of sessions: ``session_id`` and any columns.
    connection : ibis backend, optional
        Where to compute; by default where the events are, or an embedded DuckDB.
    source : dict, optional
        More about the source, for the provenance.

    Raises
    ------
    BadRowsError
        If a row has no item, an unreadable time, or neither session nor user.
    ValueError
        If the sessions cannot be made as configured, or a part is left empty.
    """
    items, session_info = _facts(items, session_info)
    stages = Stages([_opened(events, connection)], config or PrepareConfig())
    clicks = stages.filtered(stages.sessionised())
    return stages.split(clicks, stages.cut(clicks), items, session_info, source)


@interruptible()
def prepare_parts(
    train: Events,
    valid: Events,
    test: Events,
    config: PrepareConfig | None = None,
    *,
    items: pd.DataFrame | None = None,
    session_info: pd.DataFrame | None = None,
    connection: Any = None,
    source: dict[str, Any] | None = None,
) -> SessionSplit:
    """Prepare a log that others have filtered and split into three parts already.

    As :func:`prepare`, but nothing is filtered and nothing moves between the parts:
    the options of ``config`` on sessions, ``max_mixed_sessions``, ``drop_repeats`` and
    ``recent_fraction`` apply.
    A session id that occurs in two parts names two sessions.
    """
    config = config or PrepareConfig()
    require(
        config.sessions in ("auto", "given"),
        "Parts that are given have their sessions given too; "
        f"received sessions={config.sessions!r}.",
    )
    items, session_info = _facts(items, session_info)
    first = _opened(train, connection)
    others = [_opened(part, first.connection) for part in (valid, test)]
    stages = Stages([first, *others], config)
    clicks = stages.sessionised()
    return stages.split(clicks, stages.given_parts(clicks), items, session_info, source)


def _facts(*frames: pd.DataFrame | None) -> list[pd.DataFrame | None]:
    items, session_info = frames
    return [
        facts(items, "item_id", "items", own=["count"]),
        facts(session_info, "session_id", "session_info"),
    ]


def _opened(events: Events, connection: Any) -> EventTable:
    if isinstance(events, EventTable):
        return events
    return open_events(events, connection=connection)


def provenance_table(split: SessionSplit) -> pd.DataFrame:
    """Counts after every step of a split's preparation, for the reader.

    Columns ``step``, ``interactions``, ``items``, ``sessions``, ``users`` (missing where
    not known yet), ``mean_length``. The last row is the paper's count (Table 1) where
    the source is one of the paper's data sets.
    """
    steps = list(split.provenance.get("steps", []))
    published = split.provenance.get("source", {}).get("published")
    if published:
        steps.append({"step": "published (paper, Table 1)"} | published)
    names = ["step", "interactions", "items", "sessions", "users"]
    frame = pd.DataFrame(steps, columns=names)
    for name in names[1:]:
        frame[name] = frame[name].astype("Int64")
    frame["mean_length"] = (frame["interactions"] / frame["sessions"]).astype("Float64").round(2)
    return frame
