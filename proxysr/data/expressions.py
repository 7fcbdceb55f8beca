"""The steps of preparation, each an Ibis expression for any backend.

A *clicks* table has ``session``, ``user`` (null where unknown) and ``item`` (int64
codes), ``time`` (int64 microseconds) and ``row`` (int64). Times may be equal, so
every order is by time, then row. Clicks that are equal in both have the same item and
the same user: which of them comes first makes no difference, so all engines agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxysr.config import ConfigError
from proxysr.data.cleaning import LARGEST
from proxysr.data.engines import Engine
from proxysr.data.events import EventTable
from proxysr.data.preparation_config import PrepareConfig

COUNTS = ("interactions", "items", "sessions", "users")
DAY = 86_400_000_000
MINUTE = 60_000_000
HOUR = 60 * MINUTE
"""Microseconds."""
SESSIONS_PER_USER = 1 << 31
"""A user's session ``k`` has the code ``user * SESSIONS_PER_USER + k``."""
MIDDLE = SESSIONS_PER_USER // 2
"""Added to day numbers, which are negative before 1970."""
USERS = 1 << 32
"""More than there are users. Items are fewer still: their indices are int32."""
ORDER = ("part", "start", "first", "session")
"""The order of sessions: in time; where times are equal, in that of rows, then of names."""


def what_sessions_are(tables: Sequence[EventTable], config: PrepareConfig) -> str:
    """The kind of sessions: "given", "day" or "gap"; ConfigError if the logs lack a column."""
    how: str = config.sessions
    if how == "auto":
        how = "given" if all(table.has_session for table in tables) else "day"
    if how == "given":
        if not all(table.has_session for table in tables):
            raise ConfigError(
                "sessions='given' needs a column of session ids and the events have none. Name it "
                "(session=…, --session), or cut users' events by sessions='day' or 'gap'."
            )
        config.check_used(how)
        return how
    if not all(table.has_user for table in tables):
        raise ConfigError(
            f"sessions={how!r} cuts the events of users, and the events have no column of users. "
            "Name it (user=…, --user)."
        )
    if any(table.time_unit == "order" for table in tables):
        raise ConfigError(
            f"sessions={how!r} needs dates, and the times of the events look like running numbers."
            " If they are times, say of which unit (time_unit=…, --time-unit); else give session "
            "ids."
        )
    return how


class Counts:
    """Interactions, items, sessions and users after every step of a preparation."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.steps: list[dict[str, Any]] = []

    def note(self, step: str, **counts: int | None) -> None:
        """Add a step."""
        self.steps.append({"step": step} | {name: counts.get(name) for name in COUNTS})

    def of(self, clicks: Any) -> dict[str, int]:
        """The counts of a clicks table."""
        counts = clicks.aggregate(
            interactions=clicks.count(),
            items=clicks.item.nunique(),
            sessions=clicks.session.nunique(),
            users=clicks.user.nunique(),
        )
        (row,) = self.engine.fetch(counts).to_pylist()
        return {name: int(row[name]) for name in COUNTS}

    def after(self, step: str, clicks: Any) -> None:
        """Add a step with the counts of ``clicks``; none left is an error."""
        counts = self.of(clicks)
        self.note(step, **counts)
        if not counts["interactions"]:
            raise ValueError(
                f"Nothing is left after the step {step!r}. Interactions so far: "
                + "; ".join(f"{row['step']}: {row['interactions']:,}" for row in self.steps)
                + ". Loosen the options (min_item_count, min_session_length, max_session_length)."
            )


def distinct(tables: list[Any], column: str) -> Any:
    """The distinct texts of ``column``."""
    import ibis

    texts = ibis.union(tables[0].select(column), *(t.select(column) for t in tables[1:]))
    return texts.filter(texts[column].notnull()).distinct()


def session_names(tables: list[Any]) -> Any:
    """``part, session_id`` of the sessions that the tables name; a part a table."""
    import ibis

    named = [t.select("session_id", part=ibis.literal(p, "int64")) for p, t in enumerate(tables)]
    both = ibis.union(named[0], *named[1:])
    return both.filter(both.session_id.notnull()).distinct()


def coded(events: Any, item_codes: Any, user_codes: Any) -> Any:
    """Canonical events with ``item`` and ``user`` codes in the place of texts.

    Events without an order of their own get one by item, then user; those with times finer than
    microseconds (``sub``) one by these, too.
    """
    import ibis

    joined = events.inner_join(item_codes, "item_id").left_join(user_codes, "user_id")
    if "row" not in events.columns:
        joined = joined.mutate(row=joined.item * USERS + joined.user.fill_null(-1) + 1)
    if "sub" in events.columns:
        order = ibis.row_number().over(order_by=["time", "sub", "row"])
        joined = joined.mutate(row=order)
    return joined.select("session_id", "user", "item", "time", "row")


def given_sessions(events: Any, session_codes: Any) -> Any:
    """Clicks of the sessions that the log names."""
    return events.inner_join(session_codes, "session_id").select(
        "session", "user", "item", "time", "row"
    )


def day_sessions(events: Any, starts_at: float) -> Any:
    """Clicks of known users, a day being a session; it starts at hour ``starts_at`` (UTC)."""
    events = events.filter(events.user.notnull())
    day = (events.time - round(starts_at * HOUR)).floordiv(DAY) + MIDDLE
    return events.select(
        "user", "item", "time", "row", session=events.user * SESSIONS_PER_USER + day
    )


def gap_sessions(events: Any, minutes: float) -> Any:
    """Clicks, a session being a user's events with no more than ``minutes`` between two."""
    import ibis

    events = events.filter(events.user.notnull())
    window = ibis.window(group_by="user", order_by="time")
    waited = events.time - events.time.lag().over(window)
    begins = (waited > round(min(minutes * MINUTE, LARGEST))).fill_null(False).cast("int64")
    marked = events.mutate(begins=begins)
    # a range, so that all events of the time of the first one of a session are in it
    running = ibis.range_window(group_by="user", order_by="time", preceding=None, following=0)
    number = marked.begins.sum().over(running)
    return marked.select(
        "user", "item", "time", "row", session=marked.user * SESSIONS_PER_USER + number
    )


def mixed_sessions(clicks: Any) -> Any:
    """The sessions with clicks of more than one user, with two of these."""
    users = clicks.group_by("session").aggregate(one=clicks.user.min(), other=clicks.user.max())
    return users.filter(users.one != users.other)


def with_first_user(clicks: Any) -> Any:
    """Clicks, all of a session being of the user of its first click with a known one."""
    import ibis

    known = clicks.filter(clicks.user.notnull())
    window = ibis.window(group_by="session", order_by=["time", "row"])
    known = known.mutate(place=ibis.row_number().over(window))
    first = known.filter(known.place == 0).select("session", "user")
    return clicks.drop("user").left_join(first, "session").select(*clicks.columns)


def without_repeats(clicks: Any) -> Any:
    """Clicks that differ from the click just before in their session."""
    import ibis

    window = ibis.window(group_by="session", order_by=["time", "row"])
    before = clicks.mutate(before=clicks.item.lag().over(window))
    changed = before.filter(before.before.isnull() | (before.before != before.item))
    return changed.drop("before")


def without_rare_items(clicks: Any, least: int) -> Any:
    """Clicks on items that have at least ``least`` of them."""
    counts = clicks.group_by("item").aggregate(n=clicks.count())
    return clicks.anti_join(counts.filter(counts.n < least), "item")


def without_lengths(clicks: Any, least: int, most: int | None) -> Any:
    """Clicks of sessions of ``least`` to ``most`` clicks."""
    lengths = clicks.group_by("session").aggregate(n=clicks.count())
    wrong = lengths.n < least
    if most is not None:
        wrong |= lengths.n > most
    return clicks.anti_join(lengths.filter(wrong), "session")


def starts(clicks: Any, parts: Any | None) -> Any:
    """The sessions: ``session, part, start, user``, and ``first``, the least of their rows.

    ``parts`` (``session, part``) gives the part of each; without it, ``part`` is 0.
    """
    import ibis

    sessions = clicks.group_by("session").aggregate(
        start=clicks.time.min(), first=clicks.row.min(), user=clicks.user.max()
    )
    if parts is None:
        return sessions.mutate(part=ibis.literal(0, "int64"))
    return sessions.inner_join(parts.select("session", "part"), "session")


def in_parts(sessions: Any, first_valid: int, first_test: int) -> Any:
    """Sessions, their ``part`` 0, 1 or 2 by their place in time."""
    import ibis

    part = ibis.cases((sessions.place < first_valid, 0), (sessions.place < first_test, 1), else_=2)
    return sessions.mutate(part=part.cast("int64"))


def without_first(sessions: Any, n: int) -> Any:
    """Sessions without the ``n`` that are first in order; places count from 0 again."""
    later = sessions.filter(sessions.place >= n)
    return later.mutate(place=later.place - n)


def vocabulary(clicks: Any, sessions: Any, item_codes: Any) -> Any:
    """Items of training: ``item_id, item, count, index``, 1 for the one clicked most."""
    import ibis

    train = clicks.semi_join(sessions.filter(sessions.part == 0), "session")
    counts = train.group_by("item").aggregate(count=train.count())
    # codes are in the order of the item ids
    window = ibis.window(order_by=[ibis.desc("count"), "item"])
    counts = counts.mutate(index=ibis.row_number().over(window) + 1)
    return counts.inner_join(item_codes, "item")


def ordered_clicks(clicks: Any, sessions: Any, items: Any) -> Any:
    """Clicks on known items as ``place`` of the session and ``index`` of the item, in order."""
    joined = clicks.inner_join(sessions.select("session", "place"), "session").inner_join(
        items.select("item", "index"), "item"
    )
    ordered = joined.order_by(["place", "time", "row"])
    return ordered.select(place=ordered.place.cast("int32"), index=ordered["index"].cast("int32"))


def named(sessions: Any, user_codes: Any, session_codes: Any | None) -> Any:
    """Sessions in order with ``user_id`` and, where the log names them, ``session_id``."""
    import ibis

    texts = sessions.left_join(user_codes, "user").drop("user_right")
    if session_codes is None:
        texts = texts.mutate(session_id=ibis.null("string"))
    else:
        texts = texts.inner_join(session_codes.select("session", "session_id"), "session")
    return texts.select(
        "session", "part", "start", "user", "user_id", "session_id", "place"
    ).order_by("place")


def without_copies(clicks: Any) -> Any:
    """Sessions, items and times of clicks, each once."""
    return clicks.select("session", "item", "time").distinct()


def of_several_titles(items: Any, titled: list[Any]) -> Any:
    """The items whose events have different titles."""
    import ibis

    both = [t.select("item_id", "title") for t in titled]
    events = ibis.union(both[0], *both[1:])
    events = events.filter(events.title.notnull()).semi_join(items, "item_id")
    titles = events.group_by("item_id").aggregate(n=events.title.nunique())
    return titles.filter(titles.n > 1)


def item_table(items: Any, titled: list[Any]) -> Any:
    """``item_id, count`` in the order of the index, and ``title`` if events have any.

    The title is the one that most events of the item have, the first by text of equals.
    """
    import ibis

    if not titled:
        return items.order_by("index").select("item_id", "count")
    both = [t.select("item_id", "title") for t in titled]
    events = ibis.union(both[0], *both[1:])
    events = events.filter(events.title.notnull()).semi_join(items, "item_id")
    counts = events.group_by(["item_id", "title"]).aggregate(n=events.count())
    window = ibis.window(group_by="item_id", order_by=[ibis.desc("n"), "title"])
    ranked = counts.mutate(rank=ibis.row_number().over(window))
    titles = ranked.filter(ranked["rank"] == 0).select("item_id", "title")
    return items.left_join(titles, "item_id").order_by("index").select("item_id", "count", "title")
