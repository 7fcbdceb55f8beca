"""How events become sessions: the options of :func:`proxysr.data.prepare`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from proxysr.config import Part, Positive, Settings, Share, require

FOR = {"gap_minutes": "gap", "day_starts_at": "day"}
"""Options that are for one kind of sessions."""
OF_WHOLE_LOGS = (
    "min_item_count", "min_session_length", "max_session_length", "first_filter", "rounds",
    "valid_fraction", "test_fraction",
)  # fmt: skip
"""Options that change nothing where the parts are given: these are neither filtered nor split."""


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
        total = self.valid_fraction + self.test_fraction
        require(total < 1, f"valid_fraction + test_fraction is below 1; received {total}.")
        self.check_used(self.sessions)

    def check_used(
        self, kind: str, names: Iterable[str] | None = None, *, in_parts: bool = False
    ) -> None:
        """Refuse options that change nothing where sessions are of this kind.

        Parameters
        ----------
        kind : {"auto", "given", "day", "gap"}
        names : iterable of str, optional
            Options that were chosen; by default those that differ from their defaults.
        in_parts : bool
            Whether the log comes filtered and split already.
        """
        if names is None:
            fields = type(self).model_fields
            names = [name for name in fields if getattr(self, name) != fields[name].default]
        unused = [name for name in OF_WHOLE_LOGS if in_parts and name in names]
        require(
            not unused,
            f"{', '.join(unused)}: no effect, as parts that are given are neither filtered nor "
            "split. Leave it out.",
        )
        for name, needed in FOR.items():
            require(
                name not in names or needed == kind or (kind, needed) == ("auto", "day"),
                f"{name} is for sessions={needed!r} and changes nothing where sessions are "
                f"{kind!r}. Add --sessions {needed} (sessions={needed!r}), or leave {name} out.",
            )
