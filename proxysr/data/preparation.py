"""From events to a split: sessions, filters, a split by time, and counts after every step.

Everything is an Ibis expression over tables in one database: the embedded one
by default, or the warehouse or Spark cluster that the events live in. Only the
prepared sessions and the names of their items and users are fetched.

>>> import pandas as pd
>>> log = pd.DataFrame({"session_id": [1, 1, 2, 2, 3, 3], "timestamp": range(6)})
>>> log["item_id"] = 7
>>> split = prepare(log, PrepareConfig(min_item_count=1))
>>> [len(split.part(name)) for name in ("train", "valid", "test")]
[1, 1, 1]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from proxysr.config import require, require_kind
from proxysr.data import expressions as ex
from proxysr.data import remarks, splitting
from proxysr.data.engines import engine_of, interruptible
from proxysr.data.events import EventTable, as_table
from proxysr.data.preparation_config import PrepareConfig
from proxysr.data.sessions import PARTS, SessionSplit

__all__ = ["Events", "PrepareConfig", "prepare", "prepare_parts", "provenance_table"]

Events = pd.DataFrame | EventTable | Any
FEW_COPIES = 0.01
"""Share of the events that may be copies of others before that is told."""
"""An events frame, an opened log, or an Ibis table of events."""


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
    """Make sessions from events, filter them, and split them by the time of their first clicks.

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
    steps = _Preparation([events], _settings(config), items, session_info, connection)
    clicks = steps.filter(steps.sessionise())
    return steps.split(clicks, steps.cut(clicks), source)


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
    ``recent_fraction`` apply, and others are refused.
    A session id that occurs in two parts names two sessions.
    """
    config = _settings(config)
    require(
        config.sessions in ("auto", "given"),
        "Parts that are given have their sessions given too; "
        f"received sessions={config.sessions!r}.",
    )
    config.check_used(config.sessions, in_parts=True)
    steps = _Preparation([train, valid, test], config, items, session_info, connection)
    clicks = steps.sessionise()
    return steps.split(clicks, steps.cut(clicks), source)


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
    frame = pd.DataFrame(steps, columns=["step", *ex.COUNTS])
    for name in ex.COUNTS:
        frame[name] = frame[name].astype("Int64")
    frame["mean_length"] = (frame["interactions"] / frame["sessions"]).astype("Float64").round(2)
    return frame


def _settings(config: PrepareConfig | None) -> PrepareConfig:
    """The settings, or the defaults."""
    config = PrepareConfig() if config is None else config
    require_kind(config, PrepareConfig, "config", "PrepareConfig(min_item_count=5)")
    return config


class _Preparation:
    """The tables of one preparation in a database, and the counts after each step."""

    def __init__(
        self,
        logs: Sequence[Events],
        config: PrepareConfig,
        items: pd.DataFrame | None,
        session_info: pd.DataFrame | None,
        connection: Any,
    ) -> None:
        self.known_items = splitting.known(items, "item_id", "items", reserved=["count"])
        self.session_info = splitting.known(session_info, "session_id", "session_info")
        self.tables: list[EventTable] = []
        for log in logs:
            self.tables.append(as_table(log, connection))
            connection = self.tables[-1].connection
        self.config = config
        self.engine = engine_of(connection)
        self.how = ex.what_sessions_are(self.tables, config)
        self.counts = ex.Counts(self.engine)
        read = sum(table.n_read for table in self.tables)
        rows = sum(table.bad_rows.n_rows for table in self.tables)
        bad = sum(table.bad_rows.n_bad for table in self.tables)
        self.counts.note("rows read", interactions=read)
        if rows < read:
            self.counts.note(
                "rows that are none of the events asked for dropped", interactions=rows
            )
        if bad:
            self.counts.note("malformed rows dropped", interactions=rows - bad)
        events = [table.table for table in self.tables]
        # a code is the place of a text in the order of all
        self.items = self.engine.numbered(ex.distinct(events, "item_id"), ["item_id"], "item")
        self.users = self.engine.numbered(ex.distinct(events, "user_id"), ["user_id"], "user")
        self.sessions: Any = None
        if self.how == "given":
            names = ex.session_names(events)
            self.sessions = self.engine.numbered(names, ["part", "session_id"], "session")
        self.remarks = [remark for table in self.tables for remark in table.remarks]
        titled = [table.table for table in self.tables if table.has_title]
        texts = {
            "item_id": self.items, "user_id": self.users, "session_id": self.sessions,
            "title": ex.distinct(titled, "title") if titled else None,
        }  # fmt: skip
        known = set() if self.known_items is None else set(self.known_items["item_id"])
        self.remarks += remarks.on_words(self.engine, texts, events, known)
        if self.known_items is not None and known:
            splitting.check_items(self.engine, self.items, self.known_items)

    def replace(self, table: Any, expression: Any, step: str | None = None) -> Any:
        """The table of an expression of ``table``, which is freed; ``step`` is counted."""
        result = self.engine.keep(expression, "clicks")
        self.engine.discard(table)
        if step:
            self.counts.after(step, result)
        return result

    def sessionise(self) -> Any:
        """Clicks of all tables in their sessions."""
        import ibis

        parts = []
        for part, table in enumerate(self.tables):
            events = ex.coded(table.table, self.items, self.users)
            if self.how == "given":
                clicks = ex.given_sessions(events, self.sessions.filter(self.sessions.part == part))
            elif self.how == "day":
                clicks = ex.day_sessions(events, self.config.day_starts_at)
            else:
                clicks = ex.gap_sessions(events, self.config.gap_minutes)
            parts.append(clicks.select("session", "user", "item", "time", "row"))
        clicks = self.engine.keep(ibis.union(parts[0], *parts[1:]), "clicks")
        idle = f"{self.config.gap_minutes:g} idle minutes"
        kinds = {
            "given": "events with a session id",
            "day": "events with a user, in sessions of a day",
            "gap": f"events with a user, in sessions without {idle}",
        }
        self.counts.after(kinds[self.how], clicks)
        self.remark_on(clicks)
        if self.how == "given":
            clicks = self.one_user_each(clicks)
        if self.config.drop_repeats:
            clicks = self.replace(clicks, ex.without_repeats(clicks), "immediate repeats dropped")
        return clicks

    def remark_on(self, clicks: Any) -> None:
        """Say how many events are in no session, and how many are there twice."""
        before, after = (step["interactions"] for step in self.counts.steps[-2:])
        if before > after:
            what = "session id" if self.how == "given" else "user"
            self.remarks.append(
                f"{before - after:,} of {before:,} events have no {what}: left out."
            )
        n = after - self.engine.n_rows(ex.without_copies(clicks))
        if n > FEW_COPIES * after:
            self.remarks.append(
                f"{n:,} of {after:,} events have the session, item and time of another one. If "
                "the log has them twice, repair it; --drop-repeats (drop_repeats) drops all that "
                "repeat the click before."
            )
        if after > 1 and self.engine.n_rows(clicks.select("time").distinct().limit(2)) == 1:
            self.remarks.append("All events have the same time: the split by time is arbitrary.")

    def one_user_each(self, clicks: Any) -> Any:
        """Clicks whose sessions have one user each; see ``max_mixed_sessions``."""
        mixed = self.engine.keep(ex.mixed_sessions(clicks), "mixed")
        n = self.engine.n_rows(mixed)
        share = n / self.counts.steps[-1]["sessions"]
        if share > self.config.max_mixed_sessions:
            one = self.users.select(one="user", one_id="user_id")
            other = self.users.select(other="user", other_id="user_id")
            named = mixed.inner_join(self.sessions.select("session", "session_id"), "session")
            named = named.inner_join(one, "one").inner_join(other, "other")
            first = self.engine.fetch(named.order_by("session").limit(1)).to_pylist()[0]
            raise ValueError(
                f"{n:,} session ids ({share:.0%}) occur with several users, such as session "
                f"{first['session_id']!r} with users {first['one_id']!r} and "
                f"{first['other_id']!r}. If ids are unique only within a user, make them unique "
                "(user and id in one column), or cut sessions by sessions='day' or 'gap' "
                "(--sessions gap); if the sessions are right, raise max_mixed_sessions "
                "(--max-mixed-sessions) to take the first user of each."
                + "".join(f" {remark}" for remark in self.remarks if "user_id" in remark)
            )
        if n:
            step = f"{n:,} sessions of several users given to the first"
            clicks = self.replace(clicks, ex.with_first_user(clicks), step)
        self.engine.discard(mixed)
        return clicks

    def filter(self, clicks: Any) -> Any:
        """Clicks after the filters, in the order and for the rounds configured."""
        config = self.config
        filters: list[tuple[str, Callable[[Any], Any]]] = []
        least = config.min_item_count
        if least > 1:
            name = f"items of at least {least} clicks"
            filters.append((name, lambda clicks: ex.without_rare_items(clicks, least)))
        shortest, longest = config.min_session_length, config.max_session_length
        lengths = f"{shortest} to {longest}" if longest else f"at least {shortest}"
        name = f"sessions of {lengths} clicks"
        filters.append((name, lambda clicks: ex.without_lengths(clicks, shortest, longest)))
        if config.first_filter == "sessions":
            filters.reverse()
        steps, unchanged, turn = self.counts.steps, 0, 0
        # the fixpoint is reached when each filter in turn has dropped nothing
        while unchanged < len(filters):
            round_number, which = divmod(turn, len(filters))
            if round_number and config.rounds == "once":
                break
            name, drop = filters[which]
            suffix = f" (round {round_number + 1})" if config.rounds == "fixpoint" else ""
            before = steps[-1]["interactions"]
            clicks = self.replace(clicks, drop(clicks), name + suffix)
            unchanged = unchanged + 1 if steps[-1]["interactions"] == before else 0
            if round_number and unchanged:
                steps.pop()  # nothing changed: not worth a line
            turn += 1
        return clicks

    def cut(self, clicks: Any) -> Any:
        """Sessions in three parts: by the time of their first click, or as they were given."""
        given = self.sessions if len(self.tables) > 1 else None
        sessions = self.engine.numbered(ex.starts(clicks, given), ex.ORDER, "place")
        if given is None:
            n = self.engine.n_rows(sessions)
            n_valid, n_test = (
                max(1, round(n * share)) if share else 0
                for share in (self.config.valid_fraction, self.config.test_fraction)
            )
            n_train = n - n_valid - n_test
            if n_train < 1:
                raise ValueError(
                    f"{n} session{'s are' if n != 1 else ' is'} too few for three parts. Loosen "
                    "the filters, or take a longer log."
                )
            sessions = self.replace(sessions, ex.in_parts(sessions, n_train, n_train + n_valid))
        share = self.config.recent_fraction
        if share < 1:
            n_train = self.engine.n_rows(sessions.filter(sessions.part == 0))
            dropped = n_train - max(1, round(n_train * share))
            sessions = self.replace(sessions, ex.without_first(sessions, dropped))
            step = f"all but the most recent {share:.4g} of training sessions dropped"
            self.counts.after(step, clicks.semi_join(sessions, "session"))
        return sessions

    def split(self, clicks: Any, sessions: Any, source: dict[str, Any] | None) -> SessionSplit:
        """Fetch the prepared sessions, without items and sessions that cannot be predicted."""
        fetch = self.engine.fetch
        for part, name in enumerate(PARTS):
            inside = clicks.semi_join(sessions.filter(sessions.part == part), "session")
            self.counts.note(f"{name}, with items unseen in training", **self.counts.of(inside))
        vocabulary = self.engine.keep(ex.vocabulary(clicks, sessions, self.items), "known")
        ordered = fetch(ex.ordered_clicks(clicks, sessions, vocabulary))
        fetched = splitting.FetchedClicks(
            ordered["index"].to_numpy(),
            ordered["place"].to_numpy(),
            fetch(ex.named(sessions, self.users, self.sessions)),
        )
        del ordered
        self.counts.note("items unseen in training dropped", **fetched.counts())
        fetched = fetched.predictable()
        self.counts.note("sessions of one click dropped", **fetched.counts())
        dated = [table.time_unit != "order" for table in self.tables]
        users = fetched.users()
        fractions = (1, self.config.valid_fraction, self.config.test_fraction)
        parts = []
        for part, name in enumerate(PARTS):
            parts.append(fetched.part(part, self.how, users, dated[min(part, len(dated) - 1)]))
            self.counts.note(name, **fetched.counts(part))
            splitting.check_part(name, len(parts[part]), fractions[part])
        titles = [table.table for table in self.tables if table.has_title]
        items = fetch(ex.item_table(vocabulary, titles)).to_pandas()
        if titles and (n := self.engine.n_rows(ex.of_several_titles(vocabulary, titles))):
            self.remarks.append(f"{n:,} items have several titles; the commonest is taken.")
        items = splitting.described(items, self.known_items, "item_id")
        self.remarks += remarks.on_items(items["item_id"].tolist(), self.known_items)
        for temporary in (clicks, sessions, vocabulary, self.items, self.users, self.sessions):
            if temporary is not None:
                self.engine.discard(temporary)
        train, valid, test = parts
        return SessionSplit(
            train, valid, test,
            items=items,
            users=pd.DataFrame({"user_id": pd.Series(users.ids, dtype="str")}),
            session_info=splitting.info_of(parts, self.session_info),
            provenance=self.provenance(source),
        )  # fmt: skip

    def provenance(self, source: dict[str, Any] | None) -> dict[str, Any]:
        """Source, options and the counts after the steps."""
        origins = [table.source for table in self.tables]
        origin = dict(origins[0]) if len(origins) == 1 else {"parts": origins}
        return {
            "source": origin | (source or {}),
            "options": self.config.to_dict() | {"sessions": self.how},
            "time_unit": [table.time_unit for table in self.tables],
            "bad_rows": [table.bad_rows.to_dict() for table in self.tables],
            "steps": self.counts.steps,
        } | ({"remarks": self.remarks} if self.remarks else {})
