"""The planted facts are in the synthetic log, and in its null variant they are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from proxysr.config import ConfigError
from proxysr.data.synthetic import SyntheticConfig, synthetic_events

SMALL: dict[str, Any] = {"n_sessions": 1500, "n_items": 300, "n_interests": 6, "n_users": 300}
Log = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


@pytest.fixture(scope="module")
def planted() -> Log:
    return synthetic_events(SyntheticConfig(**SMALL))


@pytest.fixture(scope="module")
def null() -> Log:
    return synthetic_events(SyntheticConfig(**SMALL, structure=False))


def clicks(log: Log) -> pd.DataFrame:
    events, items, session_info = log
    ordered = events.sort_values(["session_id", "timestamp"], kind="stable", ignore_index=True)
    return ordered.merge(items, on="item_id").merge(session_info, on="session_id")


def own_taste(log: Log) -> float:
    """Share of a session's interest among the clicks on items of some taste."""
    table = clicks(log)
    tasteful = table[table["taste"] != "any"]
    return float((tasteful["taste"] == tasteful["planted_interest"]).mean())


def steps(log: Log) -> pd.DataFrame:
    """Consecutive clicks of a session: topics and items before and after."""
    table = clicks(log)
    follows = (table["session_id"] == table["session_id"].shift(-1)).to_numpy()
    after = table.shift(-1)[follows]
    return table[follows].assign(next_topic=after["topic"], next_item=after["item_id"])


def forward_share(log: Log) -> float:
    """Of all steps to one of the two neighbouring topics, the share that goes forward."""
    topics = {topic: n for n, topic in enumerate(dict.fromkeys(
        ["seating", "tables", "lighting", "storage", "textiles", "tableware"]))}  # fmt: skip
    table = steps(log)
    step = (table["next_topic"].map(topics) - table["topic"].map(topics)) % len(topics)
    return float((step == 1).sum() / step.isin([1, len(topics) - 1]).sum())


def test_sessions_click_items_of_their_interest(planted: Log, null: Log) -> None:
    assert own_taste(planted) > 0.85
    assert own_taste(null) == pytest.approx(1 / 6, abs=0.03)


def test_sessions_drift_forward_and_not_back(planted: Log, null: Log) -> None:
    assert forward_share(planted) > 0.9
    assert forward_share(null) == pytest.approx(0.5, abs=0.03)


def test_likely_transitions_have_no_way_back(planted: Log) -> None:
    pairs = steps(planted).groupby(["item_id", "next_item"]).size()
    likely = pairs[pairs >= 15]
    likely = likely[[a != b for a, b in likely.index]]
    back = pairs.reindex([(b, a) for a, b in likely.index], fill_value=0)
    assert len(likely) > 30
    assert back.sum() < 0.1 * likely.sum()


def test_an_item_for_all_tastes_leads_to_different_items(planted: Log) -> None:
    """What follows depends on the interest, not on the last item alone."""
    table = steps(planted)
    table = table[(table["taste"] == "any") & (table["item_id"] != table["next_item"])]
    favourite = table.groupby(["item_id", "planted_interest"])["next_item"].agg(
        lambda items: items.mode().iloc[0]
    )
    assert favourite.groupby("item_id").nunique().mean() > 3


def test_short_sessions_show_their_interest_only_in_part(planted: Log) -> None:
    first = clicks(planted).groupby("session_id").first()
    assert (first["taste"] == "any").mean() == pytest.approx(0.35, abs=0.05)


def test_popularity_is_skewed_and_some_clicks_repeat(planted: Log) -> None:
    events = planted[0]
    counts = events["item_id"].value_counts()
    assert counts.iloc[:30].sum() > 0.25 * len(events)  # a tenth of the items
    assert 0.05 < events.duplicated(["session_id", "item_id"]).mean() < 0.25


def test_users_come_back_with_their_own_interest(planted: Log) -> None:
    info = planted[2]
    by_user = info.groupby("planted_user")["planted_interest"]
    often = by_user.size() >= 5
    assert often.sum() > 50
    main = by_user.agg(lambda names: names.value_counts(normalize=True).iloc[0])
    assert main[often].mean() > 0.7


def test_the_null_variant_keeps_popularity_lengths_users_and_times(planted: Log, null: Log) -> None:
    columns = ["session_id", "user_id", "timestamp"]
    pd.testing.assert_frame_equal(planted[0][columns], null[0][columns])
    assert planted[0]["item_id"].value_counts().to_dict() == (
        null[0]["item_id"].value_counts().to_dict()
    )
    pd.testing.assert_frame_equal(planted[1], null[1])
    pd.testing.assert_frame_equal(planted[2], null[2])


def test_equal_seeds_make_equal_logs() -> None:
    config = SyntheticConfig(**SMALL, seed=3)
    for one, other in zip(synthetic_events(config), synthetic_events(config), strict=True):
        pd.testing.assert_frame_equal(one, other)
    different = synthetic_events(config.replace(seed=4))[0]
    assert not different.equals(synthetic_events(config)[0])


def test_the_log_is_well_formed(planted: Log) -> None:
    events, items, info = planted
    assert events["timestamp"].is_monotonic_increasing
    assert set(events["item_id"]) <= set(items["item_id"])
    assert set(events["session_id"]) == set(info["session_id"])
    assert info["session_id"].is_unique
    assert items["item_id"].is_unique
    assert items["title"].is_unique
    truth = info.set_index("session_id")["planted_user"]
    assert (events["session_id"].map(truth) == events["user_id"]).all()
    lengths = events.groupby("session_id").size()
    assert lengths.min() == 2
    assert lengths.max() <= 50
    assert lengths.mean() == pytest.approx(7, abs=0.5)


def test_titles_can_be_read_however_many_items_there_are() -> None:
    config = SyntheticConfig(n_sessions=50, n_items=3000, n_interests=14)
    items = synthetic_events(config)[1]
    assert items["title"].is_unique
    assert (items["title"].str.count(" ") >= 1).all()
    assert {"walnut", "walnut 2", "any"} <= set(items["taste"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_topics": 2}, r"n_topics is from 3 to 8; received 2"),
        ({"n_items": 50}, r"n_items \(50\) is too small: every one of 6 topics"),
        ({"follow": 0.9, "repeat": 0.2}, r"follow \+ repeat \+ stray is below 1; received 0.9"),
        ({"shared_clicks": 1.0}, r"shared_clicks is in \[0, 1\); received 1.0"),
        ({"loyalty": 1.5}, r"loyalty is in \[0, 1\]; received 1.5"),
        ({"mean_length": 1}, r"mean_length is at least 2 clicks; received 1"),
        ({"max_length": 1}, r"max_length is at least 2 clicks; received 1"),
        ({"popularity_exponent": -1}, r"popularity_exponent is not negative; received -1"),
        ({"n_users": 0}, r"n_users is at least 1; received 0"),
        ({"seed": -1}, r"seed is not negative; received -1"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SyntheticConfig(**options)


def test_extreme_settings_still_work() -> None:
    config = SyntheticConfig(
        n_sessions=40, n_items=30, n_interests=1, n_topics=3, n_users=1, mean_length=2,
        shared_clicks=0, follow=0, repeat=0, stray=0, popularity_exponent=0, days=1,
    )  # fmt: skip
    events, items, _ = synthetic_events(config)
    assert (events.groupby("session_id").size() == 2).all()
    assert set(events.merge(items)["taste"]) == {"walnut"}
    assert np.ptp(events["timestamp"]) < 2 * 86_400
