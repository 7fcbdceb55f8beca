"""Preparation by its words, one row at a time: the slow twin of ``prepare``."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from proxysr.data.preparation import PrepareConfig

DAY = 86_400


class Row(NamedTuple):
    """One event; ``time`` in whole seconds."""

    item: str
    time: int
    session: str | None
    user: str | None


class Click(NamedTuple):
    """One event in its session."""

    key: Any
    user: str | None
    item: str
    time: int
    row: int


def sessionised(rows: list[Row], config: PrepareConfig, how: str) -> list[Click]:
    clicks = []
    for number, row in enumerate(rows):
        if how == "given" and row.session is not None:
            clicks.append(Click(row.session, row.user, row.item, row.time, number))
        if how == "day" and row.user is not None:
            day = (row.time - round(config.day_starts_at * 3600)) // DAY
            clicks.append(Click((row.user, day), row.user, row.item, row.time, number))
    if how == "gap":
        for user in {row.user for row in rows if row.user is not None}:
            mine = sorted((row.time, number) for number, row in enumerate(rows) if row.user == user)
            session, last = 0, mine[0][0]
            for time, number in mine:
                session += time - last > config.gap_minutes * 60
                last = time
                clicks.append(Click((user, session), user, rows[number].item, time, number))
    clicks.sort(key=lambda click: (click.time, click.row))
    first: dict[Any, str] = {}
    for click in clicks:
        if click.user is not None:
            first.setdefault(click.key, click.user)
    return [click._replace(user=first.get(click.key)) for click in clicks]


def without_repeats(clicks: list[Click]) -> list[Click]:
    last: dict[Any, str] = {}
    kept = []
    for click in clicks:
        if last.get(click.key) != click.item:
            kept.append(click)
        last[click.key] = click.item
    return kept


def filtered(clicks: list[Click], config: PrepareConfig) -> list[Click]:
    def rare(clicks: list[Click]) -> list[Click]:
        count = Counter(click.item for click in clicks)
        return [click for click in clicks if count[click.item] >= config.min_item_count]

    def wrong_length(clicks: list[Click]) -> list[Click]:
        length = Counter(click.key for click in clicks)
        longest = config.max_session_length or len(clicks)
        return [c for c in clicks if config.min_session_length <= length[c.key] <= longest]

    filters = [rare, wrong_length] if config.first_filter == "items" else [wrong_length, rare]
    while True:
        before = len(clicks)
        for run in filters:
            clicks = run(clicks)
        if config.rounds == "once" or len(clicks) == before:
            return clicks


def literal(
    rows: list[Row], config: PrepareConfig, how: str
) -> tuple[list[list[tuple[str | None, list[str]]]], list[str]] | None:
    """Three parts of sessions (user, item ids), and the items in the order of their index.

    None where ``prepare`` has to raise: nothing is left, or a part is empty.
    """
    clicks = sessionised(rows, config, how)
    if config.drop_repeats:
        clicks = without_repeats(clicks)
    clicks = filtered(clicks, config)
    sessions: dict[Any, list[Click]] = {}
    for click in clicks:
        sessions.setdefault(click.key, []).append(click)
    ordered = sorted(sessions.values(), key=lambda s: (s[0].time, min(click.row for click in s)))
    n = len(ordered)
    sizes = [max(1, round(n * share)) for share in (config.valid_fraction, config.test_fraction)]
    n_train = n - sum(sizes)
    if n_train < 1:
        return None
    parts = [ordered[:n_train], ordered[n_train : n_train + sizes[0]], ordered[-sizes[1] :]]
    recent = max(1, round(n_train * config.recent_fraction))
    parts[0] = parts[0][n_train - recent :]
    count = Counter(click.item for session in parts[0] for click in session)
    vocabulary = sorted(count, key=lambda item: (-count[item], item))
    prepared = []
    for part in parts:
        made = []
        for session in part:
            items = [click.item for click in session if click.item in count]
            if len(items) >= 2:
                made.append((session[0].user, items))
        if not made:
            return None
        prepared.append(made)
    return prepared, vocabulary
