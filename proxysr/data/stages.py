"""The stages of a preparation: expressions computed one after the other, and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from proxysr.config import ConfigError
from proxysr.data import expressions as ex
from proxysr.data.engines import engine_of
from proxysr.data.events import EventTable
from proxysr.data.homecoming import Home, describe
from proxysr.data.sessions import PARTS, SessionSplit

if TYPE_CHECKING:
    from proxysr.data.preparation import PrepareConfig

COUNTS = ("interactions", "items", "sessions", "users")


class Stages:
    """One preparation: tables in a database, and the account of what was done to them."""

    def __init__(self, tables: list[EventTable], config: PrepareConfig) -> None:
        self.tables = tables
        self.engine = engine_of(tables[0].connection)
        self.config = config
        self.how = _how(config, tables)
        self.steps: list[dict[str, Any]] = []
        read = sum(table.n_read for table in tables)
        rows = sum(table.bad_rows.n_rows for table in tables)
        bad = sum(table.bad_rows.n_bad for table in tables)
        self.note("rows read", interactions=read)
        if rows < read:
            self.note("rows that are none of the events asked for dropped", interactions=rows)
        if bad:
            self.note("malformed rows dropped", interactions=rows - bad)
        events = [table.table for table in tables]
        # a code is the place of a text in the order of all
        self.items = self.engine.numbered(ex.distinct(events, "item_id"), ["item_id"], "item")
        self.users = self.engine.numbered(ex.distinct(events, "user_id"), ["user_id"], "user")
        self.sessions: Any = None
        if self.how == "given":
            names = ex.session_names(events)
            self.sessions = self.engine.numbered(names, ["part", "session_id"], "session")

    def keep(self, expression: Any, name: str) -> Any:
        """The table of an expression, computed now."""
        return self.engine.keep(expression, name)

    def replaced(self, table: Any, expression: Any, name: str) -> Any:
        """As :meth:`keep`; ``table``, which the expression was made of, is freed."""
        kept = self.keep(expression, name)
        self.engine.discard(table)
        return kept

    def note(self, step: str, **counts: int | None) -> None:
        """Add a step to the account."""
        self.steps.append({"step": step} | {name: counts.get(name) for name in COUNTS})

    def counts(self, clicks: Any) -> dict[str, int]:
        """Interactions, items, sessions and users of a clicks table."""
        counts = clicks.aggregate(
            interactions=clicks.count(),
            items=clicks.item.nunique(),
            sessions=clicks.session.nunique(),
            users=clicks.user.nunique(),
        )
        (row,) = self.engine.home(counts).to_pylist()
        return {name: int(row[name]) for name in COUNTS}

    def count(self, step: str, clicks: Any) -> int:
        """Add a step with the counts of ``clicks``, and return their number; none is an error."""
        counts = self.counts(clicks)
        self.note(step, **counts)
        if not counts["interactions"]:
            raise ValueError(
                f"Nothing is left after the step {step!r}. Interactions so far: "
                + "; ".join(f"{row['step']}: {row['interactions']:,}" for row in self.steps)
                + ". Loosen the options (min_item_count, min_session_length, max_session_length)."
            )
        return counts["interactions"]

    def sessionised(self) -> Any:
        """Clicks of all tables in their sessions."""
        import ibis

        parts = []
        for part, table in enumerate(self.tables):
            events = ex.coded(table.table, self.items, self.users)
            if self.how == "given":
                named = self.sessions.filter(self.sessions.part == part)
                clicks = ex.given_sessions(events, named)
            elif self.how == "day":
                known = events.filter(events.user.notnull())
                clicks = ex.day_sessions(known, self.config.day_starts_at)
            else:
                known = events.filter(events.user.notnull())
                clicks = ex.gap_sessions(known, self.config.gap_minutes)
            parts.append(clicks.select("session", "user", "item", "time", "row"))
        clicks = self.keep(ibis.union(parts[0], *parts[1:]), "clicks")
        self.count(
            {
                "given": "events with a session id",
                "day": "events with a user, in sessions of a day",
                "gap": f"events with a user, in sessions without {self.config.gap_minutes:g} idle "
                "minutes",
            }[self.how],
            clicks,
        )
        if self.how == "given":
            clicks = self.one_user(clicks)
        if self.config.drop_repeats:
            clicks = self.replaced(clicks, ex.without_repeats(clicks), "clicks")
            self.count("immediate repeats dropped", clicks)
        return clicks

    def one_user(self, clicks: Any) -> Any:
        """Clicks whose sessions have one user each; see ``max_mixed_sessions``."""
        several = self.keep(ex.several_users(clicks), "several")
        n = self.engine.n_rows(several)
        if not n:
            self.engine.discard(several)
            return clicks
        share = n / self.steps[-1]["sessions"]
        if share > self.config.max_mixed_sessions:
            users = self.users
            one = users.select(one="user", one_id="user_id")
            other = users.select(other="user", other_id="user_id")
            named = several.inner_join(self.sessions.select("session", "session_id"), "session")
            named = named.inner_join(one, "one").inner_join(other, "other")
            first = self.engine.home(named.order_by("session").limit(1)).to_pylist()[0]
            raise ValueError(
                f"{n:,} session ids ({share:.0%}) occur with several users, such as session "
                f"{first['session_id']!r} with users {first['one_id']!r} and "
                f"{first['other_id']!r}. If ids are unique only within a user, make them unique "
                "(user and id in one column), or cut sessions by sessions='day' or 'gap'; if the "
                "sessions are right, raise max_mixed_sessions to take the first user of each."
            )
        clicks = self.replaced(clicks, ex.with_first_user(clicks), "clicks")
        self.engine.discard(several)
        self.count(f"{n:,} sessions of several users given to the first", clicks)
        return clicks

    def filtered(self, clicks: Any) -> Any:
        """Clicks after the filters, in the order and for the rounds configured."""
        config = self.config
        filters: list[tuple[str, Callable[[Any], Any]]] = []
        if config.min_item_count > 1:
            least = config.min_item_count
            filters.append(
                (f"items of at least {least} clicks", lambda t: ex.without_rare_items(t, least))
            )
        shortest, longest = config.min_session_length, config.max_session_length
        lengths = f"{shortest} to {longest}" if longest else f"at least {shortest}"
        filters.append(
            (f"sessions of {lengths} clicks", lambda t: ex.without_lengths(t, shortest, longest))
        )
        if config.first_filter == "sessions":
            filters.reverse()
        unchanged, turn, before = 0, 0, int(self.steps[-1]["interactions"])
        # the fixpoint is reached when each filter in turn has found nothing to drop
        while unchanged < len(filters):
            round_number, which = divmod(turn, len(filters))
            if round_number and config.rounds == "once":
                break
            name, run = filters[which]
            clicks = self.replaced(clicks, run(clicks), "clicks")
            suffix = f" (round {round_number + 1})" if config.rounds == "fixpoint" else ""
            after = self.count(name + suffix, clicks)
            unchanged = unchanged + 1 if after == before else 0
            if round_number and unchanged:
                self.steps.pop()  # nothing changed: not worth a line
            turn, before = turn + 1, after
        return clicks

    def cut(self, clicks: Any) -> Any:
        """Sessions in three parts by the time of their first click."""
        sessions = self.engine.numbered(ex.starts(clicks, None), ex.ORDER, "place")
        n = self.engine.n_rows(sessions)
        sizes = [
            max(1, round(n * share)) if share else 0
            for share in (self.config.valid_fraction, self.config.test_fraction)
        ]
        n_train = n - sum(sizes)
        if n_train < 1:
            raise ValueError(
                f"{n} sessions are too few for three parts. Loosen the filters or set "
                "valid_fraction and test_fraction to 0."
            )
        cut = self.replaced(sessions, ex.cut(sessions, n_train, n_train + sizes[0]), "cut")
        return self.recent(cut, clicks)

    def given_parts(self, clicks: Any) -> Any:
        """Sessions in the parts that their tables are."""
        sessions = self.engine.numbered(ex.starts(clicks, self.sessions), ex.ORDER, "place")
        return self.recent(sessions, clicks)

    def recent(self, sessions: Any, clicks: Any) -> Any:
        """Sessions, those of training only where they are recent enough to stay."""
        share = self.config.recent_fraction
        if share == 1:
            return sessions
        n_train = self.engine.n_rows(sessions.filter(sessions.part == 0))
        dropped = n_train - max(1, round(n_train * share))
        sessions = self.replaced(sessions, ex.without_first(sessions, dropped), "recent")
        name = f"all but the most recent {share:.4g} of training sessions dropped"
        self.count(name, clicks.semi_join(sessions, "session"))
        return sessions

    def split(
        self,
        clicks: Any,
        sessions: Any,
        items: pd.DataFrame | None,
        session_info: pd.DataFrame | None,
        source: dict[str, Any] | None,
    ) -> SessionSplit:
        """Bring the prepared sessions home, without what cannot be predicted."""
        for part, name in enumerate(PARTS):
            inside = clicks.semi_join(sessions.filter(sessions.part == part), "session")
            self.note(f"{name}, with items unseen in training", **self.counts(inside))
        known = self.keep(ex.vocabulary(clicks, sessions, self.items), "known")
        arrived = self.engine.home(ex.homeward(clicks, sessions, known))
        home = Home(
            index=arrived["index"].to_numpy(),
            place=arrived["place"].to_numpy(),
            sessions=self.engine.home(ex.named(sessions, self.users, self.sessions)),
        )
        del arrived
        self.note("items unseen in training dropped", **home.counts())
        home = home.predictable()
        self.note("sessions of one click dropped", **home.counts())
        dated = [table.time_unit != "order" for table in self.tables]
        users = home.users()
        train, valid, test = parts = [
            home.part(part, self.how, users, dated[min(part, len(dated) - 1)])
            for part in range(len(PARTS))
        ]
        for part, name in enumerate(PARTS):
            self.note(name, **home.counts(part))
            self.check_part(name, len(parts[part]))
        table = ex.item_table(known, [t.table for t in self.tables if t.has_title])
        described = describe(self.engine.home(table).to_pandas(), items, "item_id")
        info = pd.DataFrame()
        if session_info is not None:
            ids = np.concatenate([part.session_ids for part in parts])
            info = describe(
                pd.DataFrame({"session_id": ids}).drop_duplicates(),
                session_info,
                "session_id",
            )
        for kept in (clicks, sessions, known, self.items, self.users, self.sessions):
            if kept is not None:
                self.engine.discard(kept)
        return SessionSplit(
            train,
            valid,
            test,
            items=described,
            users=pd.DataFrame({"user_id": users.ids}),
            session_info=info,
            provenance=self.provenance(source),
        )

    def check_part(self, name: str, n: int) -> None:
        """Raise ``ValueError`` if a part that was asked for is empty."""
        asked = {"valid": self.config.valid_fraction, "test": self.config.test_fraction}
        if n == 0 and asked.get(name, 1):
            raise ValueError(
                f"The {name} part is empty: none of its sessions has two clicks on items that "
                "training has. Give more events, or loosen the filters (min_item_count, "
                "min_session_length)."
            )

    def provenance(self, source: dict[str, Any] | None) -> dict[str, Any]:
        """What was read, with which options, and the account of the steps."""
        origins = [table.source for table in self.tables]
        origin = dict(origins[0]) if len(origins) == 1 else {"parts": origins}
        return {
            "source": origin | (source or {}),
            "options": self.config.to_dict() | {"sessions": self.how},
            "time_unit": [table.time_unit for table in self.tables],
            "bad_rows": [table.bad_rows.to_dict() for table in self.tables],
            "steps": self.steps,
        }


def _how(config: PrepareConfig, tables: list[EventTable]) -> str:
    """What a session is: "given", "day" or "gap"."""
    how = config.sessions
    if how == "auto":
        how = "given" if all(table.has_session for table in tables) else "day"
    if how == "given":
        if not all(table.has_session for table in tables):
            raise ConfigError(
                "sessions='given' needs a column of session ids and the events have none. Name it "
                "(session=…, --session), or cut users' events by sessions='day' or 'gap'."
            )
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
