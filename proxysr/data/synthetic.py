"""A log of sessions with a planted truth, to see whether a model finds it.

A made-up furniture shop. Every session has a *general interest*, a taste such as
"walnut", which chooses the pool of items it clicks; some items suit every taste,
so that a short session shows its taste only in part. Inside a session the
*short-term interest* drifts: from seating to tables to lighting, rarely back.
Each item leads to one item of the next topic, which one depends on the taste.
Users come back, mostly with their own taste. The taste and user of every session
are in a table of their own.

>>> events, items, session_info = synthetic_events(SyntheticConfig(n_sessions=100))
>>> list(events)
['session_id', 'user_id', 'item_id', 'timestamp']
>>> list(items), list(session_info)
(['item_id', 'title', 'topic', 'taste'], ['session_id', 'planted_interest', 'planted_user'])

The null variant (``structure=False``) is the same log with the clicked items shuffled
over all clicks: the same popularity, lengths, users and times, but neither taste nor order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from proxysr.config import Count, NotNegative, Part, Settings, Share, Whole, require

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# words for the items: tastes (general interests), and the nouns of each topic
TASTES: dict[str, tuple[str, ...]] = {
    "walnut": ("walnut", "dark walnut", "turned walnut", "oiled walnut"),
    "rattan": ("rattan", "woven rattan", "cane", "bamboo"),
    "steel": ("steel", "black steel", "brushed steel", "wire"),
    "velvet": ("velvet", "emerald velvet", "plum velvet", "tufted velvet"),
    "birch": ("birch", "white birch", "pale birch", "bent birch"),
    "brass": ("brass", "antique brass", "polished brass", "hammered brass"),
    "concrete": ("concrete", "cast concrete", "terrazzo", "grey stone"),
    "floral": ("floral", "rose print", "wildflower", "chintz"),
    "neon": ("neon", "acid yellow", "hot pink", "electric blue"),
    "denim": ("denim", "patched denim", "indigo", "chambray"),
    "nautical": ("nautical", "striped navy", "rope", "driftwood"),
    "marble": ("marble", "white marble", "green marble", "veined marble"),
}
"""Adjectives of each taste; items that suit every taste take theirs from ``PLAIN``."""

PLAIN: tuple[str, ...] = ("plain", "simple", "everyday", "basic", "classic", "white", "grey")

THINGS: dict[str, tuple[str, ...]] = {
    "seating": ("armchair", "bar stool", "bench", "dining chair", "rocking chair", "sofa"),
    "tables": ("coffee table", "dining table", "nightstand", "side table", "writing desk"),
    "lighting": ("candle holder", "ceiling light", "desk lamp", "floor lamp", "lantern"),
    "storage": ("bookcase", "cabinet", "coat rack", "laundry basket", "shelf", "wardrobe"),
    "textiles": ("bedspread", "curtain", "cushion", "rug", "table runner", "throw"),
    "tableware": ("bowl", "jug", "mug", "plate", "serving tray", "teapot"),
    "decoration": ("clock", "mirror", "picture frame", "plant pot", "vase", "wall hook"),
    "garden": ("bird house", "deck chair", "hammock", "parasol", "planter", "watering can"),
}
"""Things of each topic, in the order in which sessions tend to drift from one to the next."""

ANY_TASTE = "any"
"""Name of the taste of items that suit everybody."""
FIRST_DAY = 1_577_923_200  # Thursday 2 January 2020, 00:00 UTC, in seconds since 1970
DAY = 86_400


class SyntheticConfig(Settings):
    """What log to make up; defaults are made for training on a CPU in a minute or two."""

    n_sessions: Count = 6000
    """Sessions."""
    n_items: int = 600
    """Items in the shop; a few of the least popular may never be clicked."""
    n_interests: Count = 10
    """General interests (tastes)."""
    n_topics: int = 6
    """Topics that sessions drift through; every taste has items in all of them."""
    n_users: Count = 1200
    """Users; a few may never come."""
    mean_length: float = 7.0
    """Mean number of clicks of a session, before the longest are cut."""
    max_length: int = 50
    """Clicks after which a session is cut."""
    shared_items: Share = 0.2
    """Share of items that suit every taste."""
    shared_clicks: Share = 0.35
    """Share of clicks on them: a session's first click hides its taste this often."""
    follow: Share = 0.4
    """Share of clicks on the item that the previous one leads to."""
    stay: Share = 0.6
    """Share of the other clicks that stay with the topic; the rest move on to the next."""
    repeat: Share = 0.1
    """Share of clicks on an item clicked earlier in the session."""
    stray: Share = 0.05
    """Share of clicks on any item of the shop, whatever the taste."""
    loyalty: Part = 0.75
    """Share of sessions in which users follow their own taste rather than any."""
    popularity_exponent: NotNegative = 0.8
    """Popularity in a pool falls with rank to this power; 0 makes all items alike."""
    days: Count = 42
    """Days from the first session to the last."""
    structure: bool = True
    """False for the null variant: clicked items shuffled over all clicks."""
    seed: Whole = 0
    """Seed of everything random; equal settings make equal logs."""

    def check(self) -> None:
        """Check ranges."""
        require(
            self.follow + self.repeat + self.stray < 1,
            f"follow + repeat + stray is below 1; received {self.follow} + {self.repeat} "
            f"+ {self.stray}.",
        )
        # with two topics the next one would also be the previous one
        require(
            3 <= self.n_topics <= len(THINGS),
            f"n_topics is from 3 to {len(THINGS)}; received {self.n_topics}.",
        )
        own, shared = self.counts()
        require(
            own >= self.n_topics * self.n_interests and shared >= self.n_topics,
            f"n_items ({self.n_items}) is too small: every one of {self.n_topics} topics needs an "
            f"item for each of {self.n_interests} tastes and one that suits all; {own} items are "
            f"of a taste and {shared} suit all. Raise n_items, or lower n_interests.",
        )
        for name in ("mean_length", "max_length"):
            value = getattr(self, name)
            require(value >= 2, f"{name} is at least 2 clicks; received {value}.")

    def counts(self) -> tuple[int, int]:
        """How many items are of one taste, and how many suit all."""
        shared = round(self.n_items * self.shared_items)
        return self.n_items - shared, shared


def synthetic_events(
    config: SyntheticConfig | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Make up a log.

    Returns
    -------
    events : DataFrame
        ``session_id``, ``user_id``, ``item_id`` (text), ``timestamp`` (seconds since 1970), one
        row a click, in the order of time.
    items : DataFrame
        ``item_id``, ``title``, ``topic`` (readable) and ``taste``: the planted interest whose
        item it is, or "any".
    session_info : DataFrame
        ``session_id``, ``planted_interest`` (name of the taste), ``planted_user``.
    """
    config = SyntheticConfig() if config is None else config
    random = np.random.default_rng(config.seed)
    shop = _Shop(config, random)
    own_taste = random.integers(config.n_interests, size=config.n_users)
    # a few users come often, most of them seldom
    user = random.choice(config.n_users, config.n_sessions, p=_zipf(config.n_users, 0.5))
    loyal = random.random(config.n_sessions) < config.loyalty
    anything = random.integers(config.n_interests, size=config.n_sessions)
    taste = np.where(loyal, own_taste[user], anything)
    more = random.geometric(1 / (config.mean_length - 1), config.n_sessions)  # from 1 on
    length = np.minimum(1 + more, config.max_length)
    session = np.repeat(np.arange(config.n_sessions), length)
    clicked = _walk(shop, taste, length, random)
    time = _times(length, config.days, random)
    session_ids = _ids("s", config.n_sessions)
    user_ids = _ids("u", config.n_users)
    item_ids = _ids("i", config.n_items)[random.permutation(config.n_items)]
    if not config.structure:  # drawn last, so that both variants agree in all else
        clicked = random.permutation(clicked)
    events = pd.DataFrame(
        {
            "session_id": session_ids[session],
            "user_id": user_ids[user[session]],
            "item_id": item_ids[clicked],
            "timestamp": time,
        }
    )
    items = shop.table().assign(item_id=item_ids)[["item_id", "title", "topic", "taste"]]
    info = {
        "session_id": session_ids,
        "planted_interest": _taste_names(config.n_interests)[taste],
        "planted_user": user_ids[user],
    }
    return (
        events.sort_values("timestamp", kind="stable", ignore_index=True),
        items.sort_values("item_id", ignore_index=True),
        pd.DataFrame(info),
    )


class _Shop:
    """Items in cells, one cell for each taste (and "any") and topic, by popularity.

    Cells lie one after the other in ``cell_items``; ``cell_share`` runs from c to c + 1 in
    cell c, so that the item at a number in [0, 1) of a cell is found by one search.
    """

    def __init__(self, config: SyntheticConfig, random: np.random.Generator) -> None:
        self.config = config
        own, shared = config.counts()
        n_tastes, n_topics = config.n_interests, config.n_topics
        # taste n_tastes stands for "any"
        self.taste = np.concatenate([np.arange(own) % n_tastes, np.full(shared, n_tastes)])
        self.topic = np.concatenate([np.arange(own) // n_tastes, np.arange(shared)]) % n_topics
        cell = self.taste * n_topics + self.topic
        self.cell_items = np.lexsort((random.permutation(config.n_items), cell))
        sizes = np.bincount(cell, minlength=(n_tastes + 1) * n_topics)
        self.cell_share = np.concatenate(
            [c + np.cumsum(_zipf(size, config.popularity_exponent)) for c, size in enumerate(sizes)]
        )
        self.item_phase = random.random(config.n_items)
        self.taste_phase = random.random(n_tastes)

    def draw(self, taste: Ints, topic: Ints, number: Floats) -> Ints:
        """The item of a taste and a topic that a number in [0, 1) stands for."""
        shared = self.config.shared_clicks
        for_any = number < shared
        within = np.where(for_any, number / max(shared, 1e-9), (number - shared) / (1 - shared))
        cell = np.where(for_any, self.config.n_interests, taste) * self.config.n_topics + topic
        at = np.searchsorted(self.cell_share, cell + within, side="right")
        return np.asarray(self.cell_items[np.minimum(at, len(self.cell_items) - 1)])

    def leads_to(self, taste: Ints, item: Ints) -> Ints:
        """The one item of the next topic that ``item`` leads to in sessions of ``taste``."""
        number = (self.item_phase[item] + self.taste_phase[taste]) % 1
        return self.draw(taste, (self.topic[item] + 1) % self.config.n_topics, number)

    def table(self) -> pd.DataFrame:
        """Title, topic and taste of every item; equal titles are numbered."""
        names = np.append(_taste_names(self.config.n_interests), ANY_TASTE)
        frame = pd.DataFrame(
            {"topic": np.array(list(THINGS))[self.topic], "taste": names[self.taste]}
        )
        adjectives = list(TASTES.values())
        titles = []
        number = frame.groupby(["taste", "topic"]).cumcount()
        for taste, topic, n in zip(self.taste, frame["topic"], number, strict=True):
            plain = taste == self.config.n_interests
            words = PLAIN if plain else adjectives[taste % len(adjectives)]
            nouns = THINGS[topic]
            row, column = divmod(n, len(nouns))
            titles.append(f"{words[(row + column) % len(words)]} {nouns[column]}")
        frame["title"] = titles
        again = frame.groupby("title").cumcount()
        frame["title"] += np.where(again > 0, " no. " + (again + 1).astype(str), "")
        return frame


def _walk(shop: _Shop, taste: Ints, length: Ints, random: np.random.Generator) -> Ints:
    """Clicked items of all sessions, flat: the n-th click of every session at once."""
    config = shop.config
    start = np.cumsum(length) - length
    clicked = np.empty(int(length.sum()), dtype=np.int64)
    topic = random.integers(config.n_topics, size=len(length))
    for position in range(int(length.max())):
        still = np.flatnonzero(length > position)
        kind, number = random.random((2, len(still)))
        moves_on = random.random(len(still)) >= config.stay
        earlier = random.integers(max(position, 1), size=len(still))
        if position == 0:
            item = shop.draw(taste[still], topic[still], number)
        else:
            previous = clicked[start[still] + position - 1]
            drift = (shop.topic[previous] + moves_on) % config.n_topics
            any_cell = np.minimum((number * config.n_items).astype(np.int64), config.n_items - 1)
            follow, repeat = config.follow, config.follow + config.repeat
            item = np.select(
                [kind < follow, kind < repeat, kind < repeat + config.stray],
                [
                    shop.leads_to(taste[still], previous),
                    clicked[start[still] + earlier],
                    any_cell,
                ],
                shop.draw(taste[still], drift, number),
            )
        clicked[start[still] + position] = item
    return clicked


def _times(length: Ints, days: int, random: np.random.Generator) -> Ints:
    """Seconds since 1970 of every click: sessions rather in the evening, a minute a click."""
    n = len(length)
    evening = random.random(n) < 0.7
    hour = np.where(evening, random.normal(19.5, 2.0, n), random.uniform(7, 24, n)).clip(0, 23.99)
    begin = FIRST_DAY + random.integers(days, size=n) * DAY + (hour * 3600).astype(np.int64)
    wait = 1 + random.exponential(60, int(length.sum())).astype(np.int64)
    wait[np.cumsum(length) - length] = 0
    passed = np.cumsum(wait)
    first = passed[np.cumsum(length) - length]
    return np.asarray(np.repeat(begin - first, length) + passed)


def _zipf(n: int, exponent: float) -> Floats:
    """Shares (n,) that fall with rank to a power; they sum to 1."""
    weight = np.arange(1, n + 1, dtype=np.float64) ** -exponent
    return np.asarray(weight / weight.sum())


def _taste_names(n: int) -> npt.NDArray[Any]:
    """Names of the planted interests; beyond the known words they are numbered."""
    words = list(TASTES)
    rounds = [divmod(taste, len(words)) for taste in range(n)]
    return np.array([words[w] + (f" {again + 1}" if again else "") for again, w in rounds])


def _ids(prefix: str, n: int) -> npt.NDArray[Any]:
    """Text ids of equal width, such as "s0001"."""
    return np.array([f"{prefix}{number:0{len(str(n))}d}" for number in range(1, n + 1)])
